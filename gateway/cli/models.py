"""`haechi models`: what is open, where it runs, what it costs."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.common import (
    ConfigOption,
    Exit,
    JsonOption,
    config_of,
    fail,
    now,
    print_json,
    say,
    settings_for,
    show_table,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from billing.prices import PriceBook
    from gateway.catalogue import Deployment, Model
    from gateway.config import Config

app = typer.Typer(no_args_is_help=True, help="모델과 단가 / models and prices")
ModelArgument = Annotated[str, typer.Argument(help="모델 id / id of the model")]


@app.command("list")
def list_(json: JsonOption = False, config: ConfigOption = None) -> None:
    """열려 있는 모델의 목록입니다 / List the models."""
    read = config_of(settings_for(config))
    models = list(read.catalogue.models.values())
    if json:
        print_json([_row(model) for model in models])
        return
    show_table(
        ("모델", "이름", "제공자", "위치", "종류", "할 수 있는 일", "배포", ""),
        [
            (
                model.id,
                model.name,
                model.owned_by,
                "·".join(sorted(_ZONES[zone.value] for zone in model.zones)),
                _KINDS[model.kind],
                _abilities(model),
                len(model.deployments),
                "모의 (simulated)" if model.simulated else "",
            )
            for model in models
        ],
    )


@app.command()
def show(model: ModelArgument, json: JsonOption = False, config: ConfigOption = None) -> None:
    """모델 하나를 자세히 봅니다 / Show one model."""
    found = _model(config_of(settings_for(config)), model)
    if json:
        print_json(_row(found))
        return
    say(f"{found.id} — {found.name} ({found.owned_by}, {_KINDS[found.kind]})")
    if found.description:
        say(found.description)
    if found.capabilities:
        say(f"  할 수 있는 일 / capabilities: {_abilities(found)}")
    if found.context_tokens:
        say(f"  문맥 / context: {found.context_tokens:,} tokens")
    for deployment in found.deployments:
        say(
            f"  {deployment.id}: {_ZONES[deployment.zone.value]}, {deployment.wire}/{deployment.profile},"
            f" {deployment.base_url} → {deployment.upstream_model}, 단가 {deployment.price_key}"
            + (" [모의 / simulated]" if deployment.simulated else "")
        )


@app.command()
def price(
    model: Annotated[
        str | None, typer.Argument(help="모델 id. 없으면 모두 / id of the model; without one, all")
    ] = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """오늘 적용되는 단가와 환율입니다 / The price and rate in force today."""
    read = config_of(settings_for(config))
    models = read.catalogue.models.values() if model is None else [_model(read, model)]
    rows, missing = _prices_of(read, models)
    if json:
        print_json(rows)
    elif rows:
        show_table(
            ("배포", "구분", "단가", "단위", "적용일", "출처", "확인"), [_price_cells(row) for row in rows]
        )
    if missing:
        names = ", ".join(missing)
        fail(
            f"오늘 적용되는 단가나 환율이 없습니다: {names}. `haechi prices import`로 올리세요.",
            f"No price or rate in force today: {names}. `haechi prices import` proposes one.",
        )


def _prices_of(config: Config, models: Iterable[Model]) -> tuple[list[dict[str, object]], list[str]]:
    """Return the prices of every deployment, and the deployments that have none."""
    from billing.prices import NoPrice
    from gateway.pricing import book_of

    book, rows, missing = book_of(config), [], []
    for deployment in (one for model in models for one in model.deployments):
        try:
            rows += _prices(book, deployment)
        except NoPrice:
            missing.append(deployment.id)
    return rows, missing


def _price_cells(row: Mapping[str, object]) -> tuple[str, ...]:
    checked = f"{'확인됨' if row['verified'] else '미확인 (unverified)'} {row['checked'] or ''}"
    return (
        str(row["deployment"]),
        f"{_NAMES.get(str(row['class']), row['class'])} {row['where']}".rstrip(),
        f"{row['price']} {row['currency']}",
        str(row["unit"]),
        str(row["day"]),
        str(row["source"]),
        checked.rstrip(),
    )


_ZONES = {"external": "외부", "in_house": "내부"}
_KINDS = {
    "chat": "대화",
    "embedding": "임베딩",
    "image": "그림",
    "speech": "음성",
    "transcription": "받아쓰기",
    "video": "영상",
}
_UNITS = {
    "characters": "1,000,000자",
    "requests": "1건",
    "searches": "1회",
    "images": "1장",
    "audio_ms": "1초",
    "video_ms": "1초",
}
"""Of what one price buys; tokens are sold by the million."""


_NAMES = {"audio_ms": "audio_seconds", "video_ms": "video_seconds"}
"""As the price table calls them."""


def _abilities(model: Model) -> str:
    return " ".join(sorted(model.capabilities))


def _prices(book: PriceBook, deployment: Deployment) -> list[dict[str, object]]:
    from billing.periods import billing_day
    from billing.quotes import PER

    quote = book.quote(deployment.price_key, now())
    price = quote.price
    tables = [("", price.prices)]
    tables += [(f">{tier.above_input_tokens:,} tokens", tier.prices) for tier in price.tiers]
    tables += [(name.strip("*").strip("/"), prices) for name, prices in price.variants.items()]
    return [
        {
            "model": deployment.model_id,
            "deployment": deployment.id,
            "price_key": price.key,
            "version": price.version,
            "class": usage_class,
            "where": where,
            "price": str(amount),
            "currency": price.currency,
            "per": PER[usage_class],
            "unit": _UNITS.get(usage_class, "1,000,000토큰"),
            "from": price.starts_at.isoformat(),
            "day": billing_day(price.starts_at).isoformat(),
            "fx": str(quote.fx.rate) if quote.fx else None,
            "fx_date": quote.fx.day.isoformat() if quote.fx else None,
            "source": price.source,
            "checked": price.checked.isoformat() if price.checked else None,
            "verified": price.verified,
        }
        for where, prices in tables
        for usage_class, amount in prices.items()
    ]


def _model(config: Config, wanted: str) -> Model:
    found = config.catalogue.get(wanted)
    if found is None:
        close = difflib.get_close_matches(wanted, config.catalogue.models, 1)
        hint = f" ('{close[0]}'?)" if close else ""
        fail(f"모델 '{wanted}'이(가) 없습니다.{hint}", f"There is no model '{wanted}'.{hint}", Exit.USAGE)
    return found


def _row(model: Model) -> dict[str, object]:
    return {
        "id": model.id,
        "name": model.name,
        "owned_by": model.owned_by,
        "kind": model.kind,
        "capabilities": sorted(model.capabilities),
        "zones": sorted(zone.value for zone in model.zones),
        "simulated": model.simulated,
        "context_tokens": model.context_tokens,
        "max_output_tokens": model.max_output_tokens,
        "deployments": [
            {
                "id": deployment.id,
                "provider": deployment.provider,
                "zone": deployment.zone.value,
                "wire": deployment.wire,
                "profile": deployment.profile,
                "upstream_model": deployment.upstream_model,
                "price_key": deployment.price_key,
                "region": deployment.region,
                "country": deployment.country,
            }
            for deployment in model.deployments
        ],
    }
