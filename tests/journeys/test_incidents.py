"""From a staff prompt that is refused to the exception by which it passes, through the real gateway."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from billing.store import open_engine
from filters.engine import Engine
from gateway.audit import Actor
from gateway.errors import InvalidRequest
from gateway.incidents.desk import ReviewDesk
from gateway.incidents.records import ExceptionScope, IncidentFilter, Seen
from gateway.incidents.states import Resolution, Reviewer, Severity
from gateway.store.audit import audited, verify_audit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.journeys.conftest import Gateway

NUMBER = "900101-1234568"
PROMPT = f"주민등록번호 {NUMBER} 인 민원인에게 보낼 안내문을 써 주세요."
PARK = Reviewer(Actor("park", ("reviewer",)))
CHOI = Reviewer(Actor("choi", ("reviewer",)))


@pytest.fixture(scope="module")
def filter_table() -> str:
    return 'in_house_model = "house-model"\n\n[review]\nstore_text = true'


@pytest.fixture
def desk(gateway: Gateway) -> Iterator[ReviewDesk]:
    config, keyring = gateway.settings.load_config(), gateway.settings.keyring()
    engine = open_engine(config.database_url)
    yield ReviewDesk(audited(engine, lambda: keyring), keyring, config.review)
    engine.dispose()


def ask(
    gateway: Gateway, text: str, *, who: str = "p1", model: str = "sim-large", stream: bool = False
) -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": text}], "stream": stream}
    return gateway.post(body, who)


def own(gateway: Gateway, request_id: str, who: str = "p1") -> httpx.Response:
    headers = {"authorization": f"Bearer {gateway.keys[who]}"}
    return httpx.get(f"{gateway.url}/api/incidents/own/{request_id}", headers=headers, timeout=20)


@pytest.mark.parametrize("stream", [False, True])
def test_a_refused_prompt_is_an_incident_with_its_receipt_and_sealed_text(
    gateway: Gateway, desk: ReviewDesk, *, stream: bool
) -> None:
    answer = ask(gateway, PROMPT, stream=stream)
    request_id = answer.headers["x-request-id"]

    error = answer.json()["error"]
    assert answer.status_code == 400
    assert error["report"]["body"] == {"request_id": request_id}
    assert error["preview"]["path"] == "/v1/filter/preview"
    assert "오탐 신고" in error["message"]
    (receipt,) = gateway.rows("SELECT * FROM receipt WHERE request_id = :r", r=request_id)
    (row,) = gateway.rows("SELECT * FROM incident WHERE id = :r", r=request_id)
    (content,) = gateway.rows("SELECT * FROM incident_content WHERE incident_id = :r", r=request_id)
    assert (row["action"], row["person_id"], row["at_us"]) == ("block", "p1", receipt["at_us"])
    assert NUMBER not in str(content)
    text = desk.detail(request_id, PARK, datetime.now(UTC)).text
    pieces = [piece for part in text.parts for piece in part.pieces]
    assert any(piece.type == "KR_RRN" and not piece.revealed for piece in pieces)
    assert NUMBER not in "".join(piece.text for piece in pieces)


def test_what_is_kept_in_house_is_one_incident_beside_its_charge(gateway: Gateway) -> None:
    answer = ask(gateway, "비공개\n\n행사 계획을 요약해 주세요.")
    request_id = answer.headers["x-request-id"]

    assert answer.status_code == 200
    assert len(gateway.charges(request_id)) == 1
    (row,) = gateway.rows("SELECT * FROM incident WHERE id = :r", r=request_id)
    assert (row["action"], row["model_id"]) == ("route", "house-model")


def test_what_passes_masked_or_as_it_is_makes_no_incident(gateway: Gateway) -> None:
    for text in ("안녕하세요.", "연락처 010-1234-5678로 회신해 주세요."):
        request_id = ask(gateway, text).headers["x-request-id"]
        assert gateway.rows("SELECT * FROM incident WHERE id = :r", r=request_id) == []


IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
SAID = {"type": "text", "text": "이 그림을 설명해 주세요."}


@pytest.mark.parametrize(
    ("content", "types", "severity", "places"),
    [
        ([SAID, IMAGE], {"UNREAD_IMAGE": 1}, Severity.LOW, ["messages[0].content[1]"]),
        (
            [{"type": "text", "text": "연락처 010-1234-5678"}, IMAGE, IMAGE],
            {"UNREAD_IMAGE": 2, "PHONE_NUMBER": 1},
            Severity.LOW,
            ["messages[0].content[1]", "messages[0].content[2]"],
        ),
        (
            [{"type": "image_url", "image_url": {"url": "https://intra.seoul.example/plan.png"}}],
            {"UNREAD_IMAGE": 1, "UNREAD_REMOTE": 1},
            Severity.MEDIUM,
            ["messages[0].content[0]", "messages[0].content[0].image_url.url"],
        ),
        (
            [{"type": "text", "text": "data:application/pdf;base64,JVBERi0xLjcK"}],
            {"UNREAD_FILE": 1},
            Severity.LOW,
            ["messages[0].content[0].text"],
        ),
        ([{"type": "text", "text": "가"}] * 20_001, {"UNREAD_TOO_LARGE": 1}, Severity.MEDIUM, ["*"]),
    ],
    ids=["a picture", "pictures beside a number", "one to be fetched", "a file", "too long a text"],
)
def test_what_nobody_could_read_is_refused_and_comes_before_the_reviewers(
    gateway: Gateway,
    desk: ReviewDesk,
    content: list[Any],
    types: dict[str, int],
    severity: Severity,
    places: list[str],
) -> None:
    body = {"model": "sim-large", "messages": [{"role": "user", "content": content}]}
    answer = gateway.post(body)
    request_id = answer.headers["x-request-id"]

    assert answer.status_code == 400
    assert answer.json()["error"]["report"]["body"] == {"request_id": request_id}
    (receipt,) = gateway.rows("SELECT * FROM receipt WHERE request_id = :r", r=request_id)
    assert (receipt["action"], receipt["attempts"]) == ("block", 0)
    assert json.loads(receipt["unscanned"]) == places
    detail = desk.detail(request_id, PARK, datetime.now(UTC))
    assert (detail.incident.counts, detail.incident.reasons) == (types, ("unread",))
    assert (detail.incident.action, detail.incident.severity) == ("block", severity)
    assert detail.text.state == ("none" if places == ["*"] else "stored")
    assert {one.type for one in detail.findings} == set(types)
    found = desk.each(IncidentFilter(type=next(iter(types))))
    assert request_id in {one.id for one in found}


def test_an_inspection_that_does_not_finish_sends_nothing_and_is_seen(
    gateway: Gateway, desk: ReviewDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_engine: Engine, _text: str) -> list[Any]:
        raise MemoryError(NUMBER)

    sent = len(gateway.simulator.ledger())
    monkeypatch.setattr(Engine, "detect", fails)
    answer = ask(gateway, f"아무도 검사하지 못한 번호 {NUMBER}")
    monkeypatch.undo()

    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "filter_failed")
    assert len(gateway.simulator.ledger()) == sent
    detail = desk.detail(answer.headers["x-request-id"], PARK, datetime.now(UTC))
    assert (detail.incident.counts, detail.incident.severity) == ({"UNREAD_UNFINISHED": 1}, Severity.MEDIUM)
    assert detail.text.state == "none"
    (receipt,) = gateway.rows("SELECT * FROM receipt WHERE request_id = :r", r=detail.incident.id)
    assert json.loads(receipt["unscanned"]) == ["*"]
    assert NUMBER not in str(receipt)


def test_a_look_at_a_picture_before_it_is_sent_leaves_nothing(gateway: Gateway) -> None:
    body = {"model": "sim-large", "messages": [{"role": "user", "content": [SAID, IMAGE]}]}
    answer = gateway.post(body, path="/v1/filter/preview")

    assert answer.status_code == 400
    request_id = answer.headers["x-request-id"]
    assert gateway.rows("SELECT * FROM receipt WHERE request_id = :r", r=request_id) == []


def test_nothing_that_nobody_could_read_is_excepted(desk: ReviewDesk) -> None:
    until = datetime.now(UTC) + timedelta(days=3)
    with pytest.raises(InvalidRequest, match="open_parts"):
        desk.propose(ExceptionScope("UNREAD_IMAGE", rule="unread"), until, PARK, datetime.now(UTC), "급함")


def test_a_false_alarm_is_reported_excepted_by_two_and_passes_within_a_second(
    gateway: Gateway, desk: ReviewDesk
) -> None:
    blocked = ask(gateway, PROMPT).headers["x-request-id"]
    reported = gateway.post(
        {"request_id": blocked, "note": "교육용 예시 번호입니다"},
        path="/api/incidents/report",
        headers={"content-type": "application/json"},
    )
    assert reported.status_code == 200, reported.text
    assert own(gateway, blocked).json()["findings"][0]["type"] == "KR_RRN"
    assert own(gateway, blocked, "p2").status_code == 404

    now = datetime.now(UTC)
    detail = desk.detail(blocked, PARK, now)
    assert detail.note == "교육용 예시 번호입니다"
    desk.reveal(blocked, "span", 0, PARK, now, "예시 번호인지 확인")
    pieces = [p for part in desk.detail(blocked, PARK, now).text.parts for p in part.pieces]
    assert NUMBER in [piece.text for piece in pieces if piece.revealed]
    seen = [Seen(blocked, desk.incident(blocked).version)]
    assert desk.resolve(seen, Resolution.FALSE_POSITIVE, PARK, now, "예시 번호").done
    found = detail.findings[0]
    scope = ExceptionScope(found.type, value_hash=found.value_hash, finding_key_id=found.finding_key_id)
    proposed = desk.propose(scope, now + timedelta(days=30), PARK, now, "예시 번호", incident_id=blocked)
    assert ask(gateway, PROMPT).status_code == 400, "nothing passes before a second person approves"
    approved = desk.approve(proposed.id, proposed.version, CHOI, now, "확인")

    passed = _within_a_second(lambda: ask(gateway, PROMPT), 200)
    (receipt,) = gateway.rows("SELECT * FROM receipt WHERE request_id = :r", r=passed.headers["x-request-id"])
    assert receipt["action"] == "allow"
    assert proposed.id in str(receipt["findings"])
    assert ask(gateway, PROMPT.replace(NUMBER, "850505-2345679")).status_code == 400, "one value only"

    desk.revoke(proposed.id, approved.version, PARK, now, "끝")
    _within_a_second(lambda: ask(gateway, PROMPT), 400)
    assert verify_audit(desk.database, desk.keyring).problems == ()


def _within_a_second(again: Any, status: int) -> httpx.Response:
    """Ask until it answers so; the snapshot is polled twice a second."""
    deadline = time.monotonic() + 1.0
    while (answer := again()).status_code != status:
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.05)
    return answer  # type: ignore[no-any-return]
