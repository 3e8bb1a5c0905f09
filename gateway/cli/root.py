"""The command tree, and the one place where an error becomes a message and an exit code."""

from __future__ import annotations

import os
import sys
from functools import cache
from typing import TYPE_CHECKING

import typer

from gateway.cli import (
    accounts,
    audit,
    budgets,
    exchange,
    filtering,
    incident_reports,
    incidents,
    key_limits,
    keys,
    ledger,
    models,
    months,
    notices,
    prices,
    registers,
    reports,
    rerating,
    serving,
    setup,
    transfers,
)
from gateway.cli.common import Exit, Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


app = typer.Typer(
    name="haechi",
    help="해치: 공공기관을 위한 생성형 AI 게이트웨이 / a metered AI gateway for public institutions",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module in (setup, serving, filtering, rerating):
    module.register(app)
app.add_typer(accounts.app, name="accounts")
app.add_typer(audit.app, name="audit")
key_limits.register(keys.app)
app.add_typer(keys.app, name="keys")
app.add_typer(registers.departments, name="departments")
app.add_typer(registers.people, name="people")
app.add_typer(models.app, name="models")
app.add_typer(reports.app, name="report")
app.add_typer(ledger.app, name="ledger")
transfers.register(budgets.app)
notices.register(budgets.app)
app.add_typer(budgets.app, name="budgets")
app.add_typer(notices.app, name="notices")
app.add_typer(prices.prices_app, name="prices")
app.add_typer(exchange.fx_app, name="fx")
app.add_typer(months.month_app, name="month")
app.add_typer(incidents.app, name="incidents")
app.add_typer(incident_reports.policy_app, name="policy")
app.add_typer(months.invoice_app, name="invoice")


@cache
def _command() -> Callable[[], None]:
    """Build the tree of commands, which takes a fifth of a second."""
    return typer.main.get_command(app)


def run() -> None:
    try:
        _command()()
    except Failure as failure:
        _end([failure.korean, failure.english], failure.code)
    except KeyboardInterrupt:
        _end(["중단했습니다.", "Interrupted."], Exit.INTERRUPTED)
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:
        if os.environ.get("HAECHI_DEBUG"):
            raise
        _end(*_explained(error))


def _explained(error: Exception) -> tuple[list[str], Exit]:
    """Put errors of the parts below into words. Imports here: only a failing command pays for them."""
    from billing.store import DatabaseUnavailable
    from gateway.config_mistakes import ConfigError
    from gateway.errors import GatewayError
    from gateway.imports import ImportFailed
    from gateway.keyring import SecretError
    from gateway.store.database import NotMigrated, Unusable
    from gateway.vault import VaultError

    match error:
        case ConfigError():
            count = len(error.mistakes)
            title = f"{error.path}에 잘못된 곳이 {count}곳 있습니다 / {count} mistakes:"
            return [title, *(f"  {mistake}" for mistake in error.mistakes)], Exit.CONFIG
        case ImportFailed():
            title = f"{len(error.mistakes)}곳이 잘못되어 아무것도 바꾸지 않았습니다 / nothing was changed:"
            return [title, *(f"  {mistake}" for mistake in error.mistakes)], Exit.INPUT
        case GatewayError():
            return [error.korean, error.english], Exit.INPUT
        case SecretError():
            return [error.korean, error.english], Exit.CONFIG
        case VaultError():
            return [f"암호 모듈을 쓸 수 없습니다: {error}", str(error)], Exit.CONFIG
        case NotMigrated() | DatabaseUnavailable():
            return [error.korean, error.english], Exit.UNAVAILABLE
        case Unusable():
            return _unusable(error.kind), Exit.UNAVAILABLE
    return _database_fault(error) or _internal_fault(error)


def _database_fault(error: Exception) -> tuple[list[str], Exit] | None:
    if type(error).__module__.partition(".")[0] != "sqlalchemy":
        return None
    return _unusable(type(error).__name__), Exit.UNAVAILABLE


def _unusable(kind: str) -> list[str]:
    return [
        f"데이터베이스를 쓸 수 없습니다({kind}). `haechi doctor`로 확인하세요.",
        f"The database cannot be used ({kind}). `haechi doctor` tells why.",
    ]


def _internal_fault(error: Exception) -> tuple[list[str], Exit]:
    """Name the kind of error only: its text may hold what a person typed or a secret."""
    kind = type(error).__name__
    return [
        f"예상하지 못한 오류입니다({kind}). HAECHI_DEBUG=1을 붙여 다시 실행하면 자세히 볼 수 있습니다.",
        f"Unexpected error ({kind}). Run it again with HAECHI_DEBUG=1 for details.",
    ], Exit.INTERNAL


def _end(lines: Iterable[str], code: Exit) -> None:
    first, *rest = lines
    typer.echo("\n".join([f"오류: {first}", *(f"  {line}" for line in rest)]), err=True)
    sys.exit(int(code))
