"""Who may do what: the one table of roles and permissions. Pure.

A row is a permission (area and action), a column a role, a cell how far the role reaches: nowhere, to
the person's own things, to their own department, or everywhere. An account with several roles reaches
as far as the farthest of them. Every page of the console names its row with
`gateway.console.session.Needs`; every other address of the server stands in ADDRESSES. A test walks both
cell by cell and fails for an address without a row.

What the table keeps apart: a reviewer sees no cost, finance no prompt, an administrator neither, an
auditor nothing but the trail.
"""

from __future__ import annotations

from enum import Enum, IntEnum, StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping


class Role(StrEnum):
    STAFF = "staff"
    MANAGER = "manager"
    REVIEWER = "reviewer"
    FINANCE = "finance"
    ADMINISTRATOR = "administrator"
    AUDITOR = "auditor"


class Reach(IntEnum):
    """How far a permission goes, the farthest last."""

    NOWHERE = 0
    OWN = 1
    """What belongs to the person who is signed in."""
    DEPARTMENT = 2
    """The department (과) that the person sits in today, and the units below it."""
    EVERYWHERE = 3


class Permission(StrEnum):
    """`area.action`. A value is written to the access audit, so it never changes its meaning."""

    START_VIEW = "start.view"
    ACCOUNT_OWN = "account.own"
    DESIGN_VIEW = "design.view"
    USAGE_OWN = "usage.own"
    KEYS_OWN = "keys.own"
    CONNECT_VIEW = "connect.view"
    MODELS_VIEW = "models.view"
    MODELS_PRICES = "models.prices"
    DEPARTMENT_USAGE = "department.usage"
    DEPARTMENT_PEOPLE = "department.people"
    BUDGETS_VIEW = "budgets.view"
    BUDGETS_CHANGE = "budgets.change"
    INVOICES_VIEW = "invoices.view"
    MONTHS_VIEW = "months.view"
    MONTHS_CHANGE = "months.change"
    REPORTS_VIEW = "reports.view"
    """Seats beside metered use, forecasts, anomalies."""
    PRICES_VIEW = "prices.view"
    PRICES_CHANGE = "prices.change"
    ORGANISATION_VIEW = "organisation.view"
    ORGANISATION_CHANGE = "organisation.change"
    KEYS_VIEW = "keys.view"
    KEYS_CHANGE = "keys.change"
    DEPLOYMENTS_VIEW = "deployments.view"
    POLICIES_VIEW = "policies.view"
    SETTINGS_VIEW = "settings.view"
    JOBS_VIEW = "jobs.view"
    ACCOUNTS_VIEW = "accounts.view"
    ACCOUNTS_CHANGE = "accounts.change"
    INCIDENTS_OWN = "incidents.own"
    INCIDENTS_VIEW = "incidents.view"
    INCIDENTS_REVIEW = "incidents.review"
    INCIDENTS_REVEAL = "incidents.reveal"
    EXCEPTIONS_CHANGE = "exceptions.change"
    EVIDENCE_MAKE = "evidence.make"
    AUDIT_VIEW = "audit.view"
    AUDIT_EXPORT = "audit.export"


_P, _R = Permission, Role
_EVERYBODY: Final = dict.fromkeys(Role, Reach.OWN)
_WORKING: Final = dict.fromkeys(
    (_R.STAFF, _R.MANAGER, _R.REVIEWER, _R.FINANCE, _R.ADMINISTRATOR), Reach.EVERYWHERE
)
_MEMBERS: Final = dict.fromkeys((_R.STAFF, _R.MANAGER), Reach.OWN)
_BUDGETED: Final = {_R.MANAGER: Reach.DEPARTMENT, _R.FINANCE: Reach.EVERYWHERE}


def _only(role: Role) -> dict[Role, Reach]:
    return {role: Reach.EVERYWHERE}


TABLE: Final[Mapping[Permission, Mapping[Role, Reach]]] = {
    _P.START_VIEW: _EVERYBODY,
    _P.ACCOUNT_OWN: _EVERYBODY,
    _P.DESIGN_VIEW: _EVERYBODY,
    _P.USAGE_OWN: _MEMBERS,
    _P.KEYS_OWN: _MEMBERS,
    _P.CONNECT_VIEW: _MEMBERS,
    _P.MODELS_VIEW: _WORKING,
    _P.MODELS_PRICES: dict.fromkeys((_R.STAFF, _R.MANAGER, _R.FINANCE), Reach.EVERYWHERE),
    _P.DEPARTMENT_USAGE: _BUDGETED,
    _P.DEPARTMENT_PEOPLE: _BUDGETED,
    _P.BUDGETS_VIEW: _BUDGETED,
    _P.BUDGETS_CHANGE: _only(_R.FINANCE),
    _P.INVOICES_VIEW: _BUDGETED,
    _P.MONTHS_VIEW: _only(_R.FINANCE),
    _P.MONTHS_CHANGE: _only(_R.FINANCE),
    _P.REPORTS_VIEW: _BUDGETED,
    _P.PRICES_VIEW: _only(_R.FINANCE),
    _P.PRICES_CHANGE: _only(_R.FINANCE),
    _P.ORGANISATION_VIEW: _only(_R.ADMINISTRATOR),
    _P.ORGANISATION_CHANGE: _only(_R.ADMINISTRATOR),
    _P.KEYS_VIEW: _only(_R.ADMINISTRATOR),
    _P.KEYS_CHANGE: _only(_R.ADMINISTRATOR),
    _P.DEPLOYMENTS_VIEW: _only(_R.ADMINISTRATOR),
    _P.POLICIES_VIEW: dict.fromkeys((_R.REVIEWER, _R.ADMINISTRATOR), Reach.EVERYWHERE),
    _P.SETTINGS_VIEW: _only(_R.ADMINISTRATOR),
    _P.JOBS_VIEW: _only(_R.ADMINISTRATOR),
    _P.ACCOUNTS_VIEW: _only(_R.ADMINISTRATOR),
    _P.ACCOUNTS_CHANGE: _only(_R.ADMINISTRATOR),
    _P.INCIDENTS_OWN: _MEMBERS,
    _P.INCIDENTS_VIEW: _only(_R.REVIEWER),
    _P.INCIDENTS_REVIEW: _only(_R.REVIEWER),
    _P.INCIDENTS_REVEAL: _only(_R.REVIEWER),
    _P.EXCEPTIONS_CHANGE: _only(_R.REVIEWER),
    _P.EVIDENCE_MAKE: dict.fromkeys((_R.REVIEWER, _R.AUDITOR), Reach.EVERYWHERE),
    _P.AUDIT_VIEW: _only(_R.AUDITOR),
    _P.AUDIT_EXPORT: _only(_R.AUDITOR),
}


