"""The weekly report of the review: figures of a week as a letter, Korean first. Pure.

It names departments by their codes and nobody by name; whoever wants more looks at the oversight.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final

from gateway.incidents.oversight import Period

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gateway.incidents.oversight import Oversight

WEEKLY: Final = "incidents.weekly"
_MOST_ROWS: Final = 5


def last_week(today: date) -> Period:
    """Return the week, Monday to Sunday, that was over when `today` began."""
    monday = today - timedelta(days=today.weekday())
    return Period(monday - timedelta(days=7), monday - timedelta(days=1))


def week_name(period: Period) -> str:
    """Return the ISO name of a week, `2026-W47`."""
    year, week, _ = period.first.isocalendar()
    return f"{year}-W{week:02d}"


def weekly_document(seen: Oversight, before: Oversight) -> dict[str, Any]:
    """Return what is said of a week beside the one before, as it is stored and posted: figures only."""
    figures = {
        name: [getattr(before.totals, name), getattr(seen.totals, name)]
        for name in ("requests", "refused", "masked", "kept_inside")
    }
    departments: dict[str, int] = {}
    for cell in seen.heat:
        departments[cell.department_id] = departments.get(cell.department_id, 0) + cell.findings
    ranked = sorted(departments.items(), key=lambda one: (-one[1], one[0]))
    resolving = seen.resolving
    return {
        "event": WEEKLY,
        "week": week_name(seen.period),
        "from": seen.period.first.isoformat(),
        "to": seen.period.last.isoformat(),
        "totals": figures,
        "unscanned": seen.coverage.unscanned_external,
        "incidents": {
            "opened": resolving.opened,
            "resolved": resolving.resolved,
            "open": resolving.open_now,
            "overdue": resolving.overdue_now,
            "median_hours": resolving.median_hours,
            "by_resolution": dict(resolving.by_resolution),
        },
        "departments": [list(one) for one in ranked[:_MOST_ROWS]],
        "rules": [[one.rule, one.type, one.findings] for one in seen.rules[:_MOST_ROWS]],
        "wrong_rules": [
            [one.rule, one.false_positive, one.verdicts]
            for one in seen.precision[:_MOST_ROWS]
            if one.false_positive
        ],
    }


def subject_of(document: Mapping[str, Any]) -> str:
    refused = document["totals"]["refused"][1]
    return f"[해치] 주간 보안 보고 {document['week']}: 차단 {refused:,}건"


def text_of(document: Mapping[str, Any]) -> str:
    """Return the letter; `now (before)` stands for each figure."""
    return "\n".join((*_korean(document), "", "--", *_english(document), ""))


def _korean(document: Mapping[str, Any]) -> list[str]:
    incidents = document["incidents"]
    hours = incidents["median_hours"]
    return [
        f"{document['from']} ~ {document['to']} (괄호 안은 그 전 주)",
        "",
        f"  요청            {_pair(document, 'requests')}",
        f"  차단            {_pair(document, 'refused')}",
        f"  마스킹          {_pair(document, 'masked')}",
        f"  기관 내 처리    {_pair(document, 'kept_inside')}",
        f"  미검사 외부전송 {document['unscanned']:,}"
        + ("" if not document["unscanned"] else " ← 0이어야 합니다"),
        "",
        (
            f"  사건 접수 {incidents['opened']:,}, 처리 {incidents['resolved']:,}, 남음 {incidents['open']:,}"
            f" (기한 지남 {incidents['overdue']:,})"
        ),
        f"  처리 시간(중앙값) {'-' if hours is None else f'{hours}시간 이내'}",
        "",
        "  검출이 많은 부서: " + (_listed(f"{code} {n:,}" for code, n in document["departments"])),
        "  검출이 많은 규칙: " + (_listed(f"{rule} {n:,}" for rule, _, n in document["rules"])),
        "  오탐이 있는 규칙: " + (_listed(f"{r} {w}/{n}" for r, w, n in document["wrong_rules"])),
    ]


def _english(document: Mapping[str, Any]) -> list[str]:
    incidents = document["incidents"]
    hours = incidents["median_hours"]
    return [
        f"Week {document['week']}, {document['from']} to {document['to']} (the week before in brackets)",
        "",
        (
            f"  requests {_pair(document, 'requests')}, refused {_pair(document, 'refused')},"
            f" masked {_pair(document, 'masked')}, kept in house {_pair(document, 'kept_inside')}"
        ),
        f"  sent outside unread: {document['unscanned']:,} (must be 0)",
        (
            f"  incidents: {incidents['opened']:,} opened, {incidents['resolved']:,} resolved,"
            f" {incidents['open']:,} open, {incidents['overdue']:,} overdue;"
            f" median {'-' if hours is None else f'within {hours} h'}"
        ),
    ]


def _pair(document: Mapping[str, Any], name: str) -> str:
    before, now = document["totals"][name]
    return f"{now:,} ({before:,})"


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words) or "없음"
