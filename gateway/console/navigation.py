"""The console's map: which page stands under which heading, and who sees the way to it. Pure.

Seeing a way is not a permission: each page checks its own row of gateway/permissions.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gateway.console.i18n import N_
from gateway.permissions import Permission, Reach, reach

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.permissions import Role


@dataclass(frozen=True, slots=True)
class Way:
    path: str
    label: str
    """Korean, marked for the catalogue."""
    permission: Permission


@dataclass(frozen=True, slots=True)
class Heading:
    label: str
    ways: tuple[Way, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """A way as one reader sees it. `current`: this page; `within`: a page below it."""

    path: str
    label: str
    current: bool
    within: bool


MAP: Final[tuple[Heading, ...]] = (
    Heading(
        N_("내 업무"),
        (
            Way("/console", N_("시작"), Permission.START_VIEW),
            Way("/console/usage", N_("내 사용량"), Permission.USAGE_OWN),
            Way("/console/keys", N_("내 API 키"), Permission.KEYS_OWN),
            Way("/console/models", N_("모델"), Permission.MODELS_VIEW),
            Way("/console/connect", N_("클라이언트 연결"), Permission.CONNECT_VIEW),
            Way("/console/check", N_("보내기 전 확인"), Permission.INCIDENTS_OWN),
            Way("/console/incidents", N_("내 차단 기록"), Permission.INCIDENTS_OWN),
        ),
    ),
    Heading(
        N_("보안 심사"),
        (
            Way("/console/review", N_("검토 대기열"), Permission.INCIDENTS_VIEW),
            Way("/console/review/exceptions", N_("예외"), Permission.INCIDENTS_VIEW),
            Way("/console/review/oversight", N_("감독"), Permission.INCIDENTS_VIEW),
            Way("/console/review/replay", N_("정책 돌려 보기"), Permission.INCIDENTS_VIEW),
        ),
    ),
    Heading(
        N_("부서"),
        (Way("/console/department", N_("부서 사용량과 예산"), Permission.DEPARTMENT_USAGE),),
    ),
    Heading(
        N_("재무"),
        (
            Way("/console/finance/budgets", N_("예산 집행 현황"), Permission.BUDGETS_VIEW),
            Way("/console/finance/budget-settings", N_("예산 정하기"), Permission.BUDGETS_CHANGE),
            Way("/console/finance/months", N_("월 마감"), Permission.MONTHS_VIEW),
            Way("/console/finance/bills", N_("청구서 대조"), Permission.MONTHS_VIEW),
            Way("/console/finance/invoices", N_("청구서"), Permission.INVOICES_VIEW),
            Way("/console/finance/prices", N_("단가표"), Permission.PRICES_VIEW),
            Way("/console/finance/savings", N_("구독과 비교"), Permission.REPORTS_VIEW),
            Way("/console/finance/plans", N_("좌석 추천"), Permission.REPORTS_VIEW),
            Way("/console/finance/forecast", N_("예측·이상"), Permission.REPORTS_VIEW),
        ),
    ),
    Heading(
        N_("관리"),
        (
            Way("/console/admin/departments", N_("부서 관리"), Permission.ORGANISATION_VIEW),
            Way("/console/admin/people", N_("직원 관리"), Permission.ORGANISATION_VIEW),
            Way("/console/admin/keys", N_("키 관리"), Permission.KEYS_VIEW),
            Way("/console/admin/accounts", N_("계정과 역할"), Permission.ACCOUNTS_VIEW),
            Way("/console/admin/deployments", N_("모델과 배포"), Permission.DEPLOYMENTS_VIEW),
            Way("/console/admin/policies", N_("정책"), Permission.POLICIES_VIEW),
            Way("/console/admin/jobs", N_("작업"), Permission.JOBS_VIEW),
            Way("/console/admin/settings", N_("설정"), Permission.SETTINGS_VIEW),
        ),
    ),
    Heading(
        N_("감사"),
        (
            Way("/console/audit", N_("접속 기록"), Permission.AUDIT_VIEW),
            Way("/console/review/evidence", N_("감사 자료"), Permission.EVIDENCE_MAKE),
        ),
    ),
)


def navigation(roles: Iterable[Role], path: str) -> tuple[tuple[str, tuple[Step, ...]], ...]:
    """Return the headings and ways that an account with `roles` sees from `path`."""
    held = tuple(roles)
    shown = ((heading.label, _steps(heading, held, path)) for heading in MAP)
    return tuple((label, steps) for label, steps in shown if steps)


def _steps(heading: Heading, roles: tuple[Role, ...], path: str) -> tuple[Step, ...]:
    open_ways = [way for way in heading.ways if reach(roles, way.permission) > Reach.NOWHERE]
    above = max((way.path for way in open_ways if _below(way.path, path)), key=len, default="")
    if any(way.path == path for way in open_ways):
        above = ""  # the page itself is on the map
    return tuple(Step(way.path, way.label, way.path == path, way.path == above) for way in open_ways)


def _below(way: str, path: str) -> bool:
    return way != "/console" and path.startswith(way + "/")
