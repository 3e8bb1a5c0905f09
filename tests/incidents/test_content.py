"""What is kept of a prompt: whole, bounded, sealed, masked before a reviewer, and gone after its day."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from billing.store import open_engine
from gateway.audit import Actor
from gateway.errors import Conflict, Forbidden, InvalidRequest
from gateway.housekeeping import Housekeeping
from gateway.incidents.content import MASK, body_of, pack, shown, span_count, stored_text, unpack
from gateway.incidents.records import StoredPart, StoredSpan, StoredText
from gateway.store.audit import AuditFilter, read_audit, verify_audit
from gateway.store.database import migrate
from gateway.store.incident_statistics import incidents_without_text
from gateway.store.incident_tables import incident_content
from tests.incidents.databases import both, engine, migrated
from tests.incidents.office import (
    BLOCKED,
    CHOI,
    KEPT,
    KEYS,
    NOW,
    PARK,
    RRN,
    asked,
    desk,
    happen,
    inspector,
    prompt,
)

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine

    from gateway.incidents.records import Piece, ShownText

__all__ = ["engine", "migrated"]
HOSTILE = [
    "<script>alert(1)</script><img src=x onerror=alert(2)>",
    "이름은 \u202egnp.exe\u202c 파일입니다",
    "\x00\x01\x1b[31m붉은\x07",
    "lorem <b>ipsum</b> " * 55_000,
    "\ud800 a lone surrogate",
    "'; DROP TABLE incident; --",
]


def kept(body: Any, most: int = 1_000_000) -> StoredText:
    _, verdict, detection = asked(body)
    from gateway.keyring import Purpose

    key = KEYS.current(Purpose.FINDING_HASH).key
    return stored_text(detection, verdict.findings, key, most)


def pieces(text: ShownText) -> list[Piece]:
    return [piece for part in text.parts for piece in part.pieces]


def test_a_stored_text_holds_each_finding_in_its_own_part() -> None:
    body = prompt("안녕하세요", f"첫째 {RRN}", f"둘째 850505-2345679 와 {RRN}")
    text = kept(body)
    assert [len(part.spans) for part in text.parts] == [0, 1, 2, 0]  # the model's name is a part, too
    for part in text.parts:
        for span in part.spans:
            assert part.text[span.start : span.end] in (RRN, "850505-2345679")
    assert text.complete
    assert unpack(pack(text)) == text


def test_parts_that_share_a_path_keep_their_own_findings() -> None:
    text = kept({"model": "m", "messages": [{"role": "user", "content": "x"}], "성명": "가", "주소": RRN})
    (holder,) = [part for part in text.parts if part.spans]
    assert holder.text == RRN


def test_the_body_that_is_kept_is_inspected_to_the_same_findings() -> None:
    tool = {"type": "function", "function": {"name": "find", "description": f"번호 {RRN}"}}
    body = {**prompt("안녕", BLOCKED), "tools": [tool], "metadata": {"성명": "홍길동", "나이": 44_000_000}}
    again = inspector().detect(body_of(kept(body)))
    first = inspector().detect(body)
    assert [(f.span.type, f.span.start) for f in again.found] == [
        (f.span.type, f.span.start) for f in first.found
    ]


def test_what_is_too_long_is_left_out_the_oldest_without_findings_first() -> None:
    body = prompt("가" * 500, BLOCKED, "나" * 500)
    text = kept(body, most=len(BLOCKED) + 600)
    assert [part.text[0] for part in text.parts] == ["민", "나", "s"]
    assert (text.omitted, text.complete) == (1, False)


_TEXTS = st.text(max_size=40)


@settings(max_examples=50)
@given(st.lists(st.tuples(_TEXTS, st.lists(st.tuples(st.integers(0, 40), st.integers(1, 12)), max_size=4))))
def test_no_character_of_a_finding_is_shown_before_it_is_revealed(
    parts: list[tuple[str, list[tuple[int, int]]]],
) -> None:
    made = StoredText(tuple(_part(text, places) for text, places in parts))
    number = span_count(made)

    masked = shown(made, lambda _: False)
    everything = shown(made, lambda _: True)

    for part, hidden, clear in zip(made.parts, masked, everything, strict=True):
        assert "".join(piece.text for piece in clear.pieces) == part.text
        covered = {i for span in part.spans for i in range(span.start, span.end)}
        plain = "".join(piece.text for piece in hidden.pieces if piece.span is None)
        assert plain == "".join(c for i, c in enumerate(part.text) if i not in covered)
        assert all(piece.text == MASK for piece in hidden.pieces if piece.span is not None)
    for one in range(number):
        half = shown(made, lambda n, one=one: n == one)
        assert all(p.span == one for part in half for p in part.pieces if p.revealed)


def _part(text: str, places: list[tuple[int, int]]) -> StoredPart:
    spans = tuple(
        StoredSpan(start, min(start + length, len(text)), "PERSON", "", 0.9, "rule", "mask", "h")
        for start, length in sorted(places)
        if start < len(text)
    )
    return StoredPart(("messages", 0, "content"), "messages[0].content", "user", 0, "", text, spans)


def test_a_detail_masks_every_value_and_a_reveal_opens_one_for_its_time(engine: Engine) -> None:
    queue = desk(engine)
    one = happen(engine, prompt(f"{RRN} 그리고 주민등록번호 850505-2345679"))
    masked = pieces(queue.detail(one, PARK, NOW).text)
    assert [p.text for p in masked if p.span is not None] == [MASK, MASK]

    with pytest.raises(InvalidRequest):
        queue.reveal(one, "span", 1, PARK, NOW, "")
    with pytest.raises(InvalidRequest):
        queue.reveal(one, "span", 7, PARK, NOW, "번호 확인")
    made = queue.reveal(one, "span", 1, PARK, NOW, "번호 확인")

    opened = [p.text for p in pieces(queue.detail(one, PARK, NOW).text) if p.span is not None]
    assert opened == [MASK, "850505-2345679"]
    assert [p for p in pieces(queue.detail(one, CHOI, NOW).text) if p.revealed] == [], "only who asked"
    late = NOW + timedelta(minutes=KEPT.reveal_minutes)
    assert not made.is_open(late)
    assert [p for p in pieces(queue.detail(one, PARK, late).text) if p.revealed] == []
    (event,) = read_audit(engine, AuditFilter(action="incident.reveal"))
    assert (event.actor, event.reason, event.details["span"]) == ("park", "번호 확인", 1)
    assert "850505" not in str(event)


@both
def test_a_full_text_waits_for_a_second_person_where_policy_says_so(engine: Engine) -> None:
    queue = desk(engine, replace(KEPT, two_person_text=True))
    one = happen(engine, prompt(BLOCKED))
    asked_for = queue.reveal(one, "all", None, PARK, NOW, "전체 맥락")
    assert asked_for.state == "asked"
    assert [p for p in pieces(queue.detail(one, PARK, NOW).text) if p.revealed] == []
    assert [waiting.id for waiting in queue.waiting_reveals()] == [asked_for.id]

    with pytest.raises(Forbidden):
        queue.decide_reveal(asked_for.id, True, PARK, NOW)
    queue.decide_reveal(asked_for.id, True, CHOI, NOW, "함께 봄")

    text = queue.detail(one, PARK, NOW).text
    assert "".join(p.text for p in text.parts[0].pieces) == BLOCKED
    with pytest.raises(Conflict):
        queue.decide_reveal(asked_for.id, False, CHOI, NOW)
    assert queue.waiting_reveals() == []
    actions = [line.action for line in queue.history(one, PARK, NOW)]
    assert actions == ["reveal_ask", "reveal"]


def test_who_the_person_is_is_opened_like_a_value(engine: Engine) -> None:
    queue = desk(engine)
    one = happen(engine, prompt(BLOCKED), rules=replace(KEPT, store_text=False))
    assert not queue.detail(one, PARK, NOW).person_open
    queue.reveal(one, "person", None, PARK, NOW, "본인에게 확인")
    assert queue.detail(one, PARK, NOW).person_open
    with pytest.raises(Conflict):
        queue.reveal(one, "all", None, PARK, NOW, "원문 확인")


@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_is_kept_and_given_back_as_it_was(engine: Engine, hostile: str) -> None:
    queue = desk(engine)
    one = happen(engine, prompt(f"{hostile}\n{BLOCKED}"))
    part, _ = queue.detail(one, PARK, NOW).text.parts
    assert "".join(p.text for p in part.pieces if p.span is None) == f"{hostile}\n{BLOCKED}".replace(RRN, "")


@both
def test_after_its_day_the_key_is_destroyed_and_the_trail_still_holds(engine: Engine) -> None:
    queue = desk(engine)
    one = happen(engine, prompt(BLOCKED))
    young = happen(engine, prompt(BLOCKED), at=NOW + timedelta(days=1))
    queue.reveal(one, "span", 0, PARK, NOW, "확인")
    end = NOW + timedelta(days=KEPT.text_days)

    assert queue.expire(end) == 1
    assert queue.expire(end) == 0

    detail = queue.detail(one, PARK, NOW)
    assert (detail.text.state, detail.text.destroyed_at) == ("destroyed", end)
    assert detail.findings[0].type == "KR_RRN", "the facts stay"
    assert queue.detail(young, PARK, NOW).text.state == "stored"
    assert [incident for incident, _ in queue.texts(NOW)] == [young]
    with engine.connect() as connection:
        row = connection.execute(select(incident_content).order_by(incident_content.c.stored_at_us)).first()
    assert row is not None
    assert (row.wrapped_key, row.sealed) == (None, None)
    assert verify_audit(queue.database, KEYS).problems == ()


@both
def test_nobody_reads_what_is_past_its_day_although_its_key_is_still_there(engine: Engine) -> None:
    queue = desk(engine)
    one = happen(engine, prompt(BLOCKED))
    queue.report(one, "S1", Actor("S1"), NOW, "연습용 번호입니다")
    end = NOW + timedelta(days=KEPT.text_days)
    before = end - timedelta(seconds=1)
    queue.reveal(one, "all", None, PARK, before, "확인")
    assert queue.detail(one, PARK, before).text.state == "stored"
    assert queue.detail(one, PARK, before).note is not None
    assert [incident for incident, _ in queue.texts(before)] == [one]

    detail = queue.detail(one, PARK, end)

    assert (detail.text.state, detail.text.parts, detail.note) == ("destroyed", (), None)
    assert list(queue.texts(end)) == []
    assert incidents_without_text(engine, NOW, end, before) == 0
    assert incidents_without_text(engine, NOW, end, end) == 1
    with pytest.raises(Conflict) as refused:
        queue.reveal(one, "span", 0, PARK, end, "확인")
    assert refused.value.code == "no_text"


def test_texts_are_destroyed_every_hour_and_a_killed_process_leaves_nothing_in_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, config = tmp_path / "data", tmp_path / "haechi.toml"
    data.mkdir()
    config.write_text("", "utf-8")
    migrate(f"sqlite:///{data}/haechi.db")
    engine = open_engine(f"sqlite:///{data}/haechi.db")
    queue = desk(engine)
    house, pauses = Housekeeping(queue.database, KEYS, config, audit_days=730), []

    def over() -> list[bytes]:
        """Put in a text that is past its day; return what of it would stand in a file."""
        one = happen(engine, prompt(BLOCKED), at=datetime.now(UTC) - timedelta(days=KEPT.text_days + 1))
        with engine.connect() as connection:
            column = incident_content.c.sealed
            text = connection.execute(
                select(column).where(incident_content.c.incident_id == one)
            ).scalar_one()
        return [str(text).encode()[-60:]]

    killed = over()
    with monkeypatch.context() as killing:
        killing.setattr("gateway.store.incident_content.forget_destroyed", lambda _: None)
        queue.expire(datetime.now(UTC))
    assert _found(data, killed) == killed, "it stands in the log still"
    later: list[bytes] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 1:
            assert _found(data, killed) == []
            later.extend(over())
        else:
            raise asyncio.CancelledError

    monkeypatch.setattr("gateway.housekeeping.asyncio.sleep", pause)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(house.run())
    assert max(pauses) <= 3600
    assert later
    assert _found(data, later) == []
    engine.dispose()


def test_the_files_of_a_database_hold_no_prompt_and_after_its_day_not_even_the_sealed_one(
    tmp_path: Path,
) -> None:
    file = tmp_path / "haechi.db"
    migrate(f"sqlite:///{file}")
    engine = open_engine(f"sqlite:///{file}")
    try:
        queue = desk(engine)
        secret = "AKIAIOSFODNN7EXAMPLQ"
        one = happen(engine, prompt(f"{BLOCKED} 키는 {secret} 이고 은밀한문장입니다."))
        queue.report(one, "S1", PARK.actor, NOW, "은밀한문장 때문입니다")
        queue.reveal(one, "span", 0, PARK, NOW, "확인")
        with engine.connect() as connection:
            rows = connection.execute(select(incident_content)).all()
        planted = [RRN.encode(), b"9001011234568", secret.encode(), "은밀한문장".encode()]
        assert _found(tmp_path, planted) == []
        sealed = [text.encode()[-60:] for row in rows for text in (row.sealed, row.wrapped_key)]
        assert len(_found(tmp_path, sealed)) == len(sealed), "the search would find what is there"

        queue.expire(NOW + timedelta(days=366))

        assert _found(tmp_path, sealed) == []
    finally:
        engine.dispose()
    with sqlite3.connect(file) as check:
        assert check.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def _found(folder: Path, wanted: list[bytes]) -> list[bytes]:
    """Return which of the values stand in any file of a folder."""
    contents = [file.read_bytes() for file in folder.iterdir() if file.is_file()]
    return [value for value in wanted if any(value in content for content in contents)]
