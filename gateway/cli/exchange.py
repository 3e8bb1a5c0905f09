"""`haechi fx list|import`: exchange rates, each with its day and source."""

from __future__ import annotations

from datetime import date
from pathlib import Path  # noqa: TC003 - typer reads it while it runs
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.common import (
    ConfigOption,
    DryRunOption,
    Exit,
    JsonOption,
    fail,
    print_json,
    say,
    show_table,
)
from gateway.cli.price_parts import (
    LargeOption,
    ReasonOption,
    deed,
    desk_of,
    draft_of,
    propose_draft,
    tell,
)

if TYPE_CHECKING:
    from billing.pricebook import Draft
    from billing.quotes import FxRate

fx_app = typer.Typer(no_args_is_help=True, help="환율 / exchange rates")


@fx_app.command("list")
def list_rates(
    base: Annotated[str | None, typer.Option("--base", help="통화, 예: USD / currency")] = None,
    limit: Annotated[int, typer.Option("--limit", help="몇 줄 / how many", min=1)] = 60,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """알려진 환율입니다, 최근부터 / Rates that are known, the latest first."""
    from gateway.pricing import rates

    with desk_of(config) as desk:
        found = [rate for rate in rates(desk.book()) if base in {None, rate.base}][:limit]
    if json:
        print_json([_rate_row(rate) for rate in found])
        return
    rows = [(rate.base, rate.day, rate.rate, rate.published_at, rate.source) for rate in found]
    show_table(("통화", "날짜", "원화", "공시", "출처"), rows)


@fx_app.command("import")
def import_rates(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="TOML·CSV 파일 / file")],
    reason: ReasonOption = "",
    large_changes: LargeOption = False,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """환율을 읽어 넣습니다. four_eyes면 승인을 기다립니다 / Read rates."""
    with desk_of(config) as desk:
        draft = draft_of(desk, str(file), None, ())
        if draft is None or draft.prices:
            fail(
                "환율(base, date, rate)만 있어야 합니다. 단가는 `haechi prices import`로 올리세요.",
                "The file may hold rates only (base, date, rate); prices go to `haechi prices import`.",
                Exit.INPUT,
            )
        known = {(rate.base, rate.day, rate.rate) for found in desk.book().fx.values() for rate in found}
        fresh = _without(draft, known)
        if fresh is None:
            say("모두 이미 있는 환율입니다.", "Every rate is there already.")
            return
        if dry_run or desk.config.pricing.four_eyes:
            propose_draft(desk, fresh, reason, large_changes=large_changes, dry_run=dry_run, json=json)
            return
        made = desk.propose(fresh, deed(reason), large_changes=large_changes)
        found = desk.approve(made.number, deed(reason))
    tell(found, json, f"환율 {len(fresh.fx)}건을 넣었습니다.", f"{len(fresh.fx)} rates are in force.")


def _without(draft: Draft, known: set[tuple[str, date, Any]]) -> Draft | None:
    """Return a draft without the rates that are known just so; None where nothing is left."""
    from decimal import Decimal

    from billing.pricebook import Draft

    fresh = [
        table
        for table in draft.fx
        if (table["base"], date.fromisoformat(table["date"]), Decimal(table["rate"])) not in known
    ]
    return Draft.of((), fresh, draft.source) if fresh else None


def _rate_row(rate: FxRate) -> dict[str, Any]:
    return {
        "base": rate.base,
        "quote": "KRW",
        "date": rate.day.isoformat(),
        "rate": f"{rate.rate:f}",
        "published_at": rate.published_at.isoformat(),
        "source": rate.source,
    }
