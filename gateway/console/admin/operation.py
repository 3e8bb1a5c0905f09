"""How the gateway runs: models and deployments with their health, policies, settings, jobs. To read only.

All of it is changed in haechi.toml and shown here as this process has read it. Health is this worker's own
experience. No secret is shown: of a credential only that it is there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Depends, Request

from billing.periods import billing_day
from billing.store import outbox
from billing.store.reports import ledger_writers
from billing.store.rollups import rows_behind
from gateway.catalogue import Credential
from gateway.config_schema import TomlTable
from gateway.console import areas, lists
from gateway.console.i18n import N_
from gateway.console.lists import Column, ListQuery, ListSpec
from gateway.console.pages import language_for, render
from gateway.console.parts import ConsoleParts, Parts
from gateway.console.session import Needs, Visitor, gone
from gateway.permissions import Permission
from gateway.store import videos
from gateway.store.database import shown
from gateway.store.videos import VideoJob

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from starlette.responses import Response

    from filters.policy import Policy
    from gateway.catalogue import Deployment, Model
    from gateway.config import Config

OfDeployments = Annotated[Visitor, Depends(Needs(Permission.DEPLOYMENTS_VIEW))]
OfPolicies = Annotated[Visitor, Depends(Needs(Permission.POLICIES_VIEW))]
OfSettings = Annotated[Visitor, Depends(Needs(Permission.SETTINGS_VIEW))]
OfJobs = Annotated[Visitor, Depends(Needs(Permission.JOBS_VIEW))]

DEPLOYMENTS: Final = "/console/admin/deployments"
POLICIES: Final = "/console/admin/policies"
SETTINGS: Final = "/console/admin/settings"
JOBS: Final = "/console/admin/jobs"


def router() -> APIRouter:
    routes = areas.pages()

    @routes.get(DEPLOYMENTS)
    def deployments(request: Request, visitor: OfDeployments, parts: Parts) -> Response:
        return _deployments(request, visitor, parts)

    @routes.get(DEPLOYMENTS + "/{deployment_id:path}")
    def deployment(request: Request, deployment_id: str, visitor: OfDeployments, parts: Parts) -> Response:
        return _deployment(request, visitor, parts, deployment_id)

    @routes.get(POLICIES)
    def policies(request: Request, visitor: OfPolicies, parts: Parts) -> Response:
        return _policies(request, visitor, parts)

    @routes.get(POLICIES + "/{version:path}")
    def policy(request: Request, version: str, visitor: OfPolicies, parts: Parts) -> Response:
        return _policy(request, visitor, parts, version)

    @routes.get(SETTINGS)
    def settings(request: Request, visitor: OfSettings, parts: Parts) -> Response:
        return render(request, visitor, "admin/settings.html", **settings_of(parts.config))

    @routes.get(JOBS)
    def jobs(request: Request, visitor: OfJobs, parts: Parts) -> Response:
        return _jobs(request, visitor, parts)

    return routes


# --- models and deployments ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DeploymentLine:
    model: Model
    deployment: Deployment
    health: Mapping[str, Any]
    """As gateway.health reports it."""

    @property
    def state(self) -> str:
        return str(self.health["state"])


DEPLOYMENT_LIST: Final[ListSpec[DeploymentLine]] = ListSpec(
    name="deployments",
    columns=(
        Column("model", N_("모델"), lambda row: row.model.id, sorts=True),
        Column("deployment", N_("배포"), lambda row: row.deployment.id, sorts=True),
        Column("provider", N_("제공자"), lambda row: row.deployment.provider, sorts=True),
        Column("zone", N_("구역"), lambda row: row.deployment.zone, sorts=True),
        Column("state", N_("상태"), lambda row: row.state, sorts=True),
        Column("flight", N_("처리 중"), lambda row: row.health["in_flight"], sorts=True, number=True),
        Column(
            "latency", N_("첫 토큰(ms)"), lambda row: row.health["first_token_ms"], sorts=True, number=True
        ),
        Column(
            "failures", N_("연속 실패"), lambda row: row.health["failures_in_a_row"], sorts=True, number=True
        ),
    ),
    sort="model",
    filters={"q": "", "zone": "", "state": ""},
    size=100,
)
_DEPLOYMENT_KEYS: Final = {
    "model": lambda row: (row.model.id, row.deployment.id),
    "deployment": lambda row: row.deployment.id,
    "provider": lambda row: (row.deployment.provider, row.deployment.id),
    "zone": lambda row: (row.deployment.zone, row.deployment.id),
    "state": lambda row: (row.state, row.deployment.id),
    "flight": lambda row: row.health["in_flight"],
    "latency": lambda row: row.health["first_token_ms"] or 0,
    "failures": lambda row: row.health["failures_in_a_row"],
}


def _deployment_lines(parts: ConsoleParts) -> list[DeploymentLine]:
    report = parts.fleet()
    health = {one["id"]: one for model in report["models"] for one in model["deployments"]}
    return [
        DeploymentLine(model, deployment, health[deployment.id])
        for model in parts.config.catalogue.models.values()
        for deployment in model.deployments
    ]


def _deployments(request: Request, visitor: Visitor, parts: ConsoleParts) -> Response:
    query = DEPLOYMENT_LIST.read(request.query_params)
    every = _deployment_lines(parts)

    def source(asked: ListQuery) -> tuple[Sequence[DeploymentLine], int]:
        return lists.cut([row for row in every if _wanted(row, asked)], asked, _DEPLOYMENT_KEYS)

    if lists.wants_csv(request.query_params):
        day = billing_day(parts.now())
        return lists.export(DEPLOYMENT_LIST, query, source, language_for(request, visitor), day)
    return render(
        request,
        visitor,
        "admin/deployments.html",
        list=lists.view(DEPLOYMENT_LIST, query, DEPLOYMENTS, source),
        models=len({row.model.id for row in every}),
        well=sum(row.state == "closed" for row in every),
        every=len(every),
        in_house_model=parts.config.in_house_model,
    )


def _wanted(row: DeploymentLine, query: ListQuery) -> bool:
    text, zone, state = (query.filters[name] for name in ("q", "zone", "state"))
    names = (row.model.id, row.model.name, row.deployment.id, row.deployment.provider)
    return (
        any(text.casefold() in name.casefold() for name in names)
        and zone in {"", row.deployment.zone}
        and state in {"", "well" if row.state == "closed" else "ill"}
    )


def _deployment(request: Request, visitor: Visitor, parts: ConsoleParts, deployment_id: str) -> Response:
    line = next((row for row in _deployment_lines(parts) if row.deployment.id == deployment_id), None)
    if line is None:
        raise gone("배포", "deployment")
    deployment = line.deployment
    return render(
        request,
        visitor,
        "admin/deployment.html",
        line=line,
        address=without_secrets(deployment.base_url),
        proxy=without_secrets(deployment.proxy_url or ""),
        credential=credential_of(deployment.credential),
        header_names=sorted(deployment.headers),
        options=[(name, _plain(name, value)) for name, value in sorted(deployment.options.items())],
    )


def credential_of(credential: Credential) -> list[str]:
    """Name the parts of a credential that are there; never what they hold."""
    return [name for name in Credential.__slots__ if getattr(credential, name)]


# --- policies --------------------------------------------------------------------------------------------


def _policies(request: Request, visitor: Visitor, parts: ConsoleParts) -> Response:
    now = parts.now()
    book = parts.config.policies
    return render(
        request,
        visitor,
        "admin/policies.html",
        policies=tuple(reversed(tuple(book.versions))),
        in_force=book.at(now).version,
        now=now,
    )


def _policy(request: Request, visitor: Visitor, parts: ConsoleParts, version: str) -> Response:
    now = parts.now()
    policy = next((p for p in parts.config.policies.versions if p.version == version), None)
    if policy is None:
        raise gone("정책", "policy")
    return render(
        request,
        visitor,
        "admin/policy.html",
        policy=policy,
        in_force=parts.config.policies.at(now).version == version,
        rules=list(rules_of(policy)),
        overrides=sorted(policy.departments),
        exceptions=[(e, e.until > now) for e in policy.exceptions],
        now=now,
    )


def rules_of(policy: Policy) -> Iterator[tuple[str, list[tuple[str, float] | None]]]:
    """Yield each type with what every zone does to it: (action's word, threshold)."""
    types = sorted({type_ for zone in policy.zones.values() for type_ in zone.rules})
    for type_ in types:
        rules = [zone.rule(type_) for zone in policy.zones.values()]
        yield type_, [(rule.action.word, rule.threshold) for rule in rules]


# --- settings --------------------------------------------------------------------------------------------


_SECRET_WORDS: Final = ("secret", "password", "token", "api_key", "credential")
_HIDDEN: Final = "••••••"
_IN_ADDRESS: Final = re.compile(r"://[^/@\s]*@")


def settings_of(config: Config) -> dict[str, Any]:
    """Return the tables of haechi.toml as this process has read them, secrets hidden."""
    tables = [
        (name, [(key, _plain(key, value)) for key, value in table])
        for name in config.__slots__
        if isinstance(table := getattr(config, name), TomlTable)
    ]
    about = [
        ("path", str(config.path)),
        ("database.url", shown(config.database_url)),
        ("database.journal_dir", str(config.journal_dir)),
        ("identity.max_stale_s", f"{config.max_stale_s:g}"),
        ("filter.in_house_model", config.in_house_model or "–"),
        ("filter.rules", str(len(config.custom_rules))),
    ]
    return {"tables": tables, "about": about, "warnings": config.warnings}


def _plain(name: str, value: object) -> str:
    """Return a setting as text; what is, or may hold, a secret is hidden."""
    if any(word in name.lower() for word in _SECRET_WORDS) and not name.endswith(("_env", "_file", "tokens")):
        return _HIDDEN if value else "–"
    match value:
        case None | "" | () | []:
            return "–"
        case bool():
            return "true" if value else "false"
        case list() | tuple():
            return ", ".join(_plain("", one) for one in value)
        case dict() | TomlTable():
            pairs = value.items() if isinstance(value, dict) else iter(value)
            return ", ".join(f"{key} = {_plain(key, one)}" for key, one in pairs)
        case float():
            return f"{value:g}"
        case _:
            return without_secrets(str(value))


def without_secrets(address: str) -> str:
    """Return an address without the name and password that may stand in it."""
    return _IN_ADDRESS.sub("://", address)


# --- jobs ------------------------------------------------------------------------------------------------


JOB_LIST: Final[ListSpec[VideoJob]] = ListSpec(
    name="video-jobs",
    columns=(
        Column("created", N_("시작"), videos.created, sorts=True),
        Column("model", N_("모델"), lambda row: row.model_id),
        Column("deployment", N_("배포"), lambda row: row.deployment_id),
        Column("status", N_("상태"), lambda row: row.status),
        Column("progress", N_("진행률"), lambda row: row.progress, number=True),
        Column("seconds", N_("길이(초)"), lambda row: row.seconds, number=True),
        Column("settled", N_("정산"), lambda row: row.is_settled),
        Column("id", N_("작업 번호"), lambda row: row.id),
    ),
    sort="created",
    descending=True,
    filters={"status": ""},
)
DELIVERIES_SHOWN: Final = 20
"""The newest; `haechi notices list` shows them all."""

JOB_STATES: Final[Mapping[str, str]] = {
    "queued": N_("대기"),
    "in_progress": N_("진행 중"),
    "completed": N_("완료"),
    "failed": N_("실패"),
}


def _jobs(request: Request, visitor: Visitor, parts: ConsoleParts) -> Response:
    query = JOB_LIST.read(request.query_params)
    now = parts.now()

    def source(asked: ListQuery) -> tuple[Sequence[VideoJob], int]:
        status = asked.filters["status"]
        return videos.page_of_jobs(
            parts.database,
            status if status in JOB_STATES else None,
            descending=asked.descending,
            offset=asked.offset,
            limit=asked.size,
        )

    if lists.wants_csv(request.query_params):
        return lists.export(JOB_LIST, query, source, language_for(request, visitor), billing_day(now))
    return render(
        request,
        visitor,
        "admin/jobs.html",
        list=lists.view(JOB_LIST, query, JOBS, source),
        states=JOB_STATES,
        created=videos.created,
        behind=rows_behind(parts.database),
        deliveries=outbox.listed(parts.database, limit=DELIVERIES_SHOWN),
        writers=[(writer, _age_s(writer.heartbeat, now)) for writer in ledger_writers(parts.database)],
    )


def _age_s(at: datetime, now: datetime) -> int:
    return max(0, int((now - at).total_seconds()))
