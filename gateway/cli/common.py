"""What every command shares: exit codes, errors in two languages, settings, the database, output."""

from __future__ import annotations

import getpass
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from billing.periods import KST
from gateway.spreadsheets import write_csv

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.console import Console

    from gateway.config import Config
    from gateway.settings import Settings
    from gateway.store.database import Database

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", envvar="HAECHI_CONFIG", help="haechi.toml의 경로 / path of haechi.toml"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON으로 출력 / print JSON")]
CsvOption = Annotated[bool, typer.Option("--csv", help="CSV(UTF-8 BOM)로 출력 / print CSV with a BOM")]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="바꾸지 않고 차이만 표시 / only show the difference")
]


class Exit(IntEnum):
    OK = 0
    FOUND = 1
    USAGE = 2
    CONFIG = 3
    INPUT = 4
    UNAVAILABLE = 5
    INTERNAL = 70
    INTERRUPTED = 130


class Failure(Exception):
    """Ends a command with a message for a person."""

    def __init__(self, korean: str, english: str, code: Exit = Exit.FOUND) -> None:
        super().__init__(english)
        self.korean = korean
        self.english = english
        self.code = code


def fail(korean: str, english: str, code: Exit = Exit.FOUND) -> NoReturn:
    raise Failure(korean, english, code)


def settings_for(config: Path | None) -> Settings:
    """Return the settings of the environment, with `--config` before it."""
    from pydantic import ValidationError

    from gateway.settings import Settings

    try:
        return Settings(config=config) if config is not None else Settings()
    except ValidationError as error:
        names = ", ".join(f"HAECHI_{'_'.join(map(str, e['loc'])).upper()}" for e in error.errors())
        fail(
            f"환경 변수 값이 올바르지 않습니다: {names}",
            f"Wrong value in the environment: {names}",
            Exit.CONFIG,
        )


def config_of(settings: Settings) -> Config:
    try:
        return settings.load_config()
    except FileNotFoundError:
        fail(
            f"{settings.config} 파일이 없습니다. `haechi init`으로 만들거나 --config로 알려 주세요.",
            f"There is no {settings.config}. Make one with `haechi init`, or point to it with --config.",
            Exit.CONFIG,
        )


@contextmanager
def database(settings: Settings) -> Iterator[Database]:
    """Open the configured database, refuse one whose tables are behind, and close it after use.

    What is changed through it is written to the access audit, whose key is read at the first change.
    """
    from billing.store.billed_budgets import surcharged
    from billing.surcharges import Surcharges
    from gateway.store.audit import audited
    from gateway.store.database import opened

    config = config_of(settings)
    with opened(config.database_url) as engine:
        yield audited(surcharged(engine, Surcharges.of(config.invoices)), settings.keyring)


def now() -> datetime:
    return datetime.now(UTC)


def actor() -> str:
    """Who is at the terminal, for the trail of administration."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):  # a container without a user entry
        return "cli"


def say(korean: str, english: str = "") -> None:
    typer.echo(f"{korean}\n  {english}" if english else korean)


def warn(korean: str, english: str) -> None:
    typer.echo(f"주의: {korean}\n  Warning: {english}", err=True)


def console() -> Console:
    from rich.console import Console

    # Rich assumes 80 columns where there is no terminal and would cut what a script wants to read.
    return Console() if sys.stdout.isatty() else Console(width=200, no_color=True)


def show_table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str = "") -> None:
    """Print a table; numbers stand to the right."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title or None, box=box.SIMPLE_HEAD, title_justify="left")
    cells = [list(row) for row in rows]
    for index, column in enumerate(columns):
        numeric = bool(cells) and all(isinstance(row[index], int | Decimal) for row in cells)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in cells:
        table.add_row(*(Text(_cell(value)) for value in row))
    console().print(table)


def print_json(value: Any) -> None:  # noqa: ANN401 - whatever JSON can hold
    import orjson

    options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    sys.stdout.write(orjson.dumps(value, option=options, default=str).decode())


def print_csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(encoding="utf-8", newline="")
    write_csv(sys.stdout, header, rows)


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "예" if value else "아니요"
        case int():
            return f"{value:,}"
        case datetime():
            return value.astimezone(KST).strftime("%Y-%m-%d %H:%M")  # a container's own time is UTC
        case _:
            return str(value)
