"""Films: submitted by a person, drawn for a while, settled exactly once, seen by nobody else."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from openai import BadRequestError

from billing.store import open_engine, verify
from gateway.keyring import Purpose
from gateway.videojobs import ASKING_S
from tests.conftest import ROOT
from tests.journeys.conftest import CONFIG, Gateway, install, serving
from tests.journeys.film_studio import FIRST_HALF, SECOND_HALF, film_studio

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.journeys.conftest import Simulator
    from tests.journeys.film_studio import Studio

pytestmark = pytest.mark.filterwarnings("ignore:The Sora API is scheduled:DeprecationWarning")

WAYS = ("good", "shorter", "fails", "loses", "endless", "silent", "html", "drips", "breaks")
PROVIDER = """
[[providers]]
name = "studio"
base_url = "{url}/v1"
zone = "external"
timeouts = {{ connect_s = 1.0, first_byte_s = 1.0, idle_s = 5.0, total_s = 10.0 }}

[[providers]]
name = "studio-house"
base_url = "{simulator}/house/v1"
zone = "in_house"

[[models]]
id = "house-video"
kind = "video"
deployments = [{{ provider = "studio-house", upstream_model = "good", price_key = "video" }}]

[[models]]
id = "silent-image"
kind = "image"
deployments = [{{ provider = "studio", price_key = "image" }}]

[[models]]
id = "silent-speech"
kind = "speech"
deployments = [{{ provider = "studio", price_key = "speech" }}]
"""
MODEL = """
[[models]]
id = "film-{way}"
kind = "video"
deployments = [{{ provider = "studio", upstream_model = "{way}", price_key = "video" }}]
"""
SECOND_NANO_KRW = 139_120_000_000
"""0.10 USD × 1391.20 won."""


@pytest.fixture(scope="module")
def studio() -> Iterator[Studio]:
    with film_studio() as made:
        yield made


def config(folder: Any, simulator: Simulator, studio: Studio) -> str:
    text = CONFIG.format(simulator=simulator.url, filter='in_house_model = "house-model"', faulty=studio.url)
    text = text.replace("drain_s = 1.0", "drain_s = 1.0\nvideo_poll_s = 0.1")
    text = text.replace('"sqlite:///haechi.db"', f'"sqlite:///{folder}/haechi.db"')
    text += "\n[routing]\nattempts = 1\n" + PROVIDER.format(url=studio.url, simulator=simulator.url)
    return text + "".join(MODEL.format(way=way) for way in WAYS)


def opened(folder: Any, simulator: Simulator, studio: Studio) -> Gateway:
    made = Gateway("", folder, install(folder, config(folder, simulator, studio)), simulator)
    for person in ("p1", "p2"):
        made.issue(person, person_id=person)
    return made


@pytest.fixture(scope="module")
def gateway(
    tmp_path_factory: pytest.TempPathFactory, simulator: Simulator, studio: Studio
) -> Iterator[Gateway]:
    made = opened(tmp_path_factory.mktemp("films"), simulator, studio)
    with serving(made.settings) as made.url:
        yield made


def submit(gateway: Gateway, way: str, seconds: int = 8, who: str = "p1") -> str:
    response = gateway.post(
        {"model": f"film-{way}", "prompt": "해치가 광화문을 지킨다", "seconds": seconds},
        who,
        path="/v1/videos",
    )
    assert response.status_code == 200, response.text
    return response.json()["id"]


def get(gateway: Gateway, path: str, who: str = "p1") -> httpx.Response:
    return httpx.get(
        f"{gateway.url}/v1/videos{path}", headers={"authorization": f"Bearer {gateway.keys[who]}"}, timeout=20
    )


def row_of(gateway: Gateway, video: str) -> dict[str, Any]:
    return gateway.rows("SELECT * FROM video_job WHERE id = :v", v=video)[0]


def settled(gateway: Gateway, video: str, within_s: float = 10.0) -> dict[str, Any]:
    """Wait for the poller; nobody asks the gateway for the job meanwhile."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        row = row_of(gateway, video)
        if row["settled_at_us"]:
            return row
        time.sleep(0.05)
    raise AssertionError(f"not settled: {row}")


