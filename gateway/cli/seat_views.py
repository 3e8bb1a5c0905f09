"""What `haechi report savings|seats` prints: rows for JSON and CSV, tables for eyes."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from gateway.cli.common import print_csv, print_json, say, show_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from billing.plans import Advice, Comparison, Mix
    from billing.store.reports import Savings
    from gateway.seats import DepartmentLine, PersonLine, SeatReport


class Lines(StrEnum):
    DEPARTMENT = "department"
    PERSON = "person"


class VerdictWord(StrEnum):
    SEAT = "seat"
    METERED = "metered"
    WATCH = "watch"
    TOO_LITTLE = "too_little"


VERDICTS: Final = {
    VerdictWord.SEAT: "좌석",
    VerdictWord.METERED: "쓴 만큼",
    VerdictWord.WATCH: "지켜보기",
    VerdictWord.TOO_LITTLE: "기록 부족",
}

# --- as JSON and CSV -------------------------------------------------------------------------------


def krw(nano_krw: int) -> int | Decimal:
    """Return won: whole, or with every decimal there is."""
    from billing.money import NANO, won

    return won(nano_krw) if nano_krw % NANO else nano_krw // NANO


def print_numbers(value: object) -> None:
    """Print JSON in which a Decimal is a number with every digit, never through a float."""
    print_json(_numbered(value))


def _numbered(value: object) -> object:
    import orjson

    match value:
        case Decimal():
            return orjson.Fragment(f"{value:f}".encode())
        case dict():
            return {name: _numbered(one) for name, one in value.items()}
        case list():
            return [_numbered(one) for one in value]
        case _:
            return value


def savings_row(found: Savings) -> dict[str, Any]:
    from billing.money import NANO

    return {
        "months": found.months,
        "people": found.people,
        "person_months": found.person_months,
        "seat_price_krw": found.seat_price_krw,
        "metered_krw": krw(found.metered_nano_krw),
        "metered_nano_krw": found.metered_nano_krw,
        "seats_krw": found.seats_krw,
        "seats_of_active_krw": found.seats_of_active_krw,
        "saved_krw": krw(found.seats_krw * NANO - found.metered_nano_krw),
        "saved_percent": found.saved_percent,
    }


def details(
    report: SeatReport,
    by: Lines | None,
    rows: Sequence[DepartmentLine | PersonLine],
    names: Mapping[str, str],
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "billing_months": list(report.months),
        "plans": [plan_row(one) for one in report.comparisons],
        "mix": mix_row(report.mix),
    }
    if by is not None:
        found |= {"by": by.value, "rows": [_line_row(row, report, names) for row in rows]}
    return found


def plan_row(one: Comparison) -> dict[str, Any]:
    plan = one.offer.plan
    return {
        "id": plan.id,
        "name": plan.name or plan.id,
        "term": one.offer.term.value,
        "seat_krw": krw(one.offer.seat_nano),
        "includes": plan.includes,
        "models": list(plan.models),
        "requests": plan.requests,
        "minimum_seats": plan.minimum_seats,
        "yearly_discount_percent": f"{plan.yearly_discount_percent:f}",
        "active_people": one.active,
        "people": one.everybody,
        "idle_seats": one.idle_seats,
        "metered_krw": krw(one.metered_nano),
        "seats_of_active_krw": krw(one.active_nano),
        "seats_of_all_krw": krw(one.everybody_nano),
        "break_even_krw": krw(one.offer.seat_nano),
        "break_even_requests": one.break_even_requests,
        "better_off_people": one.better_off,
    }


def mix_row(mix: Mix) -> dict[str, Any]:
    from collections import Counter

    given = Counter(offer.plan.id for offer in mix.seats.values())
    return {
        "seats": [{"plan": id_, "bought": n, "given": given[id_]} for id_, n in mix.bought.items()],
        "people": [{"id": person, "plan": offer.plan.id} for person, offer in sorted(mix.seats.items())],
        "cost_krw": krw(mix.nano_krw),
        "metered_krw": krw(mix.metered_nano),
        "saved_krw": krw(mix.saved_nano),
    }


def _line_row(
    row: DepartmentLine | PersonLine, report: SeatReport, names: Mapping[str, str]
) -> dict[str, Any]:
    from gateway.seats import DepartmentLine

    if isinstance(row, DepartmentLine):
        first, cheapest = row.comparisons[0], row.cheapest
        return {
            "id": row.department_id,
            "name": names.get(row.department_id, row.department_id),
            "active_people": first.active,
            "people": first.everybody,
            "metered_krw": krw(first.metered_nano),
            "seats_of_active_krw": krw(first.active_nano),
            "seats_of_all_krw": krw(first.everybody_nano),
            "better_off_people": first.better_off,
            "cheapest": "metered" if cheapest is None else cheapest.offer.plan.id,
        }
    with_seats = zip(report.offers, row.cost_nano, strict=True)
    return {
        "id": row.person_id,
        "name": names.get(row.person_id, row.person_id),
        "department_id": row.department_id,
        "months": row.months,
        "requests": row.requests,
        "metered_krw": krw(row.metered_nano),
        **{f"with_{offer.plan.id}_krw": krw(cost) for offer, cost in with_seats},
        "cheapest": "metered" if row.cheapest is None else row.cheapest.plan.id,
    }


def print_lines(
    report: SeatReport, by: Lines, rows: Sequence[DepartmentLine | PersonLine], names: Mapping[str, str]
) -> None:
    made = [_line_row(row, report, names) for row in rows]
    header = list(made[0]) if made else ["id", "name", by.value]
    print_csv(header, [list(row.values()) for row in made])


ADVICE_COLUMNS: Final = (
    *("id", "name", "department_id", "verdict", "plan", "seat_krw", "months", "mean_krw"),
    *("forecast_krw", "low_krw", "high_krw", "gain_krw"),
)


def advice_row(one: Advice, names: Mapping[str, str]) -> dict[str, Any]:
    forecast = one.forecast
    return {
        "id": one.person_id,
        "name": names.get(one.person_id, one.person_id),
        "department_id": one.department_id,
        "verdict": one.verdict.value,
        "plan": one.offer.plan.id,
        "seat_krw": krw(one.offer.seat_nano),
        "months": one.months,
        "mean_krw": krw(one.mean_nano),
        "forecast_krw": krw(forecast.expected),
        "low_krw": None if forecast.low is None else krw(forecast.low),
        "high_krw": None if forecast.high is None else krw(forecast.high),
        "gain_krw": krw(one.gain_nano),
    }


# --- for eyes --------------------------------------------------------------------------------------


def _won(nano_krw: int | None) -> str:
    from billing.money import whole_won

    return "–" if nano_krw is None else f"{whole_won(nano_krw):,}"


def show_savings(found: Savings) -> None:
    show_table(
        ("항목 / item", "금액(원) / won"),
        [
            ("쓴 만큼 낸 비용 / metered", f"{found.metered_krw:,.0f}"),
            (
                f"구독했다면 / seats: {found.people:,}명 × {found.months}개월 × {found.seat_price_krw:,}원",
                f"{found.seats_krw:,}",
            ),
            (f"절감 / saved ({found.saved_percent} %)", f"{found.saved_krw:,.0f}"),
        ],
    )


def show_plans(comparisons: Sequence[Comparison], mix: Mix) -> None:
    show_table(
        (
            "요금제 / plan",
            "좌석(원/월)",
            "쓴 사람",
            "전 직원",
            "쓴 사람만 구독",
            "전 직원 구독",
            "손익분기(요청/월)",
            "이득인 사람",
        ),
        [
            (
                one.offer.plan.name or one.offer.plan.id,
                _won(one.offer.seat_nano),
                one.active,
                one.everybody,
                _won(one.active_nano),
                _won(one.everybody_nano),
                "–" if one.break_even_requests is None else f"{one.break_even_requests:,}",
                one.better_off,
            )
            for one in comparisons
        ],
        title="요금제별 / by plan (원 / won)",
    )
    bought = ", ".join(f"{id_} {count}석" for id_, count in mix.bought.items()) or "좌석 없음 / no seats"
    say(
        f"가장 싼 조합: {bought} · {_won(mix.nano_krw)}원, 쓴 만큼만 낼 때보다 {_won(mix.saved_nano)}원 절감",
        f"Best mix: {_won(mix.nano_krw)} won, {_won(mix.saved_nano)} won less than metered use alone",
    )


def show_lines(
    report: SeatReport,
    by: Lines,
    rows: Sequence[DepartmentLine | PersonLine],
    names: Mapping[str, str],
) -> None:
    made = [_line_row(row, report, names) for row in rows]
    plans = {offer.plan.id: offer.plan.name or offer.plan.id for offer in report.offers}
    headings = _HEADINGS | {f"with_{plan}_krw": f"{name}이면(원)" for plan, name in plans.items()}
    header = [headings[column] for column in made[0]] if made else []
    words = {"metered": "쓴 만큼"} | plans
    made = [row | {"cheapest": words[row["cheapest"]]} for row in made]
    shown = [[_shown(value) for value in row.values()] for row in made]
    show_table(
        header, shown, title="부서별 / by department" if by is Lines.DEPARTMENT else "사람별 / by person"
    )


_HEADINGS: Final = {
    "id": "번호",
    "name": "이름",
    "department_id": "부서",
    "months": "달",
    "requests": "요청",
    "active_people": "쓴 사람",
    "people": "전 직원",
    "metered_krw": "쓴 만큼(원)",
    "seats_of_active_krw": "쓴 사람만 구독(원)",
    "seats_of_all_krw": "전 직원 구독(원)",
    "better_off_people": "이득인 사람",
    "cheapest": "가장 싼 쪽",
}
"""Of what `_line_row` says."""


def _shown(value: object) -> object:
    return f"{value:,.0f}" if isinstance(value, Decimal) else value


def show_advice(wanted: Sequence[Advice], names: Mapping[str, str]) -> None:
    show_table(
        (
            "직원",
            "부서",
            "권고",
            "요금제",
            "달",
            "월평균(원)",
            "다음 달 예상(원)",
            "80 % 구간",
            "좌석 이득(원/월)",
        ),
        [
            (
                f"{names.get(one.person_id, one.person_id)} ({one.person_id})",
                one.department_id,
                VERDICTS[VerdictWord(one.verdict.value)],
                one.offer.plan.name or one.offer.plan.id,
                one.months,
                _won(one.mean_nano),
                _won(one.forecast.expected),
                f"{_won(one.forecast.low)} ~ {_won(one.forecast.high)}",
                _won(one.gain_nano),
            )
            for one in wanted
        ],
        title="좌석 권고 / who should have a seat",
    )
    say(
        "‘좌석’은 다음 달 예상의 아래 끝도 좌석값보다 비쌀 때, ‘쓴 만큼’은 위 끝도 쌀 때입니다.",
        "A seat is advised where even the low end of next month's forecast costs more than it.",
    )
