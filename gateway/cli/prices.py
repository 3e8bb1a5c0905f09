"""`haechi prices list|show|import|propose|diff|approve|reject|withdraw` and `haechi fx list|import`."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.common import (
    ConfigOption,
    DryRunOption,
    Exit,
    JsonOption,
    actor,
    config_of,
    database,
    fail,
    now,
    print_json,
    say,
    settings_for,
    show_table,
    warn,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from billing.pricebook import Draft, PriceChange, PriceVersion
    from billing.quotes import FxRate, Price
    from gateway.audit import Deed
    from gateway.pricing import PriceDesk

prices_app = typer.Typer(no_args_is_help=True, help="단가표 / the price book: versions, approval")
fx_app = typer.Typer(no_args_is_help=True, help="환율 / exchange rates")

VersionArgument = Annotated[int, typer.Argument(help="판 번호 / version number", min=1)]
ReasonOption = Annotated[str, typer.Option("--reason", help="사유, 감사 기록에 남습니다 / why")]
FromOption = Annotated[
    str | None,
    typer.Option(
        "--from", help="적용일, 예: 2026-12-01. 파일에 없을 때 씁니다 / first day, where none is said"
    ),
]
LargeOption = Annotated[
    bool, typer.Option("--large-changes", help="10배 넘는 단가 변화도 맞는 값임 / large changes are meant")
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
    with _desk(config) as desk:
        if prices or on:
            _show_prices(desk, on, json)
            return
        found = desk.versions()
        first = {"version": 0, "state": "approved", "source": "haechi.toml", "prices": len(desk.base.prices)}
    if json:
        print_json([*map(_version_row, found), first])
        return
    rows = [_version_cells(one) for one in found]
    rows.append(("0", "approved", "–", first["prices"], "", "haechi.toml", "", ""))
    show_table(("판", "상태", "적용일", "단가", "환율", "출처", "올린 사람", "결정한 사람"), rows)


@prices_app.command()
def show(version: VersionArgument, json: JsonOption = False, config: ConfigOption = None) -> None:
    """한 판의 내용과, 무엇을 바꾸는지입니다 / One version and what it changes."""
    with _desk(config) as desk:
        found = desk.version(version)
        changed = desk.changes(found)
    if json:
        content = {"changes": [_change_row(one) for one in changed], "fx": list(found.draft.fx)}
        print_json(_version_row(found) | content)
        return
    say(f"{found.number}판: {found.state} ({found.draft.source})", f"Version {found.number}: {found.state}")
    _show_changes(changed, everything=False)
    _show_rates(found.draft)


@prices_app.command()
def diff(
    what: Annotated[
        str | None,
        typer.Argument(
            help="판 번호, 파일, 또는 genai-prices. 없으면 승인을 기다리는 판 / version, file, source"
        ),
    ] = None,
    starts_on: FromOption = None,
    everything: Annotated[
        bool, typer.Option("--all", help="같은 단가도 표시 / also what is the same")
    ] = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """지금 단가와 무엇이 다른지입니다. 아무것도 바꾸지 않습니다 / What would change. Changes nothing."""
    from billing.pricebook import VersionState, changes

    with _desk(config) as desk:
        if what is None or what.isdigit():
            waiting = [one for one in desk.versions() if one.state is VersionState.PROPOSED]
            asked = waiting if what is None else [desk.version(int(what))]
            found = [change for one in asked for change in desk.changes(one)]
            draft = asked[0].draft if len(asked) == 1 else None
        else:
            draft = _draft(desk, what, starts_on, ())
            found = [] if draft is None else changes(desk.book(), draft)
    if not everything:
        found = [one for one in found if one.kind != "same"]
    if json:
        print_json([_change_row(one) for one in found])
        return
    _show_changes(found, everything=everything)
    if draft is not None:
        _show_rates(draft)


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
    with _desk(config) as desk:
        draft = _draft(desk, source, starts_on, only or ())
        if draft is None:
            say("바뀐 단가가 없습니다.", "No price has changed.")
            return
        _propose(desk, draft, reason, large_changes=large_changes, dry_run=dry_run, json=json)


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
    with _desk(config) as desk:
        draft = Sheet(prices=[table]).draft(source or "cli")
        _propose(desk, draft, reason, large_changes=large_changes, dry_run=dry_run, json=json)


@prices_app.command()
def approve(
    version: VersionArgument, reason: ReasonOption = "", json: JsonOption = False, config: ConfigOption = None
) -> None:
    """올라온 판을 승인합니다. 적용일부터 1초 안에 쓰입니다 / Put a version in force from its day."""
    with _desk(config) as desk:
        found = desk.approve(version, _deed(reason))
    _told(found, json, f"{found.draft.starts_on}부터 적용됩니다.", f"In force from {found.draft.starts_on}.")


@prices_app.command()
def reject(
    version: VersionArgument, reason: ReasonOption, json: JsonOption = False, config: ConfigOption = None
) -> None:
    """올라온 판을 반려합니다 / Turn a proposed version down."""
    with _desk(config) as desk:
        found = desk.reject(version, _deed(reason))
    _told(found, json, "반려했습니다.", "Rejected.")


@prices_app.command()
def withdraw(
    version: VersionArgument, reason: ReasonOption, json: JsonOption = False, config: ConfigOption = None
) -> None:
    """승인했지만 아직 적용되지 않은 판을 거둡니다 / Take back a version that is not in force yet."""
    with _desk(config) as desk:
        found = desk.withdraw(version, _deed(reason))
    _told(found, json, "거두었습니다.", "Withdrawn.")


# --- exchange rates ------------------------------------------------------------------------------


@fx_app.command("list")
def list_rates(
    base: Annotated[str | None, typer.Option("--base", help="통화, 예: USD / currency")] = None,
    limit: Annotated[int, typer.Option("--limit", help="몇 줄 / how many", min=1)] = 60,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """알려진 환율입니다, 최근부터 / Rates that are known, the latest first."""
    from gateway.pricing import rates

    with _desk(config) as desk:
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
    with _desk(config) as desk:
        draft = _draft(desk, str(file), None, ())
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
            _propose(desk, fresh, reason, large_changes=large_changes, dry_run=dry_run, json=json)
            return
        made = desk.propose(fresh, _deed(reason), large_changes=large_changes)
        found = desk.approve(made.number, _deed(reason))
    _told(found, json, f"환율 {len(fresh.fx)}건을 넣었습니다.", f"{len(fresh.fx)} rates are in force.")


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


# --- parts ---------------------------------------------------------------------------------------


def _draft(desk: PriceDesk, source: str, starts_on: str | None, only: Sequence[str]) -> Draft | None:
    """Return what a file or genai-prices holds; None where genai-prices says nothing new."""
    from gateway import price_sources
    from gateway.price_files import read

    day = None if starts_on is None else _day(starts_on)
    if source == price_sources.NAME:
        if day is None:
            fail(
                "genai-prices에는 적용일이 없습니다. --from 2026-12-01처럼 정하세요.",
                "genai-prices says no first day; choose one, e.g. --from 2026-12-01.",
                Exit.INPUT,
            )
        keys = [key for key in price_sources.known_keys() if any(fnmatchcase(key, one) for one in only)]
        draft, found = desk.collected(day, keys)
        for korean, english in found.notes:
            warn(korean, english)
        if found.unknown:
            listed = ", ".join(found.unknown[:20])
            warn(f"genai-prices에 없는 단가키: {listed}", f"Not in genai-prices: {listed}")
        return draft
    path = Path(source)
    if not path.is_file():
        fail(
            f"파일이 없습니다: {source}. TOML이나 CSV 파일, 또는 genai-prices를 쓰세요.",
            f"There is no file {source}. Name a TOML or CSV file, or genai-prices.",
            Exit.INPUT,
        )
    return read(path.read_bytes(), path.name).draft(path.name, day)


def _propose(
    desk: PriceDesk, draft: Draft, reason: str, *, large_changes: bool, dry_run: bool, json: bool
) -> None:
    from billing.pricebook import changes, check

    changed = [one for one in changes(desk.book(), draft) if one.kind != "same"]
    if dry_run:
        check(desk.book(), draft, now(), large_changes=large_changes)
        if json:
            print_json({"dry_run": True, "changes": [_change_row(one) for one in changed]})
            return
        _show_changes(changed, everything=False)
        _show_rates(draft)
        return
    found = desk.propose(draft, _deed(reason), large_changes=large_changes)
    if json:
        print_json(_version_row(found) | {"changes": [_change_row(one) for one in changed]})
        return
    _show_changes(changed, everything=False)
    _show_rates(draft)
    say(
        f"{found.number}판으로 올렸습니다. 승인: haechi prices approve {found.number}",
        f"Proposed as version {found.number}. Approve it with: haechi prices approve {found.number}",
    )


def _told(found: PriceVersion, json: bool, korean: str, english: str) -> None:
    if json:
        print_json(_version_row(found))
        return
    say(f"{found.number}판: {korean}", f"Version {found.number}: {english}")


def _show_prices(desk: PriceDesk, on: str | None, json: bool) -> None:
    from billing.periods import day_start
    from gateway.pricing import in_force

    found = in_force(desk.book(), now() if on is None else day_start(_day(on)))
    if json:
        print_json([_price_row(price) for price in found])
        return
    rows = [
        (price.key, price.version, price.currency, ", ".join(f"{n} {a}" for n, a in price.prices.items()))
        for price in found
    ]
    show_table(("단가키", "판", "통화", "단가"), rows)


def _show_changes(changed: Sequence[PriceChange], *, everything: bool) -> None:
    shown = [one for one in changed if everything or one.kind != "same"]
    rows = [
        (
            one.key,
            one.starts_on,
            one.name,
            one.currency,
            "–" if one.before is None else f"{one.before}",
            "–" if one.after is None else f"{one.after}",
            "" if one.percent is None else f"{one.percent:+}%",
        )
        for one in shown
    ]
    if rows:
        show_table(("단가키", "적용일", "항목", "통화", "지금", "바뀐 뒤", "차이"), rows)
    else:
        say("다른 단가가 없습니다.", "No price differs.")


def _show_rates(draft: Draft) -> None:
    if draft.fx:
        names = ("base", "date", "rate", "kind", "source")
        rows = [[table.get(name, "") for name in names] for table in draft.fx]
        show_table(("통화", "날짜", "원화", "구분", "출처"), rows)


def _version_row(one: PriceVersion) -> dict[str, Any]:
    return {
        "version": one.number,
        "state": one.state,
        "starts_on": one.draft.starts_on.isoformat(),
        "prices": len(one.draft.prices),
        "fx": len(one.draft.fx),
        "source": one.draft.source,
        "digest": one.draft.digest,
        "proposed_at": one.proposed_at.isoformat(),
        "proposed_by": one.proposed_by,
        "reason": one.reason,
        "decided_at": None if one.decided_at is None else one.decided_at.isoformat(),
        "decided_by": one.decided_by or None,
        "decision": one.decision,
    }


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


def _change_row(one: PriceChange) -> dict[str, Any]:
    return {
        "key": one.key,
        "from": one.starts_on.isoformat(),
        "name": one.name,
        "currency": one.currency,
        "kind": one.kind,
        "before": None if one.before is None else f"{one.before:f}",
        "after": None if one.after is None else f"{one.after:f}",
        "percent": None if one.percent is None else f"{one.percent:f}",
    }


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


def _rate_row(rate: FxRate) -> dict[str, Any]:
    return {
        "base": rate.base,
        "quote": "KRW",
        "date": rate.day.isoformat(),
        "rate": f"{rate.rate:f}",
        "published_at": rate.published_at.isoformat(),
        "source": rate.source,
    }


def _deed(reason: str) -> Deed:
    from gateway.audit import Actor, Deed

    return Deed(now(), Actor(actor()), reason)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        fail(f"날짜가 아닙니다: {text} (예: 2026-12-01)", f"Not a day: {text} (e.g. 2026-12-01)", Exit.USAGE)


@contextmanager
def _desk(config: Path | None) -> Iterator[PriceDesk]:
    from billing.pricebook import PriceRefused
    from gateway.pricing import PriceDesk

    settings = settings_for(config)
    with database(settings) as engine:
        try:
            yield PriceDesk(engine, config_of(settings))
        except PriceRefused as refused:
            fail(refused.korean, refused.english, Exit.INPUT)
