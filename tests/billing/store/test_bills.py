"""A provider's bill is kept whole or refused whole, held against the ledger by its own days, and remembered."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import CursorResult, text
from sqlalchemy.exc import DBAPIError

from billing.bill_formats import read_month_bill
from billing.bill_match import DifferenceKind, MatchTerms
from billing.ledger import record_of
from billing.store.bill_matches import compare_month, keep_outcome, ledger_days, outcomes, used_days
from billing.store.bills import BillDeed, BillRefused, Incoming, bills_of, import_bill, withdraw_bill
from billing.usage import Usage
from tests.interleaving import meanwhile

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection, Engine

    from billing.store import LedgerSink
    from tests.billing.conftest import Maker

MONTH = "2026-11"
STRICT = MatchTerms(tolerance_percent=Decimal(0), tolerance_krw=0)
HEADER = "start_time,model,api_key_id,num_model_requests,input_tokens,output_tokens,input_cached_tokens\n"
COSTS = "start_time,amount_value,amount_currency,line_item\n"


def use(sink: LedgerSink, make: Maker, at: datetime, provider: str = "openai", **used: int) -> None:
    payer = make.attribution(provider=provider)
    dispatch = make.dispatch(payer, started_at=at)
    charge = make.charge(dispatch, usage=Usage(**used))
    assert sink.write([[record_of(dispatch)], [record_of(charge)]]) == [None, None]


@pytest.fixture
def used(engine: Engine, sink: LedgerSink, make: Maker) -> Engine:
    """Two hours around a midnight in UTC, which is nine in the morning in Korea."""
    use(sink, make, datetime(2026, 11, 22, 23, 30, tzinfo=UTC), input=1_000_000, output=10)
    use(sink, make, datetime(2026, 11, 23, 0, 30, tzinfo=UTC), input=2_000_000, cache_read=500, reasoning=7)
    use(sink, make, datetime(2026, 11, 23, 2, 0, tzinfo=UTC), provider="other", input=9)
    return engine


def usage_csv(*rows: tuple[str, int, int, int]) -> bytes:
    lines = [
        f"{int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp())},gpt-5.1,key_a,1,{i},{o},{c}\n"
        for day, i, o, c in rows
    ]
    return (HEADER + "".join(lines)).encode()


WHOLE = usage_csv(("2026-11-22", 1_000_000, 10, 0), ("2026-11-23", 2_000_500, 7, 500))


def incoming(data: bytes = WHOLE, **more: Any) -> Incoming:
    fields: dict[str, Any] = {"provider": "openai", "month": MONTH, "file_name": "usage.csv"}
    return Incoming(bill=read_month_bill(data), data=data, **fields | more)


@pytest.fixture
def deed() -> BillDeed:
    return BillDeed("finance", datetime(2026, 12, 2, tzinfo=UTC), "11월 대조")


def days(connection: Connection) -> Iterable[date]:
    return used_days(connection, {"openai"}, MONTH, "UTC")


def bring(engine: Engine, deed: BillDeed, **more: Any) -> Any:
    return import_bill(engine, incoming(**more), deed, days)


def test_the_ledgers_days_are_those_of_the_providers_time_zone(used: Engine) -> None:
    with used.connect() as connection:
        utc = ledger_days(connection, {"openai"}, MONTH, "UTC")
        seoul = ledger_days(connection, {"openai"}, MONTH, "Asia/Seoul")
        kathmandu = ledger_days(connection, {"openai"}, MONTH, "Asia/Kathmandu")
        assert days(connection) == {date(2026, 11, 22), date(2026, 11, 23)}
    assert [day.day for day in utc] == [date(2026, 11, 22), date(2026, 11, 23)]
    assert [day.day for day in seoul] == [day.day for day in kathmandu] == [date(2026, 11, 23)]
    assert utc[1].quantities == {"input": 2_000_000, "cache_read": 500, "output": 7}
    assert {cost.bucket for cost in utc[1].costs} == {"input", "cache_read", "output"}
    assert sum(cost.nano_krw for day in utc for cost in day.costs) == sum(
        cost.nano_krw for day in seoul for cost in day.costs
    )


def test_an_equal_bill_agrees_and_is_remembered_once(used: Engine, deed: BillDeed) -> None:
    kept = bring(used, deed)
    assert (kept.number, kept.states, kept.file_rows) == (1, "quantities", 5)
    compared = compare_month(used, MONTH, "openai", STRICT)
    assert compared is not None
    assert compared.match.differences == ()
    first = keep_outcome(used, compared, deed)
    again = keep_outcome(used, compared, replace(deed, by="someone"))
    assert (first.state, again.number, again.by) == ("agrees", 1, "finance")
    assert [one.provider for one in outcomes(used, MONTH)] == ["openai"]
    with pytest.raises(BillRefused, match="nothing to accept"):
        keep_outcome(used, compared, deed, accept=True)


def test_of_two_bills_of_the_same_days_one_counts_whoever_comes_in_between(
    used: Engine, deed: BillDeed
) -> None:
    def attempt(**changes: Any) -> bool:
        try:
            bring(used, deed, **changes)
        except BillRefused:
            return False
        return True

    for statement in count():
        theirs = usage_csv(("2026-11-22", 1, statement, 0), ("2026-11-23", 2, 7, 5))
        with meanwhile(used, statement, attempt, data=theirs, file_name="other.csv") as other:
            mine = attempt()
        if not other:
            break
        assert {mine, other[0].result()} == {True, False}
        (one,) = [bill for bill in bills_of(used) if not bill.withdrawn]
        withdraw_bill(used, one.number, deed)
    assert statement > 3, "what is there is read before a bill is kept"


def test_of_two_who_withdraw_a_bill_the_second_is_told(used: Engine, deed: BillDeed) -> None:
    def attempt(number: int) -> bool:
        try:
            withdraw_bill(used, number, deed)
        except BillRefused:
            return False
        return True

    for statement in count():
        number = bring(used, deed).number
        with meanwhile(used, statement, attempt, number) as other:
            mine = attempt(number)
        if not other:
            break
        assert {mine, other[0].result()} == {True, False}
    assert statement > 1


def test_use_that_becomes_known_later_makes_an_outcome_stale(
    used: Engine, sink: LedgerSink, make: Maker, deed: BillDeed
) -> None:
    bring(used, deed)
    before = compare_month(used, MONTH, "openai", STRICT)
    use(sink, make, datetime(2026, 11, 23, 5, tzinfo=UTC), input=40)
    after = compare_month(used, MONTH, "openai", STRICT)
    assert before is not None
    assert after is not None
    assert before.basis != after.basis
    (one,) = after.match.differences
    assert (one.kind, one.here_quantity, one.there_quantity) == (
        DifferenceKind.QUANTITY,
        2_000_040,
        2_000_000,
    )


def test_what_differs_is_accepted_by_a_person_with_a_reason(used: Engine, deed: BillDeed) -> None:
    bring(used, deed, data=usage_csv(("2026-11-22", 1_500_000, 10, 0), ("2026-11-23", 2_000_500, 7, 500)))
    compared = compare_month(used, MONTH, "openai", STRICT)
    assert compared is not None
    assert keep_outcome(used, compared, deed).state == "differs"
    with pytest.raises(BillRefused, match="Say why"):
        keep_outcome(used, compared, replace(deed, reason=" "), accept=True)
    accepted = keep_outcome(used, compared, replace(deed, reason="제공사에 문의함"), accept=True)
    assert (accepted.state, accepted.number) == ("accepted", 2)
    assert keep_outcome(used, compared, deed).state == "accepted"


def test_a_basis_does_not_hang_on_the_databases_order(
    used: Engine, deed: BillDeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring(used, deed)
    before = compare_month(used, MONTH, "openai", STRICT)
    whole = CursorResult.__iter__
    monkeypatch.setattr(CursorResult, "__iter__", lambda found: iter([*whole(found)][::-1]))
    turned = compare_month(used, MONTH, "openai", STRICT)
    assert before is not None
    assert turned is not None
    assert turned.basis == before.basis


def test_usage_and_costs_may_be_two_files_of_one_month(used: Engine, deed: BillDeed) -> None:
    bring(used, deed)
    start = int(datetime(2026, 11, 22, tzinfo=UTC).timestamp())
    costs = (
        f'{COSTS}{start},1.25,usd,"gpt-5.1, input"\n{start},0.0001,usd,"gpt-5.1, output"\n'
        f'{start + 86400},2.5,usd,"gpt-5.1, input"\n{start + 86400},0.0000625,usd,"gpt-5.1, cached input"\n'
        f'{start + 86400},0.00007,usd,"gpt-5.1, output"\n'
    ).encode()
    bring(used, deed, data=costs, file_name="costs.csv")
    compared = compare_month(used, MONTH, "openai", STRICT)
    assert compared is not None
    assert compared.match.differences == ()
    assert compared.match.there_nano_krw == pytest.approx(compared.match.here_nano_krw, abs=2)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"month": "2026-10"}, "is of 2026-11"),
        ({"data": usage_csv(("2026-11-22", 5, 1, 0))}, "covers 2026-11-22 to 2026-11-22"),
        ({"data": usage_csv(("2026-11-22", 5, 1, 0), ("2026-12-01", 5, 1, 0))}, "2026-11, 2026-12"),
    ],
)
def test_another_month_or_a_part_is_refused_and_nothing_is_kept(
    used: Engine, deed: BillDeed, more: dict[str, Any], told: str
) -> None:
    with pytest.raises(BillRefused, match=told):
        bring(used, deed, **more)
    assert bills_of(used) == []


def test_the_same_file_twice_and_another_of_the_same_days_are_refused(used: Engine, deed: BillDeed) -> None:
    bring(used, deed)
    with pytest.raises(BillRefused, match="finance imported this file"):
        bring(used, deed, file_name="renamed.csv")
    better = usage_csv(("2026-11-22", 1_000_001, 10, 0), ("2026-11-23", 2_000_500, 7, 500))
    with pytest.raises(BillRefused, match="--replace"):
        bring(used, deed, data=better)
    assert bring(used, deed, data=better, replace=True).number == 2
    assert [(one.number, one.withdrawn) for one in bills_of(used, MONTH)] == [(2, False), (1, True)]


def test_a_month_may_come_in_parts_that_do_not_overlap(used: Engine, deed: BillDeed) -> None:
    bring(used, deed, data=usage_csv(("2026-11-22", 1_000_000, 10, 0)), part=True)
    with pytest.raises(BillRefused, match="same days"):
        bring(used, deed, data=usage_csv(("2026-11-22", 1_000_000, 11, 0)), part=True)
    bring(used, deed, data=usage_csv(("2026-11-23", 2_000_500, 7, 500)), part=True)
    compared = compare_month(used, MONTH, "openai", STRICT)
    assert compared is not None
    assert compared.match.agrees


def test_a_bill_is_withdrawn_with_a_reason_and_stays_readable(used: Engine, deed: BillDeed) -> None:
    bring(used, deed)
    with pytest.raises(BillRefused, match="Say why"):
        withdraw_bill(used, 1, replace(deed, reason=""))
    assert withdraw_bill(used, 1, deed).number == 1
    with pytest.raises(BillRefused, match="no bill 1"):
        withdraw_bill(used, 1, deed)
    assert compare_month(used, MONTH, "openai", STRICT) is None
    assert bring(used, deed).number == 2


def test_bills_never_change(used: Engine, deed: BillDeed) -> None:
    bring(used, deed)
    for statement in ("UPDATE provider_bill_line SET quantity = 0", "DELETE FROM provider_bill"):
        with pytest.raises(DBAPIError, match="insert-only"), used.begin() as connection:
            connection.execute(text(statement))


def test_a_file_of_minutes_is_kept_by_the_day(used: Engine, deed: BillDeed) -> None:
    start = datetime(2026, 11, 22, tzinfo=UTC)
    rows = [
        f"{int((start + timedelta(minutes=n)).timestamp())},gpt-5.1,key_a,1,10,1,0\n" for n in range(2_880)
    ]
    data = (HEADER + "".join(rows)).encode()
    assert bring(used, deed, data=data).file_rows == 5_760
    with used.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM provider_bill_line")).scalar_one() == 4
