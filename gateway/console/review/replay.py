"""정책 미리 돌려 보기: what a change of policy or rules would have done to requests of the past.

A candidate is pasted as it would stand in haechi.toml. Nothing is switched on, and no text is shown: what
comes back are counts, and requests by their number.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fastapi import APIRouter, Request

from billing.periods import billing_day
from filters.detectors.custom import CustomRuleError
from filters.errors import PolicyError
from gateway.console import areas
from gateway.console.admin.forms import Posted, seen_by
from gateway.console.i18n import N_
from gateway.console.pages import render
from gateway.console.parts import ConsoleParts, Parts
from gateway.console.review.oversight import period_asked
from gateway.console.review.shared import Viewer, desk_of, words_for
from gateway.incidents.replaying import Past, read_candidate, replay_policy, replay_rules
from gateway.store.organisation import unit_names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.responses import Response

    from gateway.console.session import Visitor
    from gateway.incidents.oversight import Period
    from gateway.incidents.replay import PolicyReplay

REPLAY: Final = "/console/review/replay"
MOST_CHARS: Final = 200_000

EXAMPLE: Final = """\
[[filter.policies]]
version = "candidate"
effective_from = 2026-01-01

[filter.policies.external.types]
PHONE_NUMBER = "block"
"""

REASONS: Final[Mapping[str, str]] = {
    "weak_findings": N_("기준이 낮아졌는데, 그때 너무 약했던 것은 기록되지 않았습니다."),
    "policy_unknown": N_("그때의 정책이 설정에 없어 기준을 알 수 없습니다."),
    "zone_unknown": N_("어느 구역의 모델이었는지 알 수 없습니다."),
    "allow_list": N_("바뀐 허용 목록에 있는 값인지 영수증만으로는 알 수 없습니다."),
    "value_hash": N_("예외의 값이 다른 열쇠로 만든 해시입니다."),
    "unread_part": N_("읽지 못한 파일의 종류가 영수증에 없습니다."),
    "cut_off": N_("찾은 것이 너무 많아 모두 적혀 있지 않습니다."),
    "no_text": N_("원문이 저장되지 않았거나 이미 파기되었습니다."),
    "unreadable": N_("저장된 원문을 검사할 수 없습니다."),
}

Failure = tuple[str, str]
"""What is wrong with a candidate, Korean first."""

NO_POLICY: Final[Failure] = (
    "정책이 없습니다. [[filter.policies]] 표를 넣으세요.",
    "There is no policy. Put in a [[filter.policies]] table.",
)
NO_RULES: Final[Failure] = (
    "규칙이 없습니다. [[filter.rules]] 표를 넣으세요.",
    "There are no rules. Put in a [[filter.rules]] table.",
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the form says."""

    text: str
    what: str
    """policy, or rules."""
    period: Period


def router() -> APIRouter:
    routes = areas.pages()

    @routes.get(REPLAY)
    def empty(request: Request, visitor: Viewer, parts: Parts) -> Response:
        period = period_asked(request.query_params, billing_day(parts.now()))
        return _page(request, visitor, parts, Asked(EXAMPLE, "policy", period))

    @routes.post(REPLAY)
    def replayed(request: Request, visitor: Viewer, parts: Parts, posted: Posted) -> Response:
        text = posted.get("candidate", "")[:MOST_CHARS].replace("\r\n", "\n")
        period = period_asked(posted, billing_day(parts.now()))
        return _replayed(request, visitor, parts, Asked(text, posted.get("what", "policy"), period))

    return routes


def _replayed(request: Request, visitor: Visitor, parts: ConsoleParts, asked: Asked) -> Response:
    try:
        report = _report(parts, asked)
    except tomllib.TOMLDecodeError as error:
        failure = (f"TOML로 읽을 수 없습니다: {error}", f"It is not TOML: {error}")
        return _page(request, visitor, parts, asked, failure=failure)
    except (PolicyError, CustomRuleError) as error:
        failure = (f"쓸 수 없는 설정입니다: {error}", f"It cannot be used: {error}")
        return _page(request, visitor, parts, asked, failure=failure)
    if not isinstance(report, tuple):
        days = f"{asked.period.first}..{asked.period.last}"
        seen_by(parts, visitor, "policy.replay", report.version, what=asked.what, days=days)
        return _page(request, visitor, parts, asked, report=report)
    return _page(request, visitor, parts, asked, failure=report)


def _report(parts: ConsoleParts, asked: Asked) -> PolicyReplay | Failure:
    """Replay what was asked for; a candidate without it says so."""
    candidate, now = read_candidate(asked.text), parts.now()
    past = Past(parts.database, parts.keyring, parts.config)
    if asked.what == "rules":
        if candidate.rules is None:
            return NO_RULES
        policy = candidate.policy() or parts.config.policies.at(now)
        return replay_rules(past, desk_of(parts), candidate.rules, policy, asked.period, now)
    found = candidate.policy()
    return NO_POLICY if found is None else replay_policy(past, found, asked.period, now)


def _page(
    request: Request,
    visitor: Visitor,
    parts: ConsoleParts,
    asked: Asked,
    *,
    report: PolicyReplay | None = None,
    failure: Failure | None = None,
) -> Response:
    return render(
        request,
        visitor,
        "review/replay.html",
        status=400 if failure else 200,
        asked=asked,
        report=report,
        failure=failure,
        words=words_for(request, visitor, parts),
        names=unit_names(parts.database),
        reasons=REASONS,
        departments=_busiest(report),
        today=billing_day(parts.now()).isoformat(),
    )


def _busiest(report: PolicyReplay | None) -> list[tuple[str, int]]:
    """Return the departments where most would change, with how many requests."""
    if report is None:
        return []
    sums = ((unit, moved.total()) for unit, moved in report.departments.items())
    return sorted(sums, key=lambda pair: (-pair[1], pair[0]))[:20]