def books_of(gateway: Gateway, video: str) -> list[dict[str, Any]]:
    return gateway.rows(
        "SELECT * FROM ledger_charge WHERE attempt_id = :a ORDER BY settled_at_us",
        a=row_of(gateway, video)["attempt_id"],
    )


def check_ledger(gateway: Gateway) -> None:
    engine = open_engine(gateway.settings.load_config().database_url)
    keyring = gateway.settings.keyring()
    keys = {len(keyring.masters): keyring.current(Purpose.LEDGER_CHAIN).key}
    assert verify(engine, keys).problems == ()
    engine.dispose()


# --- the usual way -------------------------------------------------------------------------------


def test_a_film_is_submitted_waited_for_and_fetched_by_the_openai_client(gateway: Gateway) -> None:
    with gateway.client() as client:
        raw = client.videos.with_raw_response.create(model="sim-video", prompt="해치의 하루", seconds="4")
        film = raw.parse()
        assert (film.status, film.seconds, film.model) == ("queued", "4", "sim-video")
        charge = gateway.charges(raw.headers["x-request-id"])[0]
        assert (charge["surface"], charge["source"], charge["video_ms"]) == ("videos", "partial", 4000)
        assert charge["amount_nano_krw"] == 4 * SECOND_NANO_KRW
        settled(gateway, film.id)
        assert client.videos.retrieve(film.id).status == "completed"
        assert b"ftyp" in client.videos.download_content(film.id).read()
        assert film.id in [one.id for one in client.videos.list(limit=1)]
    books = gateway.simulator.ledger()
    told = [one for one in books if one["kind"] == "answered" and one["attempt_id"] == charge["attempt_id"]]
    assert told[0]["tokens"] == {"video_ms": 4000}
    assert len(books_of(gateway, film.id)) == 1


def test_a_film_is_settled_though_nobody_comes_back(gateway: Gateway) -> None:
    video = submit(gateway, "good")
    assert settled(gateway, video)["status"] == "completed"
    assert [(one["kind"], one["amount_nano_krw"]) for one in books_of(gateway, video)] == [
        ("charge", 8 * SECOND_NANO_KRW)
    ]


def test_a_shorter_film_corrects_its_charge_and_the_ledger_still_verifies(gateway: Gateway) -> None:
    video = submit(gateway, "shorter", seconds=8)
    assert settled(gateway, video)["seconds"] == 4
    charge, correction = books_of(gateway, video)
    assert (correction["kind"], correction["corrects"]) == ("correction", charge["charge_id"])
    assert (correction["source"], correction["video_ms"]) == ("reported", -4000)
    assert charge["amount_nano_krw"] + correction["amount_nano_krw"] == 4 * SECOND_NANO_KRW
    lines = gateway.rows(
        "SELECT quantity FROM ledger_charge_line WHERE charge_id = :c ORDER BY line_no",
        c=correction["charge_id"],
    )
    assert [line["quantity"] for line in lines] == [-8000, 4000]
    check_ledger(gateway)


# --- what goes wrong -----------------------------------------------------------------------------


def test_a_film_that_failed_costs_nothing_and_says_so_in_our_words(gateway: Gateway) -> None:
    video = submit(gateway, "fails")
    settled(gateway, video)
    assert sum(one["amount_nano_krw"] for one in books_of(gateway, video)) == 0
    shown = get(gateway, f"/{video}").json()
    assert (shown["status"], shown["error"]["code"]) == ("failed", "moderation_blocked")
    assert "secret" not in json.dumps(shown)
    fetched = get(gateway, f"/{video}/content")
    assert (fetched.status_code, fetched.json()["error"]["code"]) == (400, "video_failed")


