"""The demo from start to end: a fresh folder, three servers, the prompts, the table, the proof."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from billing.periods import billing_month
from billing.segments import wait_until_written
from billing.store import savings, usage_report, verify
from gateway.demo import data, local_llm, show
from gateway.demo.books import gateway_books, provider_books
from gateway.demo.children import Child, ChildFailed
from gateway.demo.folder import DemoFolder
from gateway.demo.loopback import fetch
from gateway.demo.office import Office
from gateway.demo.proof import Evidence, prove
from gateway.demo.traffic import Sender, send_all
from gateway.keyring import Purpose
from gateway.store.database import opened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.config import Config
    from gateway.demo.proof import Check
    from gateway.demo.traffic import Reply
    from gateway.settings import Settings

HOST = "127.0.0.1"
SEAT_PRICE_KRW = 30_000
READY_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Servers:
    gateway_url: str
    simulator_url: str
    local_llm_url: str


class Demo:
    """One run. `run` returns the exit code and stops every server that it started."""

    def __init__(self, *, clients: int, port: int) -> None:
        self.clients = clients
        self.port = port
        self.console = _console()

    def run(self, *, stay: bool) -> int:
        for ending in (signal.SIGINT, signal.SIGTERM):  # SIGINT too: a background shell job ignores it
            signal.signal(ending, _interrupt)
        with ExitStack() as stack:
            try:
                folder = stack.enter_context(DemoFolder.fresh())
                return self._run(folder, stack, stay=stay)
            except (ChildFailed, local_llm.LocalLlmMissing) as failed:
                self.console.print(f"[red]오류 / error:[/red] {failed}", markup=True)
                return 1
            except KeyboardInterrupt:
                self.console.print("\n멈춥니다 / stopping")
                return 130

    def _run(self, folder: DemoFolder, stack: ExitStack, *, stay: bool) -> int:
        self.console.rule("[bold]해치 시연[/bold] / Haechi demo")
        servers, office = self._set_up(folder, stack)
        before = local_llm.token_totals(servers.local_llm_url)
        replies = self._ask_everything(servers, office)
        counted = local_llm.token_totals(servers.local_llm_url).since(before)
        checks = self._judge(folder, servers, replies, counted)
        proven = all(check.ok for check in checks)
        self._conclude(proven=proven, folder=folder)
        if stay:
            self._stay(servers, office, folder)
        return 0 if proven else 1

    # --- setting up ------------------------------------------------------------------------------

    def _set_up(self, folder: DemoFolder, stack: ExitStack) -> tuple[Servers, Office]:
        local_llm.model_path()
        self._step(f"{folder.path}/ 를 새로 만듭니다", "a fresh folder for this run")
        ledger = str(folder.path / "simulator.jsonl")
        simulating = [sys.executable, "-m", "simulator", "--port", "8081", "--ledger", ledger]
        simulator = self._start(stack, folder, "simulator", simulating)
        local = self._start(stack, folder, "local-llm", local_llm.command(_free_port(8082)))
        self._step(f"시뮬레이터 {simulator} · llama.cpp {local}", "28 simulated models, one real")
        port = _free_port(self.port)
        if port != self.port:
            self._step(f"포트 {self.port}이(가) 쓰이고 있어 {port}을(를) 씁니다", "the port was taken")
        settings = folder.initialise(data.catalogue(simulator, local), HOST, port)
        office = Office.open_in(settings)
        self._step(
            f"행정국 {office.departments}개 부서, 직원 {office.people}명, 키 {len(office.keys)}개", "imported"
        )
        servers = Servers(f"http://{HOST}:{port}", simulator, local)
        self._serve(stack, folder, servers)
        return servers, office

    def _start(self, stack: ExitStack, folder: DemoFolder, name: str, command: Sequence[str]) -> str:
        child = stack.enter_context(Child(command, folder.path / f"{name}.log"))
        return child.ready()["url"]

    def _serve(self, stack: ExitStack, folder: DemoFolder, servers: Servers) -> None:
        """Start the gateway as an operator would, and wait until it is ready for requests."""
        command = [sys.executable, "-c", "from gateway.cli import main; main()", "serve"]
        child = stack.enter_context(
            Child(
                [*command, "--config", str(folder.config)],
                folder.path / "gateway.log",
                _environment(folder.settings()),
            )
        )
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not _ready(servers.gateway_url):
            if not child.running or time.monotonic() > deadline:
                raise ChildFailed(child.last_words())
            time.sleep(0.05)
        self._step(f"게이트웨이 {servers.gateway_url}", "the gateway is ready")

    # --- asking ----------------------------------------------------------------------------------

    def _ask_everything(self, servers: Servers, office: Office) -> list[Reply]:
        """Send every prompt, in the name of a member of its department, and show progress."""
        asks, tools = data.asks(), data.tools()
        senders = {
            person: Sender.to(f"{servers.gateway_url}/v1", key, tools) for person, key in office.keys.items()
        }
        work = [(senders[office.asker(ask.unit, ask.number)], ask) for ask in asks]
        replies = []
        with self._progress() as progress:
            task = progress.add_task("", total=len(work))
            for reply in send_all(work, self.clients):
                replies.append(reply)
                said = show.one(reply, office.name(reply.ask.unit))
                progress.update(task, advance=1, description=said)
                if not self.console.is_terminal:  # a bar says nothing in a log
                    self.console.print(f"  {len(replies):2}/{len(work)} {said}", highlight=False)
        return replies

    def _progress(self) -> Progress:
        columns = (SpinnerColumn(), BarColumn(30), MofNCompleteColumn(), TimeElapsedColumn())
        shown = self.console.is_terminal
        text = TextColumn("{task.description}")
        return Progress(*columns, text, console=self.console, transient=True, disable=not shown)

    # --- judging ---------------------------------------------------------------------------------

    def _judge(
        self, folder: DemoFolder, servers: Servers, replies: Sequence[Reply], local: local_llm.TokenTotals
    ) -> tuple[Check, ...]:
        """Print the table, the savings and the proof."""
        settings = folder.settings()
        keys, config = settings.keyring(), settings.load_config()
        month = billing_month(datetime.now(UTC))
        wait_until_written(config.journal_dir)
        books = gateway_books(folder.database)
        with opened(config.database_url) as database:
            report = usage_report(database, "department")
            verified = verify(database, keys.current(Purpose.LEDGER_CHAIN).key)
            active = savings(database, SEAT_PRICE_KRW, [month])
            everybody = savings(database, SEAT_PRICE_KRW, [month], people=Office.head_count())
        providers = provider_books(servers.simulator_url)
        show.examples(self.console, replies, books, providers)
        show.departments(self.console, replies, books, Office.names())
        show.unverified(self.console, books, _unverified(config))
        show.saved(self.console, active, everybody)
        evidence = Evidence(
            replies=replies,
            gateway=books,
            providers=providers,
            local_prompt=local.prompt,
            local_generated=local.generated,
            reported={row.key: (row.input_tokens, row.output_tokens) for row in report},
            ledger_problems=[str(problem) for problem in verified.problems],
            ledger_rows=verified.rows,
        )
        checks = prove(evidence)
        show.proof(self.console, checks)
        return checks

    def _conclude(self, *, proven: bool, folder: DemoFolder) -> None:
        if proven:
            self.console.print("[bold green]모든 확인을 통과했습니다[/bold green] / every check holds")
        else:
            self.console.print(
                f"[bold red]맞지 않는 것이 있습니다[/bold red] / see above, and {folder.path}/*.log"
            )

    # --- staying up ------------------------------------------------------------------------------

    def _stay(self, servers: Servers, office: Office, folder: DemoFolder) -> None:
        """Keep serving until Ctrl-C."""
        key = office.keys[office.asker("HJ-CM", 0)]
        show.next_steps(self.console, servers.gateway_url, key, str(folder.path), office.logins)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            self.console.print("\n멈춥니다 / stopping")

    def _step(self, korean: str, english: str) -> None:
        self.console.print(f"[green]•[/green] {korean} [dim]{english}[/dim]", highlight=False)


def _unverified(config: Config) -> frozenset[str]:
    """Return the models whose price nobody could verify."""
    now = datetime.now(UTC)
    deployments = (d for model in config.catalogue.models.values() for d in model.deployments)
    return frozenset(
        d.model_id for d in deployments if not config.price_book.quote(d.price_key, now).verified
    )


def _console() -> Console:
    """Return a console that is wide enough for the table where the output is a file or a pipe."""
    console = Console()
    return console if console.is_terminal else Console(width=140)


def _environment(settings: Settings) -> dict[str, str]:
    """Return our environment without the shell's own HAECHI_… settings, with those of the demo."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HAECHI_")}
    return kept | settings.environment()


def _interrupt(*_signal: object) -> None:
    raise KeyboardInterrupt


def _free_port(wanted: int) -> int:
    """Return `wanted` if nobody listens there, else any free port."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise ChildFailed("빈 포트가 없습니다 / no free port")


def _ready(server: str) -> bool:
    try:
        return bool(fetch("/readyz", server))
    except OSError:
        return False
