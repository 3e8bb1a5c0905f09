"""`haechi prices list|show|import|propose|diff|approve|reject|withdraw`: the price book and its versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.common import (
    ConfigOption,
    DryRunOption,
    Exit,
    JsonOption,
    fail,
    now,
    print_json,
    say,
    show_table,
)
from gateway.cli.price_parts import (
    LargeOption,
    ReasonOption,
    change_row,
    day_of,
    deed,
    desk_of,
    draft_of,
    propose_draft,
    show_changes,
    show_rates,
    tell,
    version_row,
)

if TYPE_CHECKING:
    from billing.pricebook import PriceVersion
    from billing.quotes import Price
    from gateway.pricing import PriceDesk

prices_app = typer.Typer(no_args_is_help=True, help="단가표 / the price book: versions, approval")

VersionArgument = Annotated[int, typer.Argument(help="판 번호 / version number", min=1)]
FromOption = Annotated[
    str | None,
    typer.Option(
        "--from", help="적용일, 예: 2026-12-01. 파일에 없을 때 씁니다 / first day, where none is said"
    ),
]
SourceArgument = Annotated[
    str, typer.Argument(help="TOML·CSV 파일, 또는 genai-prices / a TOML or CSV file, or genai-prices")
]


# --- looking -------------------------------------------------------------------------------------


@prices_app.command("list")
def list_versions(
    prices: Annotated[
        bool, typer.Option("--in-force", help="판이 아니라 지금 적용되는 단가 / prices in force instead")
    ] = False,
    on: Annotated[
        str | None, typer.Option("--on", help="그날 적용되는 단가 / prices in force on a day")
    ] = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """단가표의 판입니다 / Every version of the price book."""
    with desk_of(config) as desk:
        if prices or on:
            _show_prices(desk, on, json)
            return
        found = desk.versions()
        first = {"version": 0, "state": "approved", "source": "haechi.toml", "prices": len(desk.base.prices)}
    if json:
        print_json([*map(version_row, found), first])
        return
    rows = [_version_cells(one) for one in found]
    rows.append(("0", "approved", "–", first["prices"], "", "haechi.toml", "", ""))
    show_table(("판", "상태", "적용일", "단가", "환율", "출처", "올린 사람", "결정한 사람"), rows)


@prices_app.command()
def show(version: VersionArgument, json: JsonOption = False, config: ConfigOption = None) -> None:
    """한 판의 내용과, 무엇을 바꾸는지입니다 / One version and what it changes."""
    with desk_of(config) as desk:
        found = desk.version(version)
        changed = desk.changes(found)
    if json:
        content = {"changes": [change_row(one) for one in changed], "fx": list(found.draft.fx)}
        print_json(version_row(found) | content)
        return
    say(f"{found.number}판: {found.state} ({found.draft.source})", f"Version {found.number}: {found.state}")
    show_changes(changed, everything=False)
    show_rates(found.draft)


@prices_app.command()
def diff(
    what: Annotated[
        str | None,
        typer.Argument(
            help="판 번호, 파일, 또는 genai-prices. 없으면 승인을 기다리는 판 / version, file, source"
        ),
    ] = None,
    other: Annotated[
        int | None, typer.Argument(help="둘째 판: 첫 판과 견줌 / a second version, against the first", min=0)
    ] = None,
    starts_on: FromOption = None,
    everything: Annotated[
        bool, typer.Option("--all", help="같은 단가도 표시 / also what is the same")
    ] = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """지금 단가와 무엇이 다른지입니다. 아무것도 바꾸지 않습니다 / What would change. Changes nothing."""
    from billing.pricebook import Draft, VersionState, changes

    draft: Draft | None
    with desk_of(config) as desk:
        if what is not None and what.isdigit() and other is not None:
            draft = desk.version(other).draft
            found = changes(desk.book_as_of(int(what)), draft)
        elif what is None or what.isdigit():
            waiting = [one for one in desk.versions() if one.state is VersionState.PROPOSED]
            asked = waiting if what is None else [desk.version(int(what))]
            found = [change for one in asked for change in desk.changes(one)]
            draft = asked[0].draft if len(asked) == 1 else None
        else:
            draft = draft_of(desk, what, starts_on, ())
            found = [] if draft is None else changes(desk.book(), draft)
    if not everything:
        found = [one for one in found if one.kind != "same"]
    if json:
        print_json([change_row(one) for one in found])
        return
    show_changes(found, everything=everything)
    if draft is not None:
        show_rates(draft)


# --- changing ------------------------------------------------------------------------------------


@prices_app.command("import")
def import_prices(
    source: SourceArgument,
    starts_on: FromOption = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", help="genai-prices에서 가져올 단가키, 예: 'openai/*' / keys to take"),
    ] = None,
    reason: ReasonOption = "",
    large_changes: LargeOption = False,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """단가를 읽어 승인을 기다리는 새 판으로 올립니다 / Read prices and propose them as a new version."""
    with desk_of(config) as desk:
        draft = draft_of(desk, source, starts_on, only or ())
        if draft is None:
            say("바뀐 단가가 없습니다.", "No price has changed.")
            return
        propose_draft(desk, draft, reason, large_changes=large_changes, dry_run=dry_run, json=json)


@prices_app.command()
def propose(
    key: Annotated[str, typer.Argument(help="단가키, 예: openai/gpt-5.1 / price key")],
    price: Annotated[
        list[str],
        typer.Option("--price", help="예: --price input=1.25 --price output=10 / class=price, repeated"),
    ],
    starts_on: Annotated[str, typer.Option("--from", help="적용일, 예: 2026-12-01 / first day")],
    until: Annotated[str | None, typer.Option("--until", help="이 날부터 적용 끝 / ends before")] = None,
    currency: Annotated[str, typer.Option("--currency", help="통화 / currency")] = "USD",
    source: Annotated[str, typer.Option("--source", help="출처 / where the price is from")] = "",
    reason: ReasonOption = "",
    large_changes: LargeOption = False,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """단가 하나를 새 판으로 올립니다 / Propose one price as a new version."""
    from gateway.price_files import Sheet

    table: dict[str, Any] = {"key": key, "from": starts_on, "currency": currency.upper(), "source": source}
    if until is not None:
        table["until"] = until
    for one in price:
        name, separator, amount = one.partition("=")
        if not separator:
            fail(f"--price는 input=1.25처럼 씁니다: {one}", f"Write --price as input=1.25: {one}", Exit.USAGE)
        table[name.strip()] = amount.strip()
    with desk_of(config) as desk:
        draft = Sheet(prices=[table]).draft(source or "cli")
        propose_draft(desk, draft, reason, large_changes=large_changes, dry_run=dry_run, json=json)


@prices_app.command()
def approve(
    version: VersionArgument, reason: ReasonOption = "", json: JsonOption = False, config: ConfigOption = None
) -> None:
    """올라온 판을 승인합니다. 적용일부터 1초 안에 쓰입니다 / Put a version in force from its day."""
    with desk_of(config) as desk:
        found = desk.approve(version, deed(reason))
    tell(found, json, f"{found.draft.starts_on}부터 적용됩니다.", f"In force from {found.draft.starts_on}.")


@prices_app.command()
def reject(
    version: VersionArgument, reason: ReasonOption, json: JsonOption = False, config: ConfigOption = None
) -> None:
    """올라온 판을 반려합니다 / Turn a proposed version down."""
    with desk_of(config) as desk:
        found = desk.reject(version, deed(reason))
    tell(found, json, "반려했습니다.", "Rejected.")


@prices_app.command()
def withdraw(
    version: VersionArgument, reason: ReasonOption, json: JsonOption = False, config: ConfigOption = None
) -> None:
    """승인했지만 아직 적용되지 않은 판을 거둡니다 / Take back a version that is not in force yet."""
    with desk_of(config) as desk:
        found = desk.withdraw(version, deed(reason))
    tell(found, json, "거두었습니다.", "Withdrawn.")


# --- parts ---------------------------------------------------------------------------------------


def _show_prices(desk: PriceDesk, on: str | None, json: bool) -> None:
    from billing.periods import day_start
    from gateway.pricing import in_force

    found = in_force(desk.book(), now() if on is None else day_start(day_of(on)))
    if json:
        print_json([_price_row(price) for price in found])
        return
    rows = [
        (price.key, price.version, price.currency, ", ".join(f"{n} {a}" for n, a in price.prices.items()))
        for price in found
    ]
    show_table(("단가키", "판", "통화", "단가"), rows)


def _version_cells(one: PriceVersion) -> tuple[object, ...]:
    draft = one.draft
    return (
        str(one.number),
        str(one.state),
        draft.starts_on,
        len(draft.prices),
        len(draft.fx),
        draft.source,
        one.proposed_by,
        one.decided_by,
    )


def _price_row(price: Price) -> dict[str, Any]:
    from billing.pricebook import figures

    return {
        "key": price.key,
        "version": price.version,
        "from": price.starts_at.isoformat(),
        "until": None if price.ends_at is None else price.ends_at.isoformat(),
        "currency": price.currency,
        "prices": {name: f"{amount:f}" for name, amount in figures(price).items()},
        "source": price.source,
        "verified": price.verified,
    }
