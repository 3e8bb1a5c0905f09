"""Video jobs in both databases: one turn for one worker, nothing after the settlement, pages without gaps."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert

from billing.periods import to_us
from billing.store import LedgerSink
from billing.usage import Usage
from gateway.store import videos
from gateway.store.tables import video_job

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)


@pytest.fixture
def add(engine):
    def added(job_id, person="p1", at=NOW, **more):
        values = {
            "id": job_id,
            "request_id": job_id,
            "attempt_id": f"a-{job_id}",
            "charge_id": f"c-{job_id}",
            "person_id": person,
            "model_id": "film",
            "deployment_id": "d",
            "upstream_id": "u",
            "status": "queued",
            "progress": 0,
            "seconds": 4,
            "created_at_us": to_us(at),
            "next_poll_us": to_us(at),
            **more,
        }
        with engine.begin() as connection:
            connection.execute(insert(video_job).values(**values))
        return videos.find(engine, job_id, person)

    return added


def test_of_many_who_want_the_turn_one_gets_it(engine, add) -> None:
    job = add("j1")
    with ThreadPoolExecutor(8) as threads:
        until = NOW + timedelta(seconds=60)
        won = list(threads.map(lambda _: videos.claim(engine, job, until), range(16)))
    assert won.count(True) == 1
    assert videos.due(engine, NOW) == []
    assert [one.id for one in videos.due(engine, until)] == ["j1"]


def test_what_is_settled_stays_as_it_is(engine, add) -> None:
    job = add("j1")
    videos.settle(engine, job, NOW, status="completed", progress=100)
    videos.ask_again(engine, job, NOW, status="queued", progress=0)
    videos.settle(engine, job, NOW + timedelta(hours=1), status="failed")
    settled = videos.find(engine, "j1", "p1")
    assert (settled.status, settled.settled_at_us, settled.next_poll_us) == ("completed", to_us(NOW), None)
    assert not videos.claim(engine, job, NOW)


def test_the_longest_waiting_come_first_and_not_all_at_once(engine, add) -> None:
    for number in range(videos.MOST_DUE + 3):
        add(f"j{number:02}", at=NOW - timedelta(seconds=number))
    found = videos.due(engine, NOW)
    assert len(found) == videos.MOST_DUE
    assert found[0].id == f"j{videos.MOST_DUE + 2:02}"


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_pages_have_no_gaps_where_jobs_are_of_one_moment(engine, add, order: str) -> None:
    made = [add(f"j{n}", at=NOW + timedelta(seconds=n // 3)).id for n in range(7)]
    add("other", person="p2")
    seen, after = [], None
    while page := videos.listed(engine, "p1", 2, after, order):
        seen += [one.id for one in page]
        after = page[-1]
    assert seen == (made if order == "asc" else made[::-1])


def test_a_job_is_found_by_its_owner_only(engine, add) -> None:
    add("j1")
    assert videos.find(engine, "j1", "p2") is None
    assert videos.find(engine, "j2", "p1") is None


def test_a_charge_that_is_not_in_the_ledger_yet_is_no_correction(engine, add) -> None:
    with pytest.raises(LookupError):
        videos.correct(
            LedgerSink(engine, b"k" * 32), add("j1"), Usage(video_ms=0), None, now=NOW, raw_usage="{}"
        )