def reach(roles: Iterable[Role], permission: Permission) -> Reach:
    """Return how far the farthest of `roles` reaches."""
    row = TABLE[permission]
    return max((row.get(role, Reach.NOWHERE) for role in roles), default=Reach.NOWHERE)


def reaches_unit(
    roles: Iterable[Role], permission: Permission, unit_path: Collection[str], department_id: str | None
) -> bool:
    """Whether the roles reach a unit whose ids from the institution down are `unit_path`.

    `department_id` is the department of whoever asks; None for an account without a person.
    """
    match reach(roles, permission):
        case Reach.EVERYWHERE:
            return True
        case Reach.DEPARTMENT:
            return department_id is not None and department_id in unit_path
        case _:
            return False


# --- duties that one person should not hold together -------------------------------------------------

CONFLICTS: Final[frozenset[frozenset[Role]]] = frozenset(
    {
        frozenset({Role.REVIEWER, Role.ADMINISTRATOR}),
        frozenset({Role.FINANCE, Role.ADMINISTRATOR}),
        frozenset({Role.REVIEWER, Role.FINANCE}),
        frozenset({Role.AUDITOR, Role.ADMINISTRATOR}),
        frozenset({Role.AUDITOR, Role.REVIEWER}),
        frozenset({Role.AUDITOR, Role.FINANCE}),
    }
)
"""Pairs that `[accounts] separated_duties` refuses unless it is set to "warn" or "off"."""


def conflicts(roles: Collection[Role]) -> list[tuple[Role, Role]]:
    """Return the pairs of `roles` that should not be one person's, in the order of Role."""
    order = list(Role)
    found = (tuple(sorted(pair, key=order.index)) for pair in CONFLICTS if pair <= set(roles))
    return sorted(((a, b) for a, b in found), key=lambda pair: (order.index(pair[0]), order.index(pair[1])))


# --- addresses outside the console --------------------------------------------------------------------


class Door(Enum):
    """Who opens an address that no signed-in person is needed for."""

    ANYBODY = "anybody"
    """Nothing personal behind it: liveness, documentation, the sign-in page."""
    KEY = "key"
    """An API key (gateway.identity); what it opens is the key's own grant."""
    KEY_OR_SESSION = "key or session"
    """An API key, or a session whose roles reach `incidents.own`: either way a person's own things."""


ADDRESSES: Final[Mapping[str, Door]] = {
    "GET /livez": Door.ANYBODY,
    "GET /readyz": Door.ANYBODY,
    "GET /health/models": Door.ANYBODY,
    "GET /metrics": Door.ANYBODY,
    "GET /docs": Door.ANYBODY,
    "GET /docs/oauth2-redirect": Door.ANYBODY,
    "GET /openapi.json": Door.ANYBODY,
    "MOUNT /docs/static": Door.ANYBODY,
    "POST /v1/chat/completions": Door.KEY,
    "POST /v1/responses": Door.KEY,
    "POST /v1/messages": Door.KEY,
    "POST /v1/messages/count_tokens": Door.KEY,
    "POST /v1/embeddings": Door.KEY,
    "POST /v1/images/generations": Door.KEY,
    "POST /v1/images/edits": Door.KEY,
    "POST /v1/audio/speech": Door.KEY,
    "POST /v1/audio/transcriptions": Door.KEY,
    "POST /v1/videos": Door.KEY,
    "GET /v1/videos": Door.KEY,
    "GET /v1/videos/{video_id}": Door.KEY,
    "GET /v1/videos/{video_id}/content": Door.KEY,
    "DELETE /v1/videos/{video_id}": Door.KEY,
    "POST /v1/videos/{video_id}/remix": Door.KEY,
    "POST /v1/filter/preview": Door.KEY,
    "GET /api/me/usage": Door.KEY,
    "POST /api/incidents/report": Door.KEY_OR_SESSION,
    "GET /api/incidents/own": Door.KEY_OR_SESSION,
    "GET /api/incidents/own/{incident_id:uuid}": Door.KEY_OR_SESSION,
    "GET /v1/models": Door.KEY,
    "GET /v1/models/{model_id:path}": Door.KEY,
    "GET /": Door.ANYBODY,
    "GET /console/static/{name:path}": Door.ANYBODY,
    "POST /console/preferences": Door.ANYBODY,
    "GET /console/sign-in": Door.ANYBODY,
    "POST /console/sign-in": Door.ANYBODY,
    "GET /console/sign-in/code": Door.ANYBODY,
    "POST /console/sign-in/code": Door.ANYBODY,
}
"""`METHOD path` as the route is declared. A new route without a row here fails a test."""
