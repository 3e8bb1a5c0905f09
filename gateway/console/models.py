"""모델: which models are open, where they run, what they can do and cost, and how they are now.

State is that of this worker, as /health/models has it. A reviewer and an administrator see no price.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

from fastapi import APIRouter, Depends, Request

from billing.periods import billing_day
from billing.prices import NoPrice
from gateway.console import areas, lists
from gateway.console.i18n import N_
from gateway.console.pages import language_for, render
from gateway.console.parts import ConsoleParts, Parts
from gateway.console.price_tags import PriceTag, price_tags
from gateway.console.session import Needs, Visitor, gone
from gateway.domain import Zone
from gateway.permissions import Permission

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.responses import Response

    from gateway.catalogue import Model

Reader = Annotated[Visitor, Depends(Needs(Permission.MODELS_VIEW))]

KINDS: Final[Mapping[str, str]] = {
    "chat": N_("대화"),
    "embedding": N_("임베딩"),
    "image": N_("그림"),
    "speech": N_("음성"),
    "transcription": N_("받아쓰기"),
    "video": N_("영상"),
}
ABILITIES: Final[Mapping[str, str]] = {
    "vision": N_("그림 읽기"),
    "image": N_("그림 만들기"),
    "video": N_("영상 만들기"),
    "tools": N_("도구 호출"),
    "reasoning": N_("추론"),
    "structured_output": N_("구조화 출력"),
    "audio": N_("소리"),
    "search": N_("검색"),
}


@dataclass(frozen=True, slots=True)
class Open:
    """A model as the list shows it. `state`: ok, degraded or unavailable; `price` of its first deployment."""

    model: Model
    state: str
    price: PriceTag | None

    @property
    def outside(self) -> bool:
        """Whether a prompt may leave the institution."""
        return Zone.EXTERNAL in self.model.zones


_PRICED: Final[lists.Column[Open]] = lists.Column(
    "price", N_("단가"), lambda row: row.price.text if row.price else ""
)
_PLAIN: Final[tuple[lists.Column[Open], ...]] = (
    lists.Column("model", N_("모델"), lambda row: row.model.id, sorts=True),
    lists.Column("kind", N_("종류"), lambda row: row.model.kind, sorts=True),
    lists.Column("zone", N_("위치"), lambda row: "external" if row.outside else "in_house", sorts=True),
    lists.Column("abilities", N_("할 수 있는 일"), lambda row: " ".join(sorted(row.model.capabilities))),
    lists.Column("state", N_("상태"), lambda row: row.state, sorts=True),
)
_FILTERS: Final = {"q": "", "kind": "", "zone": ""}
PLAIN_LIST: Final[lists.ListSpec[Open]] = lists.ListSpec("models", _PLAIN, sort="model", filters=_FILTERS)
PRICED_LIST: Final[lists.ListSpec[Open]] = lists.ListSpec(
    "models", (*_PLAIN[:4], _PRICED, _PLAIN[4]), "model", filters=_FILTERS
)


def router() -> APIRouter:
    routes = areas.pages()

    @routes.get("/console/models")
    def models(request: Request, visitor: Reader, parts: Parts) -> Response:
        return _list(request, visitor, parts)

    @routes.get("/console/models/{model_id:path}")
    def model(request: Request, model_id: str, visitor: Reader, parts: Parts) -> Response:
        found = parts.config.catalogue.get(model_id)
        if found is None:
            raise gone("모델", "model")
        return render(
            request,
            visitor,
            "model.html",
            row=_open(parts, visitor, found, _states(parts)),
            tags=_tags(parts, visitor, found),
            kinds=KINDS,
            abilities=ABILITIES,
        )

    return routes


def _list(request: Request, visitor: Visitor, parts: ConsoleParts) -> Response:
    spec = PRICED_LIST if visitor.may(Permission.MODELS_PRICES) else PLAIN_LIST
    query = spec.read(request.query_params)
    states = _states(parts)

    def source(asked: lists.ListQuery) -> tuple[Sequence[Open], int]:
        found = [m for m in parts.config.catalogue.models.values() if _fits(m, asked.filters)]
        keys = {
            "model": lambda row: row.model.name.casefold(),
            "kind": lambda row: row.model.kind,
            "zone": lambda row: row.outside,
            "state": lambda row: row.state,
        }
        return lists.cut([_open(parts, visitor, model, states) for model in found], asked, keys)

    if lists.wants_csv(request.query_params):
        return lists.export(spec, query, source, language_for(request, visitor), billing_day(parts.now()))
    view = lists.view(spec, query, "/console/models", source)
    return render(request, visitor, "models.html", list=view, kinds=KINDS, abilities=ABILITIES)


def _fits(model: Model, wanted: Mapping[str, str]) -> bool:
    text = wanted["q"].casefold()
    zone = "external" if Zone.EXTERNAL in model.zones else "in_house"
    return (
        (not text or text in f"{model.id} {model.name} {model.owned_by}".casefold())
        and (not wanted["kind"] or wanted["kind"] == model.kind)
        and (not wanted["zone"] or wanted["zone"] == zone)
    )


def _states(parts: ConsoleParts) -> dict[str, str]:
    return {str(model["id"]): str(model["status"]) for model in parts.fleet()["models"]}


def _open(parts: ConsoleParts, visitor: Visitor, model: Model, states: Mapping[str, str]) -> Open:
    tags = _tags(parts, visitor, model)
    return Open(model, states.get(model.id, "unavailable"), tags[0][1] if tags else None)


def _tags(parts: ConsoleParts, visitor: Visitor, model: Model) -> list[tuple[str, PriceTag | None]]:
    """Return (deployment, price) of each deployment; None where no price is in force."""
    if not visitor.may(Permission.MODELS_PRICES):
        return []
    found: list[tuple[str, PriceTag | None]] = []
    for deployment in model.deployments:
        try:
            quote = parts.prices.book.quote(deployment.price_key, parts.now())
        except NoPrice:
            found.append((deployment.id, None))
        else:
            found.append((deployment.id, price_tags(quote)))
    return found
