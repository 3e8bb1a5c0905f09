"""내 사용량, 내 API 키, 시작, 모델, 연결: what one person sees and does of their own."""

from __future__ import annotations

import csv
import html
import io
import re
import shutil
from datetime import UTC, datetime, timedelta

import pytest

from gateway.keyring import Purpose
from gateway.organisation import Grant
from gateway.permissions import Role
from gateway.store.audit import AuditFilter, read_audit
from gateway.store.organisation import create_key, keys_of
from tests.console.conftest import opened_site

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7*7 }}",
    '=HYPERLINK("http://evil")',
    "이름\u202egnp.exe",
    "🙂" * 50,
    "가" * 10_000,
]


def make(visit, label="사무실", days="90", **more):
    visit.get("/console/keys")
    form = {"label": label, "days": days, "form_id": visit.hidden("form_id"), **more}
    return visit.post("/console/keys", form)


def shown_secret(answer):
    found = re.search(r"hk-[A-Za-z0-9_-]{20,}", answer.text)
    assert found, answer.text[:300]
    return found[0]


def own_keys(site):
    return keys_of(site.database, "S1")


MODELS = """
[[providers]]
name = "house"
base_url = "http://127.0.0.1:9/v1"
zone = "in_house"

[[models]]
id = "house-model"
deployments = [{ provider = "house", price_key = "house" }]

[[prices]]
key = "house"
from = 2026-01-01
currency = "KRW"
input = "100"
output = "0.5"
source = "test"
checked = 2026-11-22
"""


@pytest.fixture(scope="module")
def stocked(furnished, tmp_path_factory):
    """The office with a model in its catalogue."""
    folder = tmp_path_factory.mktemp("stocked")
    shutil.copytree(furnished, folder, dirs_exist_ok=True)
    with (folder / "haechi.toml").open("a") as config:
        config.write(MODELS)
    with opened_site(folder, tmp_path_factory.mktemp("console")) as made:
        yield made


# --- keys ---------------------------------------------------------------------------------------------------


def test_a_new_key_is_shown_once_and_works(site):
    visit = site.visit("staff")
    answer = make(visit, "시험")
    secret = shown_secret(answer)
    assert answer.headers["cache-control"] == "no-store"
    assert secret not in visit.get("/console/keys").text
    assert secret not in visit.get(f"/console/keys/{own_keys(site)[0].id}").text
    site.parts.directory.refresh()
    models = visit.client.get("/v1/models", headers={"authorization": f"Bearer {secret}"})
    assert models.status_code == 200


def test_a_form_that_is_sent_twice_makes_one_key(site):
    visit = site.visit("staff")
    visit.get("/console/keys")
    form = {"label": "한 번", "days": "90", "form_id": visit.hidden("form_id"), "csrf": visit.hidden("csrf")}
    first = visit.client.post("/console/keys", data=form)
    second = visit.client.post("/console/keys", data=form)
    assert first.status_code == 200
    assert second.headers["location"] == "/console/keys?notice=key-already-made"
    assert [key.grant.label for key in own_keys(site)] == ["한 번"]


def test_whatever_a_key_is_called_is_shown_as_plain_text(site):
    visit = site.visit("staff")
    for label in HOSTILE:
        assert make(visit, label).status_code == 200, label[:20]
        kept = own_keys(site)[0].grant.label
        assert len(kept) <= 80
        assert "\u202e" not in kept
        page = visit.get("/console/keys").text
        assert html.escape(kept, quote=False) in page.replace("&#39;", "'").replace("&#34;", '"')
        assert "<script>alert" not in page
        assert "<img src=x" not in page


def test_a_form_with_a_mistake_says_which_and_makes_no_key(site):
    visit = site.visit("staff")
    for label in ("", "   ", "\u202e\u200b", "\0"):
        answer = make(visit, label)
        assert answer.status_code == 400
        assert "키 이름을 적으세요." in answer.text
    for days in ("", "0", "-1", "99999", "１２", "1e9", "30; --"):
        assert "목록에 있는 기간을 고르세요." in make(visit, days=days).text
    for form_id in ("", "../../x", "G" * 16, "0" * 17):
        assert make(visit, form_id=form_id).status_code == 400
    assert own_keys(site) == []


