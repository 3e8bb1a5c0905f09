"""What `haechi prices` and `haechi fx` share: a draft from a file, what it changes, a version in words."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.common import (
    Exit,
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
    from gateway.audit import Deed
    from gateway.pricing import PriceDesk

ReasonOption = Annotated[str, typer.Option("--reason", help="사유, 감사 기록에 남습니다 / why")]
LargeOption = Annotated[
    bool, typer.Option("--large-changes", help="10배 넘는 단가 변화도 맞는 값임 / large changes are meant")
]


def draft_of(desk: PriceDesk, source: str, starts_on: str | None, only: Sequence[str]) -> Draft | None:
    """Return what a file or genai-prices holds; None where genai-prices says nothing new."""
    from gateway import price_sources
    from gateway.price_files import read

    day = None if starts_on is None else day_of(starts_on)
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


def propose_draft(
    desk: PriceDesk, draft: Draft, reason: str, *, large_changes: bool, dry_run: bool, json: bool
) -> None:
    from billing.pricebook import changes, check

    changed = [one for one in changes(desk.book(), draft) if one.kind != "same"]
    if unused := desk.unused(draft):
        names = ", ".join(unused[:20])
        warn(f"이 단가키를 쓰는 모델이 없습니다: {names}", f"No model is priced by: {names}")
    if dry_run:
        check(desk.book(), draft, now(), large_changes=large_changes)
        if json:
            print_json({"dry_run": True, "changes": [change_row(one) for one in changed]})
            return
        show_changes(changed, everything=False)
        show_rates(draft)
        return
    found = desk.propose(draft, deed(reason), large_changes=large_changes)
    if json:
        print_json(version_row(found) | {"changes": [change_row(one) for one in changed]})
        return
    show_changes(changed, everything=False)
    show_rates(draft)
    say(
        f"{found.number}판으로 올렸습니다. 승인: haechi prices approve {found.number}",
        f"Proposed as version {found.number}. Approve it with: haechi prices approve {found.number}",
    )


def tell(found: PriceVersion, json: bool, korean: str, english: str) -> None:
    if json:
        print_json(version_row(found))
        return
    say(f"{found.number}판: {korean}", f"Version {found.number}: {english}")


def show_changes(changed: Sequence[PriceChange], *, everything: bool) -> None:
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


def show_rates(draft: Draft) -> None:
    if draft.fx:
        names = ("base", "date", "rate", "kind", "source")
        rows = [[table.get(name, "") for name in names] for table in draft.fx]
        show_table(("통화", "날짜", "원화", "구분", "출처"), rows)


def version_row(one: PriceVersion) -> dict[str, Any]:
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


def change_row(one: PriceChange) -> dict[str, Any]:
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


def deed(reason: str) -> Deed:
    from gateway.audit import Actor, Deed

    return Deed(now(), Actor(actor()), reason)


def day_of(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        fail(f"날짜가 아닙니다: {text} (예: 2026-12-01)", f"Not a day: {text} (e.g. 2026-12-01)", Exit.USAGE)


@contextmanager
def desk_of(config: Path | None) -> Iterator[PriceDesk]:
    from billing.pricebook import PriceRefused
    from gateway.pricing import PriceDesk

    settings = settings_for(config)
    with database(settings) as engine:
        try:
            yield PriceDesk(engine, config_of(settings))
        except PriceRefused as refused:
            fail(refused.korean, refused.english, Exit.INPUT)