def test_a_film_that_its_provider_lost_keeps_its_estimate(gateway: Gateway, studio: Studio) -> None:
    video = submit(gateway, "loses")
    row = settled(gateway, video)
    assert (row["status"], row["failure"]) == ("failed", "lost_by_provider")
    assert studio.polls[row["upstream_id"]] == 3
    assert [one["amount_nano_krw"] for one in books_of(gateway, video)] == [8 * SECOND_NANO_KRW]


def test_a_film_is_not_given_out_before_it_is_done(gateway: Gateway) -> None:
    video = submit(gateway, "endless")
    for _ in range(100):
        if get(gateway, f"/{video}").json()["progress"] == 40:
            break
        time.sleep(0.05)
    fetched = get(gateway, f"/{video}/content")
    assert (fetched.status_code, fetched.json()["error"]["code"]) == (400, "video_not_ready")
    assert not row_of(gateway, video)["settled_at_us"]


@pytest.mark.parametrize(("way", "status"), [("silent", 504), ("html", 502)])
def test_a_submission_without_a_usable_answer_is_charged_as_asked_once(
    gateway: Gateway, way: str, status: int
) -> None:
    """The provider may be drawing: what was asked for is the estimate, and no job can be followed."""
    response = gateway.post({"model": f"film-{way}", "prompt": "해치", "seconds": 4}, path="/v1/videos")
    assert response.status_code == status
    (charge,) = gateway.charges(response.headers["x-request-id"])
    assert (charge["source"], charge["video_ms"]) == ("estimated", 4000)
    assert gateway.rows("SELECT id FROM video_job WHERE attempt_id = :a", a=charge["attempt_id"]) == []


@pytest.mark.parametrize(
    ("path", "body", "quantity"),
    [
        ("/v1/images/generations", {"model": "silent-image", "prompt": "해치", "n": 2}, ("images", 2)),
        (
            "/v1/audio/speech",
            {"model": "silent-speech", "voice": "alloy", "input": "안녕하세요"},
            ("characters", 5),
        ),
    ],
)
def test_what_a_silent_provider_may_have_made_is_charged_as_asked(
    gateway: Gateway, path: str, body: dict[str, Any], quantity: tuple[str, int]
) -> None:
    response = gateway.post(body, path=path)
    assert response.status_code == 504
    (charge,) = gateway.charges(response.headers["x-request-id"])
    assert (charge["source"], charge[quantity[0]]) == ("estimated", quantity[1])
    assert charge["amount_nano_krw"] > 0


def test_a_film_streams_while_its_provider_still_sends_it(gateway: Gateway, studio: Studio) -> None:
    video = submit(gateway, "drips")
    settled(gateway, video)
    studio.release.clear()
    headers = {"authorization": f"Bearer {gateway.keys['p1']}"}
    with httpx.stream("GET", f"{gateway.url}/v1/videos/{video}/content", headers=headers, timeout=20) as film:
        chunks = film.iter_raw()
        assert next(chunks) == FIRST_HALF
        studio.release.set()
        assert b"".join(chunks) == SECOND_HALF
        assert film.headers["content-type"] == "video/mp4"
        assert film.headers["content-disposition"] == "attachment"


def test_a_film_that_breaks_off_does_not_end_like_a_whole_one(gateway: Gateway) -> None:
    video = submit(gateway, "breaks")
    settled(gateway, video)
    with pytest.raises(httpx.RemoteProtocolError):
        get(gateway, f"/{video}/content")


# --- whose it is ---------------------------------------------------------------------------------


def delete(gateway: Gateway, video: str, who: str = "p1") -> httpx.Response:
    headers = {"authorization": f"Bearer {gateway.keys[who]}"}
    return httpx.delete(f"{gateway.url}/v1/videos/{video}", headers=headers, timeout=20)


