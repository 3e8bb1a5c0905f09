"""`haechi demo --months 3`: months of a whole institution's use, closed and invoiced, for finance to look at.

No server and no model takes part: gateway/demo/seed.py writes the rows that the gateway would have written.
What it makes stays in `.demo-months/` until the next run.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from billing.budgets import Budget, Every, Scope, ScopeKind
from billing.money import NANO
from billing.periods import billing_day, billing_month
from billing.store import rollups, set_budget
from billing.store.report_queries import months_summed
from billing.store.usage_queries import totals
from gateway.audit import Actor, Deed
from gateway.books import Books
from gateway.demo import data
from gateway.demo.folder import DemoFolder
from gateway.demo.institution import ROOT, institution
from gateway.demo.logins import make_logins
from gateway.demo.seed import backdated, seed
from gateway.reconciliation import Reconciler
from gateway.store.audit import audited
from gateway.store.database import opened, unsynced

if TYPE_CHECKING:
    from gateway.demo.logins import Login
    from gateway.demo.seed import Scale
    from gateway.settings import Settings
    from gateway.store.database import Database

FOLDER: Final = Path(".demo-months")
ACTOR: Final = "haechi demo"
BUDGET_A_CHARGE_KRW: Final = 34
"""What budgets allow for a charge, which costs about 17 won: some departments will be short of theirs."""


def run_months(scale: Scale, port: int, *, stay: bool) -> int:
    """Make the institution, its ledger and its closed months; serve the console on it if `stay`."""
    console = Console()
    with ExitStack() as held:
        folder = held.enter_context(DemoFolder.fresh(FOLDER))
        if folder.path != FOLDER:
            console.print(
                f"{FOLDER}/ 를 쓸 수 없습니다. 비우거나, 그 폴더를 쓰는 시연을 끝내세요.\n"
                f"{FOLDER}/ is taken: empty it, or end the demo that uses it."
            )
            return 1
        started = time.perf_counter()
        settings = folder.initialise(
            backdated(data.catalogue(data.SIMULATOR_URL, data.LOCAL_LLM_URL)), "127.0.0.1", port
        )
        logins = fill(settings, scale, console)
        console.print(
            f"[green]•[/green] {time.perf_counter() - started:,.0f}초 걸렸습니다 / seconds", highlight=False
        )
    _next_steps(console, folder, logins, port)
    if stay:
        _serve(folder)
    return 0


def fill(settings: Settings, scale: Scale, console: Console) -> tuple[Login, ...]:
    """Fill an initialised folder: people, budgets, charges, daily sums, locked months, accounts."""
    config, keyring, now = settings.load_config(), settings.keyring(), datetime.now(UTC)
    with opened(config.database_url) as plain:
        unsynced(plain)
        _set_budgets(plain, scale, now)
        with _progress(console) as progress:
            task = progress.add_task("청구 기록 / charges", total=int(scale.charges * 2.03))
            seed(plain, config, keyring, scale, now, lambda done: progress.update(task, completed=done))
            progress.update(task, description="일별 합계 / daily sums", completed=0, total=None)
            rollups.bring_up_to_date(plain)
        database = audited(plain, settings.keyring)
        books = Books(database, keyring, config.invoices, Reconciler.of(config, database))
        _lock_months(books, database, now, console)
        logins = make_logins(database, _members(scale, now), now)
        found = totals(plain)
    console.print(
        f"[green]•[/green] 직원 {scale.people:,}명, 청구 {found.attempts:,}건, {found.cost_won:,.0f}원"
        " [dim]people, charges, won[/dim]",
        highlight=False,
    )
    return logins


def _set_budgets(database: Database, scale: Scale, now: datetime) -> None:
    """Budgets that only count: one a month for each department, one a year for the institution."""
    made = institution(scale.people, billing_day(now).replace(day=1), scale.seed)
    departments = [unit.code for unit in made.units if unit.kind == "division"]
    a_month = BUDGET_A_CHARGE_KRW * scale.charges // (scale.months * len(departments)) + 1
    for code in departments:
        _set_budget(database, code, Every.MONTH, a_month, now)
    _set_budget(database, ROOT, Every.YEAR, BUDGET_A_CHARGE_KRW * scale.charges + 1, now)


def _set_budget(database: Database, unit: str, every: Every, won: int, now: datetime) -> None:
    budget = Budget(f"demo-{unit}-{every}", Scope(ScopeKind.UNIT, unit), every, won * NANO, hard=False)
    set_budget(database, budget, now=now, by=ACTOR, reason="시연")


def _lock_months(books: Books, database: Database, now: datetime, console: Console) -> None:
    deed = Deed(now, Actor(ACTOR), "시연 / demonstration")
    for month in months_summed(database):
        if month >= billing_month(now):
            continue
        started = time.perf_counter()
        for step in (books.preview, books.approve, books.lock):
            step(month, deed)
        count = len(books.final_invoices(month))
        console.print(
            f"[green]•[/green] {month} 마감, 청구서 {count}장, {time.perf_counter() - started:.1f}초"
            " [dim]locked, with invoices[/dim]",
            highlight=False,
        )


def _members(scale: Scale, now: datetime) -> dict[str, tuple[str, str]]:
    """Choose who signs in: two people of one department."""
    made = institution(scale.people, billing_day(now).replace(day=1), scale.seed)
    first = {person.employee_id: person.name for person in reversed(made.people)}
    (clerk, name), (head, head_name) = sorted(first.items())[:2]
    return {"staff": (clerk, name), "manager": (head, head_name)}


def _progress(console: Console) -> Progress:
    return Progress(TextColumn("{task.description}"), BarColumn(30), TimeElapsedColumn(), console=console)


def _next_steps(console: Console, folder: DemoFolder, logins: tuple[Login, ...], port: int) -> None:
    config = folder.config
    lines = [f"  {one.login:<14} {one.password}   {one.name}" for one in logins]
    text = _STEPS.format(config=config, port=port, logins="\n".join(lines))
    console.print(text, markup=False, highlight=False, soft_wrap=True)


_STEPS: Final = """
콘솔 console  http://127.0.0.1:{port}/console   (haechi serve --config {config})
{logins}

보고서 reports
  haechi report savings --config {config}
  haechi report seats --config {config}
  haechi report forecast --config {config}
  haechi month list --config {config}
"""


def _serve(folder: DemoFolder) -> None:
    """Become `haechi serve` on the folder."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HAECHI_")}
    command = [
        sys.executable,
        "-c",
        "from gateway.cli import main; main()",
        "serve",
        "--config",
        str(folder.config),
    ]
    os.execve(sys.executable, command, environment)  # noqa: S606 - our own server, no shell
