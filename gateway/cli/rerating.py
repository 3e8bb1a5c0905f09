"""`haechi rerate`: a month computed again from its charges, or by the prices of another version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from billing.money import format_won_exact, won
from gateway.cli.common import (
    ConfigOption,
    Exit,
    JsonOption,
    config_of,
    database,
    fail,
    print_json,
    say,
    settings_for,
    show_table,
)

if TYPE_CHECKING:
    from pathlib import Path

    from billing.store.rerating import Group, Rerating, WhatIf


def register(app: typer.Typer) -> None:
    app.command("rerate")(rerate)


def rerate(
    month: Annotated[str, typer.Option("--month", help="달, 예: 2026-11 / a month")],
    prices: Annotated[
        str | None,
        typer.Option("--prices", help="다른 판의 번호, 또는 haechi.toml, current / another version"),
    ] = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """한 달을 장부로 다시 계산하거나, 다른 단가였다면 얼마였을지 보입니다. 아무것도 바꾸지 않습니다.

    Rate a month again from its charges, or see what another price version would have cost. Changes nothing.
    """
    _check_month(month)
    if prices is None:
        again(month, json=json, config=config)
    else:
        _otherwise(month, prices, json=json, config=config)


def again(month: str, *, json: bool, config: Path | None) -> None:
    """Rate every row of a month by what the ledger holds; end with 1 where an amount differs."""
    from billing.store import rerate as rerate_month

    with database(settings_for(config)) as engine:
        found = rerate_month(engine, month)
    if json:
        print_json(_row(found))
    else:
        state = "같습니다 / the same" if found.ok else f"{len(found.differing)}건이 다릅니다 / differ"
        say(f"{month}: 청구 {found.charges:,}건을 다시 계산한 결과가 {state}.")
        say(
            f"  산출액 {format_won_exact(found.charged_nano_krw)}, 정정 {found.corrections:,}건 포함",
            f"  KRW {won(found.charged_nano_krw):f}, {found.corrections:,} corrections included",
        )
    if not found.ok:
        raise typer.Exit(Exit.FOUND)


def _otherwise(month: str, prices: str, *, json: bool, config: Path | None) -> None:
    from billing.pricebook import PriceRefused
    from billing.prices import NoPrice
    from gateway.pricing import PriceDesk
    from gateway.rerating import version_of, what_if

    settings = settings_for(config)
    with database(settings) as engine:
        desk = PriceDesk(engine, config_of(settings))
        try:
            alternative = version_of(desk, prices)
            found = what_if(desk, month, alternative)
        except (PriceRefused, NoPrice) as refused:
            fail(refused.korean, refused.english, Exit.INPUT)
    if json:
        print_json(_what_if_row(found, alternative.name))
    else:
        _show(found, alternative.name)


def _show(found: WhatIf, name: str) -> None:
    rows = [_cells(model, group) for model, group in found.by_model.items()]
    show_table(("모델", "행", "청구한 금액(원)", f"{name}였다면(원)", "차이(원)"), rows)
    whole = found.whole
    say(
        f"{found.month}: {format_won_exact(whole.charged_nano_krw)} → {name}였다면"
        f" {format_won_exact(whole.rerated_nano_krw)} (차이 {format_won_exact(whole.difference_nano_krw)})",
        f"KRW {won(whole.charged_nano_krw):f} -> {won(whole.rerated_nano_krw):f} by {name}."
        " Nothing was changed.",
    )
    if found.kept:
        say(
            f"  {found.kept:,}건({format_won_exact(found.kept_nano_krw)})은 그 판에 단가가 없거나"
            " 제공자가 금액을 알려 준 것이라 그대로 두었습니다.",
            f"  {found.kept:,} rows stay as charged: no price there, or a cost that the provider stated.",
        )


def _cells(name: str, group: Group) -> tuple[object, ...]:
    amounts = (group.charged_nano_krw, group.rerated_nano_krw, group.difference_nano_krw)
    return (name, group.rows, *(f"{won(amount):,.2f}" for amount in amounts))


def _row(found: Rerating) -> dict[str, Any]:
    return {
        "ok": found.ok,
        "month": found.month,
        "charges": found.charges,
        "corrections": found.corrections,
        "charged_krw": f"{won(found.charged_nano_krw):f}",
        "rerated_krw": f"{won(found.rerated_nano_krw):f}",
        "differing": found.differing,
    }


def _what_if_row(found: WhatIf, name: str) -> dict[str, Any]:
    return {
        "month": found.month,
        "prices": name,
        **_group_row(found.whole),
        "kept_rows": found.kept,
        "kept_krw": f"{won(found.kept_nano_krw):f}",
        "by_model": [{"model": model} | _group_row(group) for model, group in found.by_model.items()],
        "by_department": [
            {"department": unit} | _group_row(group) for unit, group in found.by_department.items()
        ],
    }


def _group_row(group: Group) -> dict[str, Any]:
    return {
        "rows": group.rows,
        "charged_krw": f"{won(group.charged_nano_krw):f}",
        "rerated_krw": f"{won(group.rerated_nano_krw):f}",
        "difference_krw": f"{won(group.difference_nano_krw):f}",
    }


def _check_month(month: str) -> None:
    from billing.periods import month_bounds

    try:
        month_bounds(month)
    except ValueError as error:
        korean, _, english = str(error).partition(" / ")
        fail(korean, english, Exit.USAGE)
