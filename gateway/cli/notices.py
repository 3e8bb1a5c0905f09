"""`haechi notices list|retry|test` and `haechi budgets contacts`: who is told, and what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from gateway.cli.common import (
    ConfigOption,
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
)
from gateway.cli.transfers import ScopeArgument, scope_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from billing.budgets import Scope
    from billing.store.notices import Watch
    from billing.store.outbox import Delivery
    from gateway.config_notices import NoticeSettings

app = typer.Typer(no_args_is_help=True, help="예산 알림 / notices of budgets")
State = Literal["sent", "waiting", "dead"]
_STATES = {"sent": "보냄", "waiting": "대기", "dead": "포기"}


def register(budgets: typer.Typer) -> None:
    budgets.command()(contacts)


@app.command("list")
def list_(
    state: Annotated[State | None, typer.Option("--state", help="sent, waiting 또는 dead")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="몇 건까지 / at most")] = 50,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """알림과 배달 상태를 봅니다 / Show notices and what became of their deliveries."""
    from billing.store.outbox import listed

    with database(settings_for(config)) as engine:
        deliveries = listed(engine, only=state, limit=limit)
    if json:
        print_json([_row(delivery) for delivery in deliveries])
        return
    columns = ("알림", "때", "내용", "받는 곳", "상태", "시도", "까닭")
    show_table(columns, [_cells(delivery) for delivery in deliveries])


@app.command()
def retry(
    notice_id: Annotated[str | None, typer.Argument(help="알림 ID, 없으면 모두 / default: all")] = None,
    config: ConfigOption = None,
) -> None:
    """포기한 알림을 다시 보냅니다 / Put dead letters back into the outbox."""
    from billing.store.outbox import retry as put_back

    with database(settings_for(config)) as engine:
        count = put_back(engine, now(), notice_id)
    say(f"{count}건을 다시 보냅니다.", f"{count} will be sent again.")


@app.command("test")
def send_test(
    email: Annotated[str | None, typer.Option("--email", help="이 주소로만 / to this address alone")] = None,
    config: ConfigOption = None,
) -> None:
    """설정된 모든 곳에 시험 알림을 보냅니다. 실패하면 1로 끝납니다 / Send a test to everybody now."""
    notices = config_of(settings_for(config)).notices
    if not notices.is_on or (email and notices.smtp is None):
        fail(
            "haechi.toml에 [notices.smtp]나 [[notices.webhooks]]가 없습니다.",
            "haechi.toml has no [notices.smtp] or [[notices.webhooks]]",
            Exit.CONFIG,
        )
    results = list(_tested(notices, email))
    for target, failure in results:
        say(f"{target}: {'보냈습니다' if failure is None else f'실패 ({failure})'}")
    if not results:
        say(
            "받을 전자우편 주소가 없습니다. --email로 지정하세요.",
            "There is no address; name one with --email.",
        )
    if any(failure for _, failure in results):
        raise typer.Exit(Exit.FOUND)


def contacts(
    scope: ScopeArgument,
    reason: Annotated[str, typer.Option("--reason", help="바꾸는 사유 / why, with a change")] = "",
    email: Annotated[list[str] | None, typer.Option("--email", help="받을 주소 / repeatable")] = None,
    thresholds: Annotated[str | None, typer.Option(help="예: 50,80,100 (기본: haechi.toml)")] = None,
    forecast: Annotated[bool | None, typer.Option("--forecast/--no-forecast", help="소진 예상 알림")] = None,
    clear: Annotated[bool, typer.Option("--clear", help="haechi.toml의 기본으로 / the default")] = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """예산 알림을 받을 사람과 때를 정하거나 봅니다 / Set or show who is told of budgets, and when."""
    from billing.store.notices import Watch, described, read_watches, set_watch
    from gateway.store.budget_trail import budget_trail

    where = scope_of(scope)
    changes = clear or email is not None or thresholds is not None or forecast is not None
    if changes and not reason.strip():
        fail("바꾸려면 --reason으로 사유를 적어 주세요.", "a change needs a --reason", Exit.USAGE)
    with database(settings_for(config)) as engine:
        if changes:
            watch = None if clear else Watch(_addresses(email or []), _percents(thresholds), forecast)
            set_watch(engine, where, watch, now=now(), by=actor(), reason=reason, trail=budget_trail)
        found = read_watches(engine).get(where)
    if json:
        print_json({"scope": scope, **({} if found is None else described(found))})
        return
    _show_contacts(where, found)


def _show_contacts(scope: Scope, found: Watch | None) -> None:
    if found is None:
        say(f"{':'.join(scope)}: haechi.toml의 기본을 따릅니다.", "It follows haechi.toml.")
        return
    percents = "기본" if found.thresholds is None else ", ".join(f"{one}%" for one in found.thresholds)
    say(f"{':'.join(scope)}: {', '.join(found.emails) or '기본 주소'} ({percents})")


def _tested(notices: NoticeSettings, email: str | None) -> Iterator[tuple[str, str | None]]:
    """Send to each addressee; yield who it was and why it failed."""
    from uuid import uuid4

    from billing.store.notices import Notice
    from gateway.notices import mail, webhooks
    from gateway.notices.failures import DeliveryFailed
    from gateway.notices.messages import TEST, letter_of, webhook_body

    notice = Notice(uuid4().hex, "", "", TEST, now(), {"event": TEST})
    smtp = notices.smtp
    for address in (email,) if email else notices.emails:
        try:
            assert smtp is not None, "emails without a server are a mistake of haechi.toml"
            mail.send(smtp, letter_of(notice.document), address, notice.id)
        except DeliveryFailed as failure:
            yield address, failure.reason
        else:
            yield address, None
    for hook in () if email else notices.webhooks:
        try:
            webhooks.post(hook, webhook_body(notice), notice.id)
        except DeliveryFailed as failure:
            yield hook.name, failure.reason
        else:
            yield hook.name, None


def _addresses(emails: list[str]) -> tuple[str, ...]:
    from pydantic import TypeAdapter, ValidationError

    from gateway.config_schema import EmailAddress

    try:
        TypeAdapter(list[EmailAddress]).validate_python(emails)
    except ValidationError:
        fail("전자우편 주소가 아닙니다.", "that is no e-mail address", Exit.USAGE)
    return tuple(dict.fromkeys(emails))


def _percents(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        found = sorted({int(part.strip().removesuffix("%")) for part in text.split(",") if part.strip()})
    except ValueError:
        found = [0]
    if any(not 1 <= percent <= 100 for percent in found):
        fail(f"1에서 100 사이의 수를 쉼표로 적으세요: {text}", "write numbers from 1 to 100", Exit.USAGE)
    return tuple(found)


def _row(delivery: Delivery) -> dict[str, object]:
    notice = delivery.notice
    return {
        "notice": notice.id,
        "at": notice.noted_at.isoformat(),
        "budget_id": notice.budget_id or None,
        "period": notice.period,
        "occasion": notice.occasion,
        "channel": delivery.address.channel,
        "target": delivery.address.target,
        "state": delivery.state,
        "tries": delivery.tries,
        "next_try_at": None if delivery.next_try_at is None else delivery.next_try_at.isoformat(),
        "failure": delivery.failure,
    }


def _cells(delivery: Delivery) -> tuple[object, ...]:
    from billing.periods import KST
    from gateway.notices.messages import letter_of

    notice = delivery.notice
    return (
        notice.id,
        f"{notice.noted_at.astimezone(KST):%Y-%m-%d %H:%M}",
        letter_of(notice.document).subject.removeprefix("[해치] "),
        delivery.address.target,
        _STATES[delivery.state],
        delivery.tries,
        delivery.failure or "",
    )