def test_nobody_collects_keys_without_end(site):
    visit = site.visit("staff")
    for number in range(20):
        assert make(visit, f"키 {number}").status_code == 200
    assert make(visit, "하나 더").status_code == 400
    assert len(own_keys(site)) == 20


def test_a_key_is_renamed_and_revoked_by_its_owner_and_the_audit_knows(site):
    visit = site.visit("staff")
    make(visit, "옛 이름")
    key = own_keys(site)[0]
    visit.get(f"/console/keys/{key.id}")
    assert visit.post(f"/console/keys/{key.id}/name", {"label": "새 이름"}).status_code == 303
    assert own_keys(site)[0].grant.label == "새 이름"
    visit.get(f"/console/keys/{key.id}")
    assert visit.post(f"/console/keys/{key.id}/revoke").headers["location"].endswith("notice=key-revoked")
    assert own_keys(site)[0].revoked_at is not None
    visit.get("/console/keys")
    again = visit.post(f"/console/keys/{key.id}/revoke")
    assert again.headers["location"].endswith("notice=key-already-revoked")
    events = [row.action for row in read_audit(site.database, AuditFilter(actor="staff", action="key"))]
    assert sorted(events) == ["key.create", "key.rename", "key.revoke"]


def test_another_persons_key_is_not_there(site):
    hash_key = site.parts.keyring.current(Purpose.API_KEY_HASH)
    now = datetime.now(UTC)
    other, _ = create_key(site.database, hash_key, Grant("남의 키", person_id="S2"), at=now, actor="test")
    visit = site.visit("staff")
    assert visit.get(f"/console/keys/{other.id}").status_code == 404
    visit.get("/console/keys")
    for what in ("name", "revoke"):
        assert visit.post(f"/console/keys/{other.id}/{what}", {"label": "x"}).status_code == 404
    assert "남의 키" not in visit.get("/console/keys").text
    assert keys_of(site.database, "S2")[0].revoked_at is None


def test_an_ended_key_says_how_it_ended_and_offers_nothing(site):
    hash_key = site.parts.keyring.current(Purpose.API_KEY_HASH)
    now = datetime.now(UTC)
    grant = Grant("지난 키", person_id="S1", expires_at=now - timedelta(days=1))
    old, _ = create_key(site.database, hash_key, grant, at=now - timedelta(days=90), actor="test")
    page = site.visit("staff").get(f"/console/keys/{old.id}").text
    assert "만료됨" in page
    assert "/revoke" not in page


# --- use ----------------------------------------------------------------------------------------------------


def test_use_without_any_says_so_and_exports_an_empty_list(shared_site):
    visit = shared_site.visit("staff")
    page = visit.get("/console/usage").text
    assert "이 달에는 사용한 내역이 없습니다" in page
    answer = visit.get("/console/usage?format=csv")
    rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert rows == [["모델", "요청", "입력 토큰", "출력 토큰", "토큰 합계", "비용(원)"]]


@pytest.mark.parametrize(
    "query",
    [
        "month=1999-01",
        "month=%00",
        "by=nothing",
        "sort=password&order=x",
        "page=-1",
        "page=99999999999",
        "size=7",
    ],
)
def test_an_address_that_makes_no_sense_shows_the_usual_page(shared_site, query):
    assert shared_site.visit("staff").get(f"/console/usage?{query}").status_code == 200


def test_an_account_without_a_person_is_told_why_there_is_nothing(site):
    site.make("outsider", Role.STAFF)
    visit = site.visit("outsider")
    for path in ("/console/usage", "/console/keys"):
        answer = visit.get(path)
        assert answer.status_code == 403
        assert "직원과 연결되어 있지 않아" in answer.text
    assert visit.get("/console").status_code == 200


