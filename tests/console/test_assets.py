"""Style sheets, scripts and pictures: served from memory, kept by browsers, nothing fetched from elsewhere."""

from __future__ import annotations

import re

from gateway.console import assets

TEXTS = {name: found.content.decode() for name, found in assets.ASSETS.items()}


def test_nothing_points_to_another_host():
    for name, text in TEXTS.items():
        addresses = set(
            re.findall(
                r"(?:https?:)?//[\w.-]+",
                re.sub(r"/\*.*?\*/|^ *//.*$", "", text, flags=re.DOTALL | re.MULTILINE),
            )
        )
        assert addresses <= {"http://www.w3.org"}, name


def test_the_two_dark_sets_of_colours_are_equal():
    blocks = re.findall(r"color-scheme: dark;(.*?)}", TEXTS["css/tokens.css"], re.DOTALL)
    dark = [re.findall(r"(--[\w-]+): ([^;]+);", block) for block in blocks]
    assert len(dark) == 2
    assert dark[0] == dark[1]
    assert len(dark[0]) > 20


def test_every_colour_that_is_used_is_a_token():
    defined = set(re.findall(r"(--[\w-]+):", TEXTS["css/tokens.css"]))
    for name, text in TEXTS.items():
        if name.endswith(".css"):
            assert set(re.findall(r"var\((--[\w-]+)", text)) <= defined, name


def test_an_asset_asked_by_its_digest_is_kept_for_a_year_and_by_name_alone_is_asked_again(shared_site):
    visit = shared_site.browser()
    kept = visit.get(assets.address("css/tokens.css"))
    assert kept.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert kept.headers["content-type"].startswith("text/css")
    plain = visit.get("/console/static/css/tokens.css")
    assert plain.headers["cache-control"] == "no-cache"
    again = visit.get("/console/static/css/tokens.css", headers={"if-none-match": plain.headers["etag"]})
    assert again.status_code == 304


def test_only_files_of_the_folder_are_served(shared_site):
    visit = shared_site.browser()
    for name in ("../pages.py", "..%2fpages.py", "css/none.css", "", "/etc/passwd"):
        assert visit.get(f"/console/static/{name}").status_code == 404