def test_an_owner_deletes_a_film_and_its_charge_stays(gateway: Gateway) -> None:
    video = submit(gateway, "good")
    settled(gateway, video)
    attempt, charged = row_of(gateway, video)["attempt_id"], books_of(gateway, video)
    assert delete(gateway, video, "p2").status_code == 404
    with gateway.client() as client:
        assert client.videos.delete(video).deleted
    assert get(gateway, f"/{video}").status_code == 404
    assert delete(gateway, video).status_code == 404
    kept = gateway.rows("SELECT * FROM ledger_charge WHERE attempt_id = :a ORDER BY settled_at_us", a=attempt)
    assert kept == charged != []


def test_a_film_that_is_still_drawn_is_not_deleted(gateway: Gateway) -> None:
    video = submit(gateway, "endless")
    refused = delete(gateway, video)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "video_not_ready")
    assert get(gateway, f"/{video}").status_code == 200


def test_a_remix_is_refused_by_name(gateway: Gateway) -> None:
    video = submit(gateway, "good")
    refused = gateway.post({"prompt": "눈이 온다"}, path=f"/v1/videos/{video}/remix")
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "unsupported_feature")


def test_nobody_else_sees_a_film(gateway: Gateway) -> None:
    video = submit(gateway, "good")
    settled(gateway, video)
    for path in (f"/{video}", f"/{video}/content", f"?after={video}"):
        stranger = get(gateway, path, "p2")
        assert (stranger.status_code, stranger.json()["error"]["code"]) == (404, "video_not_found")
    assert video not in [one["id"] for one in get(gateway, "?limit=100", "p2").json()["data"]]
    assert httpx.get(f"{gateway.url}/v1/videos/{video}").status_code == 401


def test_a_list_goes_on_behind_the_last_of_a_page(gateway: Gateway) -> None:
    made = [submit(gateway, "good", seconds=1, who="p2") for _ in range(3)]
    first = get(gateway, "?limit=2", "p2").json()
    rest = get(gateway, f"?limit=2&after={first['last_id']}", "p2").json()
    assert [one["id"] for one in first["data"] + rest["data"]][:3] == made[::-1]
    assert (first["has_more"], first["object"]) == (True, "list")
    assert get(gateway, "?limit=3&order=asc", "p2").json()["data"][0]["id"] == made[0]


def test_a_prompt_is_inspected_and_a_picture_stays_in_house(gateway: Gateway) -> None:
    refused = gateway.post({"model": "film-good", "prompt": "주민번호 901010-1234567"}, path="/v1/videos")
    assert refused.json()["error"]["type"] == "sensitive_data_blocked"
    picture = ("seal.png", b"\x89PNG\r\n\x1a\n", "image/png")
    with gateway.client() as client:
        with pytest.raises(BadRequestError) as kept:
            client.videos.create(model="sim-video", prompt="움직이게", input_reference=picture)
        assert kept.value.code == "unreadable_part"
        film = client.videos.create(
            model="house-video", prompt="움직이게", input_reference=picture, seconds="4"
        )
    assert settled(gateway, film.id)["status"] == "completed"


@pytest.mark.parametrize(
    ("change", "code", "param"),
    [
        ({"prompt": None}, "missing_field", "prompt"),
        ({"seconds": 0}, "invalid_value", "seconds"),
        ({"seconds": "많이"}, "invalid_type", "seconds"),
        ({"seconds": 4.5}, "invalid_type", "seconds"),
        ({"seconds": 10**9}, "invalid_value", "seconds"),
        (
            {"input_reference": {"image_url": "https://x.example/a.png"}},
            "unsupported_feature",
            "input_reference",
        ),
        ({"stream": True}, "unsupported_feature", "stream"),
        ({"model": "sim-large"}, "unsupported_feature", "model"),
    ],
)
def test_bad_input_is_named_and_not_sent(
    gateway: Gateway, studio: Studio, change: dict[str, Any], code: str, param: str
) -> None:
    before = len(studio.jobs)
    response = gateway.post({"model": "film-good", "prompt": "해치", **change}, path="/v1/videos")
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (400, code, param)
    assert len(studio.jobs) == before