# --- start, models, connect -----------------------------------------------------------------------------------


@pytest.mark.parametrize("role", list(Role))
def test_every_role_has_a_start_page_in_both_languages(shared_site, role):
    visit = shared_site.visit(role.value)
    korean = visit.get("/console", headers={"accept-language": "ko"})
    english = visit.get("/console", headers={"accept-language": "en"})
    assert "오늘 할 일" in korean.text
    assert "what needs you today" in english.text
    assert english.headers["content-language"] == "en"


def test_staff_without_a_key_are_led_to_one(site):
    visit = site.visit("staff")
    assert "아직 쓸 수 있는 키가 없습니다" in visit.get("/console").text
    make(visit)
    assert "아직 쓸 수 있는 키가 없습니다" not in visit.get("/console").text


def test_a_reviewer_and_an_administrator_see_models_without_prices(stocked):
    for role, priced in (("staff", True), ("finance", True), ("reviewer", False), ("administrator", False)):
        visit = stocked.visit(role)
        listed = visit.get("/console/models").text
        model = re.search(r'href="(/console/models/[^"?]+)"', listed)[1]
        assert ("단가" in listed) == priced, role
        assert ("공시 단가" in visit.get(model).text) == priced, role
        exported = visit.get("/console/models?format=csv").content.decode("utf-8-sig").splitlines()[0]
        assert ("단가" in exported) == priced, role


def test_a_model_that_is_not_there_is_answered_clearly(shared_site):
    for name in ("none", "../../etc", "%3Cscript%3E", "a/b/c"):
        answer = shared_site.visit("staff").get(f"/console/models/{name}")
        assert answer.status_code == 404
        assert "<script>" not in answer.text


def test_the_settings_to_copy_carry_this_address_and_an_open_model(stocked):
    page = html.unescape(stocked.visit("staff").get("/console/connect").text)
    assert 'base_url="https://testserver/v1"' in page
    chosen = re.search(r'<option value="([^"]+)" selected>', page)[1]
    assert f'model="{chosen}"' in page
    assert chosen in stocked.parts.config.catalogue.models


def test_a_model_that_is_not_offered_is_not_put_into_the_settings(shared_site):
    page = shared_site.visit("staff").get('/console/connect?model="><script>').text
    assert "<script>" not in page.replace('<script type="module"', "")


# --- preferences ------------------------------------------------------------------------------------------------


def prefer(visit, **form):
    return visit.client.post("/console/preferences", data=form)


def test_language_and_brightness_are_kept_in_the_browser_before_sign_in_too(shared_site):
    visit = shared_site.browser()
    answer = prefer(visit, language="en", theme="dark", next="/console/sign-in?next=%2Fconsole%2Fkeys")
    assert answer.headers["location"] == "/console/sign-in?next=%2Fconsole%2Fkeys"
    page = visit.get("/console/sign-in").text
    assert '<html lang="en" data-theme="dark">' in page
    for cookie in answer.headers.get_list("set-cookie"):
        assert {"HttpOnly", "SameSite=lax", "Secure"} <= {part.strip() for part in cookie.split(";")}


@pytest.mark.parametrize(
    "target",
    ["https://evil.example/", "//evil.example", "/console/../v1", "javascript:alert(1)", "/other", ""],
)
def test_preferences_lead_back_into_the_console_only(shared_site, target):
    answer = prefer(shared_site.browser(), theme="light", next=target)
    assert answer.headers["location"] == "/console"


def test_the_language_goes_with_the_account_to_another_browser(site):
    prefer(site.visit("staff"), language="en", next="/console")
    elsewhere = site.browser()
    elsewhere.sign_in("staff")
    assert elsewhere.get("/console", headers={"accept-language": "ko"}).headers["content-language"] == "en"


def test_a_preference_that_is_not_offered_is_not_kept(shared_site):
    answer = prefer(shared_site.browser(), language="xx", theme="<script>", next="/console")
    assert "set-cookie" not in answer.headers
