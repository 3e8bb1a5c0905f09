"""`haechi keys limit`: what a key that is in use may use, by the minute and by the period."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from billing.budgets import Every
from gateway.cli.budgets import ReasonOption, limits_of, put_in_force, shown
from gateway.cli.common import (
    ConfigOption,
    Exit,
    JsonOption,
    actor,
    database,
    fail,
    now,
    print_json,
    say,
    settings_for,
)
from gateway.cli.keys import id_of_secret, key_row, no_such_key

if TYPE_CHECKING:
    from gateway.organisation import Key
    from gateway.store.database import Database

_PER_MINUTE = {"requests_per_min": "분당 요청", "tokens_per_min": "분당 토큰"}


def register(app: typer.Typer) -> None:
    app.command()(limit)


def limit(
    key: Annotated[
        str, typer.Argument(help="키의 id, 앞부분 또는 키 자체 / id, shown prefix, or the key itself")
    ],
    reason: ReasonOption,
    requests_per_min: Annotated[
        int | None,
        typer.Option(min=0, max=10_000_000, help="분당 요청 한도, 0은 없음 / requests a minute, 0: no limit"),
    ] = None,
    tokens_per_min: Annotated[
        int | None,
        typer.Option(min=0, max=100_000_000, help="분당 토큰 한도, 0은 없음 / tokens a minute, 0: no limit"),
    ] = None,
    krw: Annotated[str | None, typer.Option("--krw", help="예산, 원 / budget in won")] = None,
    tokens: Annotated[str | None, typer.Option("--tokens", help="예산, 토큰 / budget in tokens")] = None,
    requests: Annotated[
        str | None, typer.Option("--requests", help="예산, 요청 수 / budget in requests")
    ] = None,
    every: Annotated[Every, typer.Option("--every", help="예산의 기간 / period of the budget")] = Every.MONTH,
    soft: Annotated[bool, typer.Option("--soft", help="넘어도 막지 않음 / count, refuse nothing")] = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """쓰고 있는 키의 분당 한도와 예산을 1초 안에 바꿉니다 / Limit a key that is in use, within a second."""
    budgets = {} if (krw, tokens, requests) == (None, None, None) else limits_of(krw, tokens, requests)
    if not budgets and (requests_per_min, tokens_per_min) == (None, None):
        fail(
            "한도를 하나 이상 정하세요: --requests-per-min, --tokens-per-min, --krw, --tokens, --requests",
            "Give a limit: --requests-per-min, --tokens-per-min, --krw, --tokens or --requests.",
            Exit.USAGE,
        )
    settings = settings_for(config)
    with database(settings) as engine:
        wanted = id_of_secret(engine, settings, key) or key.rstrip("…")
        before, after = _limited(engine, wanted, requests_per_min, tokens_per_min, reason)
        made = put_in_force(engine, "key", after.id, budgets, every, hard=not soft, reason=reason)
    if json:
        rows = [{"id": one.id, "measure": one.measure, "every": one.every, "hard": one.hard} for one in made]
        print_json(key_row(after) | {"budgets": rows})
        return
    for name, words in _PER_MINUTE.items():
        was, is_ = getattr(before.grant, name), getattr(after.grant, name)
        if was != is_:
            say(f"{after.id} {words} 한도: {_text(was)} → {_text(is_)}", f"{name}: {was:,} → {is_:,}")
    for one in made:
        say(f"{after.id} 예산: {shown(one.measure, one.limit)}", f"The budget is in force: {one.id}")
    if before == after and not made:
        say("이미 그 한도입니다. 바뀐 것은 없습니다.", "These are its limits already; nothing was changed.")


def _limited(
    engine: Database, wanted: str, requests_per_min: int | None, tokens_per_min: int | None, reason: str
) -> tuple[Key, Key]:
    from gateway.store.organisation import KeyRevoked, NoSuchKey, limit_key

    try:
        return limit_key(
            engine,
            wanted,
            requests_per_min=requests_per_min,
            tokens_per_min=tokens_per_min,
            at=now(),
            actor=actor(),
            reason=reason,
        )
    except NoSuchKey:
        no_such_key()
    except KeyRevoked as error:
        fail(f"{error}은(는) 폐기된 키입니다.", f"{error} is revoked.", Exit.INPUT)


def _text(limit: int) -> str:
    return f"{limit:,}" if limit else "없음"