@pytest.mark.parametrize("path", ["/video_1", "/%00", "/video_x/content", "?after=video_1"])
def test_a_film_that_is_not_there_is_not_found(gateway: Gateway, path: str) -> None:
    response = get(gateway, path)
    assert (response.status_code, response.json()["error"]["code"]) == (404, "video_not_found")


@pytest.mark.parametrize("path", ["?limit=0", "?limit=many", "?order=up"])
def test_a_wrong_word_in_the_address_is_refused(gateway: Gateway, path: str) -> None:
    assert get(gateway, path).status_code == 400


# --- restarts and workers ------------------------------------------------------------------------


def test_a_restart_in_the_middle_loses_no_film(tmp_path: Any, simulator: Simulator, studio: Studio) -> None:
    made = opened(tmp_path, simulator, studio)
    studio.held = True
    try:
        with serving(made.settings) as made.url:
            video = submit(made, "shorter")
        assert not row_of(made, video)["settled_at_us"]
    finally:
        studio.held = False
    with serving(made.settings) as made.url:
        settled(made, video)
    assert sum(one["amount_nano_krw"] for one in books_of(made, video)) == 4 * SECOND_NANO_KRW
    check_ledger(made)


def test_a_gateway_that_is_killed_loses_no_film(tmp_path: Any, simulator: Simulator, studio: Studio) -> None:
    made = opened(tmp_path, simulator, studio)
    studio.held = True
    try:
        with killable(made) as process:
            video = submit(made, "shorter")
            process.kill()
            process.wait(10)
    finally:
        studio.held = False
    with serving(made.settings) as made.url:
        settled(made, video, within_s=2 * ASKING_S + 10)  # who is killed while it asks keeps its turn
    assert [one["kind"] for one in books_of(made, video)] == ["charge", "correction"]
    check_ledger(made)


@contextmanager
def killable(made: Gateway) -> Iterator[subprocess.Popen[bytes]]:
    """Serve in a process of its own, as `haechi serve` starts it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {**os.environ, **made.settings.environment()}
    command = [sys.executable, "-m", "uvicorn", "--factory", "gateway.app:create", "--port", str(port)]
    process = subprocess.Popen(
        command, env=env, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    made.url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(400):
            assert process.poll() is None, "the gateway did not start"
            try:
                httpx.get(f"{made.url}/livez")
                break
            except httpx.ConnectError:
                time.sleep(0.05)
        yield process
    finally:
        process.kill()
        process.wait(10)


def test_two_gateways_settle_each_film_once(tmp_path: Any, simulator: Simulator, studio: Studio) -> None:
    made = opened(tmp_path, simulator, studio)
    with serving(made.settings) as made.url, serving(made.settings):
        films = [submit(made, way) for way in ("shorter", "fails", "good") for _ in range(4)]
        for film in films:
            settled(made, film)
    kinds = [[one["kind"] for one in books_of(made, film)] for film in films]
    assert kinds == [["charge", "correction"]] * 8 + [["charge"]] * 4
    check_ledger(made)


def test_a_film_settled_twice_by_a_process_that_died_in_between_is_corrected_once(
    gateway: Gateway,
) -> None:
    """As if it had died after its correction was durable and before the job was marked."""
    video = submit(gateway, "shorter")
    settled(gateway, video)
    from sqlalchemy import text

    engine = open_engine(gateway.settings.load_config().database_url)
    with engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE video_job SET settled_at_us = NULL, next_poll_us = 0, status = 'queued' WHERE id = :v"
            ),
            {"v": video},
        )
    engine.dispose()
    assert settled(gateway, video)["status"] == "completed"
    assert [one["kind"] for one in books_of(gateway, video)] == ["charge", "correction"]
    check_ledger(gateway)
