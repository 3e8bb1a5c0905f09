"""The price book in real databases: proposed, approved by somebody else, in force from its day, never changed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from billing.pricebook import Draft, DraftError, PriceConflict, PriceRefused, PriceVersion, VersionState
from billing.prices import PriceBook
from billing.store.pricebook import (
    Doing,
    approve,
    book_as_of,
    book_in_force,
    propose,
    reject,
    revision,
    version,
    versions,
    withdraw,
)
from tests.interleaving import meanwhile

if TYPE_CHECKING:
    from sqlalchemy import Engine

NOW = datetime(2026, 11, 22, 1, tzinfo=UTC)
PRICE: dict[str, Any] = {"key": "m", "from": "2026-12-01", "currency": "KRW", "input": "1000"}
BASE = PriceBook.from_tables([PRICE | {"from": "2026-01-01"}], [])
DECEMBER = datetime(2026, 12, 2, tzinfo=UTC)
ONE, OTHER = Doing("finance1", NOW, "인상"), Doing("finance2", NOW, "확인")


def draft(**changes: Any) -> Draft:
    return Draft.of([PRICE | changes], [], "test")


def test_a_version_is_in_force_once_somebody_approved_it(engine: Engine) -> None:
    made = propose(engine, BASE, draft(input="1200"), ONE)
    assert (made.number, made.state, revision(engine)) == (1, VersionState.PROPOSED, 0)
    assert book_in_force(engine, BASE).quote("m", DECEMBER).price.prices["input"] == 1000
    assert book_as_of(engine, BASE, 1).quote("m", DECEMBER).price.prices["input"] == 1200
    found = approve(engine, BASE, 1, OTHER, four_eyes=True)
    assert (found.state, found.decided_by, revision(engine)) == (VersionState.APPROVED, "finance2", 1)
    assert book_in_force(engine, BASE).quote("m", DECEMBER).price.prices["input"] == 1200
    assert [one.number for one in versions(engine)] == [1]


def test_with_four_eyes_nobody_approves_the_own_version(engine: Engine) -> None:
    propose(engine, BASE, draft(), ONE)
    with pytest.raises(PriceRefused, match="Somebody else"):
        approve(engine, BASE, 1, ONE, four_eyes=True)
    assert version(engine, 1).state is VersionState.PROPOSED
    assert approve(engine, BASE, 1, ONE, four_eyes=False).state is VersionState.APPROVED


def test_of_two_who_approve_at_once_the_second_is_told(engine: Engine) -> None:
    propose(engine, BASE, draft(), ONE)

    def attempt(name: str) -> PriceVersion | PriceRefused:
        try:
            return approve(engine, BASE, 1, Doing(name, NOW), four_eyes=True)
        except PriceRefused as refused:
            return refused

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(attempt, ["a", "b", "c", "d"]))
    done = [one for one in found if isinstance(one, PriceVersion)]
    told = [one for one in found if isinstance(one, PriceConflict)]
    assert (len(done), len(told), revision(engine)) == (1, 3, 1)
    assert all(done[0].decided_by in one.english for one in told)


def test_of_two_versions_for_one_day_only_one_is_approved_whoever_comes_in_between(engine: Engine) -> None:
    def attempt(number: int) -> bool:
        try:
            approve(engine, BASE, number, OTHER, four_eyes=True)
        except DraftError:  # the other one has the day by now
            return False
        return True

    for statement in count():
        day = date(2026, 12, 1) + timedelta(days=statement)
        for price in ("1100", "1200"):
            propose(engine, BASE, draft(**{"from": day.isoformat(), "input": price}), ONE)
        with meanwhile(engine, statement, attempt, 2 * statement + 2) as other:
            mine = attempt(2 * statement + 1)
        if not other:  # there is no statement of that number
            break
        assert {mine, other[0].result()} == {True, False}
    assert statement > 3, "what is decided is read, checked and written"


@pytest.mark.parametrize("what", ["approve", "reject"])
def test_of_two_decisions_about_a_version_one_stands_whoever_comes_in_between(
    engine: Engine, what: str
) -> None:
    def approved(number: int, by: Doing) -> bool:
        try:
            approve(engine, BASE, number, by, four_eyes=False)
        except PriceConflict:
            return False
        return True

    def rejected(number: int, by: Doing) -> bool:
        try:
            reject(engine, number, by)
        except PriceConflict:
            return False
        return True

    decided = {"approve": approved, "reject": rejected}[what]
    for statement in count():
        number = statement + 1
        propose(engine, BASE, draft(input=str(1100 + number)), ONE)
        with meanwhile(engine, statement, decided, number, ONE) as other:
            mine = approved(number, OTHER)
        if not other:
            break
        assert {mine, other[0].result()} == {True, False}
        if version(engine, number).state is VersionState.APPROVED:
            withdraw(engine, number, OTHER)
    assert statement > 3


def test_a_version_is_proposed_once(engine: Engine) -> None:
    propose(engine, BASE, draft(), ONE)
    with pytest.raises(PriceRefused, match="version 1"):
        propose(engine, BASE, draft(), OTHER)
    reject(engine, 1, OTHER)
    assert propose(engine, BASE, draft(), ONE).number == 2


def test_what_is_refused_leaves_nothing_behind(engine: Engine) -> None:
    with pytest.raises(DraftError):
        propose(engine, BASE, draft(**{"from": "2026-01-01"}), ONE)
    with pytest.raises(PriceRefused, match="no version 9"):
        approve(engine, BASE, 9, OTHER, four_eyes=False)
    assert versions(engine) == []


def test_a_trail_that_cannot_be_written_takes_its_deed_back(engine: Engine) -> None:
    def broken(_connection: object, _version: PriceVersion) -> None:
        raise RuntimeError("no trail")

    with pytest.raises(RuntimeError):
        propose(engine, BASE, draft(), Doing("finance1", NOW, "", broken))
    assert versions(engine) == []


def test_an_approved_version_can_be_withdrawn_until_its_first_day(engine: Engine) -> None:
    propose(engine, BASE, draft(), ONE)
    approve(engine, BASE, 1, OTHER, four_eyes=False)
    with pytest.raises(PriceRefused, match="in force since"):
        withdraw(engine, 1, Doing("finance1", DECEMBER, "늦음"))
    assert withdraw(engine, 1, Doing("finance1", NOW, "오기")).state is VersionState.WITHDRAWN
    assert revision(engine) == 2
    assert book_in_force(engine, BASE).prices == BASE.prices
    with pytest.raises(PriceConflict):
        reject(engine, 1, ONE)


@pytest.mark.parametrize(
    "change", ["UPDATE price_version SET document = ''", "DELETE FROM price_version_step"]
)
def test_versions_and_decisions_never_change(engine: Engine, change: str) -> None:
    propose(engine, BASE, draft(), ONE)
    approve(engine, BASE, 1, OTHER, four_eyes=False)
    with pytest.raises(DatabaseError, match="insert-only"), engine.begin() as connection:
        connection.execute(text(change))
