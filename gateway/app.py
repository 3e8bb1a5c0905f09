"""The composition root: the only module that names concrete parts and puts them together.

`create_app` reads the configuration and builds; nothing listens, connects or starts a thread before
the lifespan does. uvicorn calls `create` in each worker.
"""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog
from fastapi.responses import JSONResponse
from fastapi_offline import FastAPIOffline
from starlette.middleware.cors import CORSMiddleware

from billing.journal import Journal
from billing.ledger import IdSource, Row
from billing.money import NANO
from billing.periods import billing_month
from billing.segments import Segments
from billing.store import LedgerSink, open_engine
from billing.store.billed_budgets import BilledSink, surcharged
from billing.surcharges import Surcharges
from filters.engine import Engine
from filters.inspector import Inspector
from gateway import error_handlers, heap, logs, metrics
from gateway.access import Access
from gateway.attempt import Desk, Unsettled
from gateway.bound import ApiBound
from gateway.breaker import BreakerRules
from gateway.cache import AnswerCache, CacheRules
from gateway.catalogue import Strategy
from gateway.cohort import Cohort
from gateway.console import incidents_api
from gateway.console.guard import Guard
from gateway.console.parts import ConsoleParts
from gateway.console.routes import routes as console_routes
from gateway.directory import directory_snapshot
from gateway.dispatch import Dispatcher
from gateway.estimates import Estimator
from gateway.failover import Team
from gateway.health import Fleet, QueueRules
from gateway.housekeeping import Housekeeping
from gateway.http import chat, filter_preview, incidents, me, media, models, operations
from gateway.http import videos as videos_http
from gateway.http.direct import DirectEndpoints, chats_of
from gateway.http.middleware import RequestIdentity
from gateway.incidents import wiring
from gateway.incidents.behind import ReviewWork
from gateway.incidents.desk import desk_of
from gateway.keyring import Purpose
from gateway.limits.limiter import Limiter
from gateway.limits.shared import DatabaseWindows, InLine, OwnWindows, ValkeyWindows
from gateway.notices.board import NoticeBoard
from gateway.pipeline import Parts, Pipeline
from gateway.price_watch import PriceWatch
from gateway.pricing import LivePrices
from gateway.reader import Patience
from gateway.retry import RetryRules
from gateway.rollups import Rollups
from gateway.settings import Settings
from gateway.sidecalls import OPEN_WEBUI_TASKS, SideCalls
from gateway.sign_in import SignIn, session_rules
from gateway.store.audit import Trail, audited
from gateway.store.database import Database, check_migrated
from gateway.store.incident_tables import JOURNALLED as INCIDENT_TABLES
from gateway.store.rates import RateTable
from gateway.store.receipts import RECEIPT_TABLE, receipt_row
from gateway.store.videos import VIDEO_TABLE
from gateway.upstream import Upstream
from gateway.videojobs import VideoJobs
from gateway.ways import Ways

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from fastapi import FastAPI
    from starlette.requests import Request
    from starlette.types import ASGIApp

    from billing.ledger import Entry
    from filters.policy import PolicyBook
    from filters.verdict import Verdict
    from gateway.audit import Actor
    from gateway.config import Config
    from gateway.config_schema import CacheTable, RoutingTable, SideCallsTable
    from gateway.domain import Call
    from gateway.http.direct import Endpoint
    from gateway.identity import Directory
    from gateway.keyring import Keyring
    from gateway.limits.windows import Windows
    from gateway.store.snapshot import Snapshot

log = structlog.get_logger("haechi")

EXPOSED_HEADERS = (
    "x-request-id",
    "retry-after",
    "x-haechi-model",
    "x-haechi-verdict",
    "x-haechi-cost-krw",
    "x-haechi-budget-remaining-krw",
    *(
        f"x-ratelimit-{what}-{unit}"
        for unit in ("requests", "tokens")
        for what in ("limit", "remaining", "reset")
    ),
)
"""What scripts in a browser may read of an answer."""

SETTLING_S = 15.0
"""How long the settlements of answers that the server has cut may take before the journal ends."""


def create() -> FastAPI:
    """Build the app from the environment; what `uvicorn --factory` calls in every worker."""
    return create_app(Settings())


def create_app(settings: Settings) -> FastAPI:
    """Build the app. Raises ConfigError, SecretError or DatabaseUnavailable with what to do about it."""
    logs.configure(settings.log_level, settings.log_format)
    plant = Plant.build(settings.load_config(), settings.keyring())
    app = FastAPIOffline(
        title="Haechi 해치",
        summary="공공기관을 위한 생성형 AI 게이트웨이 / a metered generative-AI gateway",
        docs_url="/docs",
        redoc_url=None,
        static_url="/docs/static",
        swagger_ui_parameters={"validatorUrl": None},
        lifespan=plant.lifespan,
        # An exporter that somebody installs would send exceptions with their messages.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    _mount(app, plant)
    return app


def _mount(app: FastAPI, plant: Plant) -> None:
    pipeline, server = plant.pipeline, plant.config.server
    chats = chat.router(pipeline, server.body_limit_mib * 1024**2)
    app.include_router(chats)
    app.include_router(media.router(pipeline, server.body_limit_mib * 1024**2))
    app.include_router(videos_http.router(pipeline, plant.videos, server.body_limit_mib * 1024**2))
    app.include_router(filter_preview.router(pipeline, server.body_limit_mib * 1024**2))
    app.include_router(me.router(pipeline, plant.database, plant.config.contacts))
    app.include_router(incidents.router(pipeline, desk_of(plant.console), _session_of(plant)))
    app.include_router(models.router(pipeline, created=int(time.time())))
    app.include_router(operations.router(plant.checks(), plant.fleet.report))
    app.add_middleware(ApiBound)
    if plant.config.console.enabled:
        app.state.console = plant.console
        app.router.routes.extend(console_routes())
        app.add_middleware(Guard)
    error_handlers.register(app)
    _describe(app)
    app.middleware_stack = _door(app.build_middleware_stack(), chats_of(chats), plant)


def _describe(app: FastAPI) -> None:
    """Add to the API's description how a key is sent, and let a thread write it when somebody first asks.

    It is half a second's work: on the event loop it held up every answer, at the start it delayed that.
    """
    written = app.openapi

    def described() -> dict[str, Any]:
        document = written()
        document.setdefault("components", {})["securitySchemes"] = {
            "key": {"type": "http", "scheme": "bearer"}
        }
        return document

    app.openapi = described  # type: ignore[method-assign]  # FastAPI's own way to extend it
    path = str(app.openapi_url)
    routes = app.router.routes
    routes[:] = [route for route in routes if getattr(route, "path", "") != path]
    app.add_route(path, lambda _: JSONResponse(app.openapi()), include_in_schema=False)


def _session_of(plant: Plant) -> Callable[[Request], Awaitable[tuple[str, Actor]]] | None:
    """What tells who is signed in, where there is a console to sign in to."""
    return incidents_api.session_of if plant.config.console.enabled else None


def _door(inside: ASGIApp, chats: Mapping[str, Endpoint], plant: Plant) -> ASGIApp:
    """What every request passes before FastAPI's own layers, which a chat never meets."""
    door: ASGIApp = DirectEndpoints(inside, chats, plant.cohort)
    if plant.config.server.cors_origins:
        door = CORSMiddleware(
            door,
            allow_origins=plant.config.server.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["authorization", "content-type"],
            expose_headers=EXPOSED_HEADERS,
        )
    return RequestIdentity(door, plant.new_id)


@dataclass(frozen=True, slots=True)
class Plant:
    """The concrete parts of one process."""

    config: Config
    database: Database
    directory: Snapshot[Directory]
    exceptions: Snapshot[PolicyBook]
    prices: LivePrices
    journal: Journal
    upstream: Upstream
    fleet: Fleet
    unsettled: Unsettled
    cohort: Cohort
    inspector: Inspector
    pipeline: Pipeline
    videos: VideoJobs
    console: ConsoleParts
    rollups: Rollups
    notices: NoticeBoard
    limiter: Limiter
    new_id: Callable[[], str]

    @classmethod
    def build(cls, config: Config, keyring: Keyring) -> Plant:
        database = surcharged(open_engine(config.database_url), Surcharges.of(config.invoices))
        directory = directory_snapshot(
            database, keyring, jwt_secrets=config.jwt_secrets, max_stale_s=config.max_stale_s
        )
        chain_key = keyring.current(Purpose.LEDGER_CHAIN).key
        tables = (RECEIPT_TABLE, VIDEO_TABLE, *INCIDENT_TABLES)
        notices = NoticeBoard(database, config.notices)
        sink = BilledSink(database, chain_key, key_version=len(keyring.masters), tables=tables)
        sink.on_adopted = notices.adopted
        ledger = partial(LedgerSink, database, chain_key, key_version=len(keyring.masters))
        journal = Journal(
            sink,
            Segments(config.journal_dir),
            at_once=(VIDEO_TABLE.name,),
            committed=metrics.journal_committed,
        )
        inspector = Inspector(Engine(config.custom_rules))
        upstream = Upstream()
        ids = IdSource()

        def new_id() -> str:
            return ids.next(datetime.now(UTC))

        desk = Desk(
            journal=journal,
            upstream=upstream,
            access=Access(upstream, lambda: datetime.now(UTC)),
            estimator=Estimator(),
            now=lambda: datetime.now(UTC),
            new_id=new_id,
            drain_s=config.limits.drain_s,
            drain_tokens=config.limits.drain_tokens,
            unsettled=Unsettled(),
            stated=PriceWatch(config.pricing.differs_percent, notices.price_differs).look,
        )
        fleet = Fleet(
            config.catalogue,
            _breaker_rules(config.routing),
            QueueRules(config.limits.queue_length, config.limits.queue_s),
        )
        prices = LivePrices(database, config.price_book)
        dispatcher = Dispatcher(prices, desk, config.limits.default_max_output_tokens)
        finding_key = keyring.current(Purpose.FINDING_HASH)
        limiter = _limiter(config)
        cohort = Cohort()
        ways = Ways(config.catalogue, config.policies, finding_key.key, config.in_house_model)
        pipeline = Pipeline(
            Parts(
                catalogue=config.catalogue,
                directory=directory,
                inspector=inspector,
                ways=ways,
                team=Team(
                    fleet,
                    dispatcher,
                    _retry_rules(config.routing),
                    Strategy(config.routing.strategy),
                    notices.refused,
                    config.contacts,
                    cohort,
                ),
                desk=desk,
                receipt=_receipts(finding_key.key_id),
                incident=wiring.intake(config.review, keyring),
                finding_key=finding_key.key,
                side_calls=_side_calls(config.side_calls),
                patience=Patience(config.limits.stalled_reader_s, config.limits.keepalive_s),
                cache=_cache(config.cache),
                default_max_output_tokens=config.limits.default_max_output_tokens,
                limiter=limiter,
                cohort=cohort,
                left_nano_krw=sink.left_nano_krw,
            )
        )
        return cls(
            config=config,
            database=database,
            directory=directory,
            exceptions=wiring.exceptions(database, config.policies, ways.use, keyring),
            prices=prices,
            journal=journal,
            upstream=upstream,
            fleet=fleet,
            unsettled=desk.unsettled,
            cohort=cohort,
            inspector=inspector,
            pipeline=pipeline,
            videos=_videos(config, database, desk, ledger),
            console=_console(
                config, audited(database, lambda: keyring), keyring, directory, fleet, prices, inspector
            ),
            rollups=Rollups(database, config.limits.rollups_s),
            notices=notices,
            limiter=limiter,
            new_id=new_id,
        )

    @asynccontextmanager
    async def lifespan(self, _app: FastAPI) -> AsyncIterator[None]:
        """Start what needs starting; on the way out settle everything before the journal ends."""
        check_migrated(self.database)
        self.inspector.detect("첫 요청이 기다리지 않도록 규칙을 미리 엽니다: 010-1234-5678")
        self.directory.start()
        self.exceptions.start()
        self.prices.start()
        self.journal.start()
        self.notices.start()
        log.info("started", models=len(self.config.catalogue.models))
        config, console = self.config, self.console
        house = Housekeeping(console.database, console.keyring, config.path, config.console.audit_days)
        review = ReviewWork(self.database, console.keyring, config.review_export)
        tasks = (self.videos.run(), self.rollups.run(), self.limiter.run(), house.run(), review.run())
        behind = [asyncio.create_task(task) for task in tasks]
        try:
            with heap.settled():
                yield
        finally:
            for task in behind:
                task.cancel()  # what it leaves is polled, or counted, by the next process
            await asyncio.wait(behind)
            left = await self.unsettled.none_left(SETTLING_S)
            if left:
                log.error("attempts_unsettled", attempts=left)  # the next start adopts them
            await self.limiter.aclose()
            await self.upstream.aclose()
            self.journal.stop()
            await asyncio.to_thread(self.notices.stop)
            self.exceptions.stop()
            self.directory.stop()
            self.prices.stop()
            self.database.dispose()
            metrics.leave()
            log.info("stopped")

    def checks(self) -> dict[str, Callable[[], None]]:
        """What /readyz asks."""
        return {
            "database": self._check_database,
            "journal": self._check_journal,
            "filter": self._check_filter,
        }

    def _check_database(self) -> None:
        check_migrated(self.database)
        self.directory.current()

    def _check_journal(self) -> None:
        if not self.journal.available:
            raise RuntimeError("the journal takes no dispatches")

    def _check_filter(self) -> None:
        if not self.inspector.detect("900101-1234568").found:
            raise RuntimeError("the filter finds nothing")


def _console(
    config: Config,
    database: Database,
    keyring: Keyring,
    directory: Snapshot[Directory],
    fleet: Fleet,
    prices: LivePrices,
    inspector: Inspector,
) -> ConsoleParts:
    rules = session_rules(config.console.idle_minutes, config.console.absolute_hours)
    return ConsoleParts(
        config=config,
        database=database,
        keyring=keyring,
        directory=directory,
        sign_in=SignIn(database, keyring, rules),
        audit=Trail(database),
        fleet=fleet.report,
        prices=prices,
        inspector=inspector,
        now=lambda: datetime.now(UTC),
    )


def _videos(config: Config, database: Database, desk: Desk, ledger: Callable[[], LedgerSink]) -> VideoJobs:
    return VideoJobs(
        database=database,
        catalogue=config.catalogue,
        ledger=ledger,
        upstream=desk.upstream,
        access=desk.access,
        now=desk.now,
        poll_s=config.limits.video_poll_s,
    )


# --- the tables of haechi.toml as the values the parts take -----------------------------------------


def _breaker_rules(table: RoutingTable) -> BreakerRules:
    return BreakerRules(
        failures_in_a_row=table.breaker_failures,
        open_s=table.breaker_open_s,
        open_most_s=table.breaker_open_most_s,
        alone_s=table.breaker_alone_s,
    )


def _retry_rules(table: RoutingTable) -> RetryRules:
    return RetryRules(
        attempts=table.attempts,
        retry_for_s=table.retry_for_s,
        pause_most_s=table.pause_most_s,
        backoff_s=table.backoff_s,
        backoff_most_s=table.backoff_most_s,
        retry_cost_nano_krw=table.retry_cost_krw * NANO,
    )


def _limiter(config: Config) -> Limiter:
    """Count by the minute in Valkey where it is configured, else in the database, else alone."""
    line: list[tuple[str, Windows]] = [
        ("database", DatabaseWindows(lambda: RateTable(config.database_url))),
        ("this worker", OwnWindows(config.server.workers)),
    ]
    if config.rate_limits.valkey_url is not None:
        line.insert(0, ("valkey", ValkeyWindows(config.rate_limits.valkey_url)))
    return Limiter(config.rate_limits.rules, InLine(line, time.monotonic), lambda: datetime.now(UTC))


def _side_calls(table: SideCallsTable) -> SideCalls:
    tasks = OPEN_WEBUI_TASKS if table.tasks is None else table.tasks
    return SideCalls(table.header, frozenset(tasks), table.model)


def _cache(table: CacheTable) -> AnswerCache | None:
    """Build the response cache, with a key that dies with the process, if it is switched on."""
    if not table.enabled:
        return None
    rules = CacheRules(table.ttl_s, table.most_entries, table.most_mib * 1024**2)
    return AnswerCache(os.urandom(32), rules, time.monotonic)


def _receipts(finding_key_id: str) -> Callable[[Call, Verdict, str, int], Entry]:
    def receipt(call: Call, verdict: Verdict, model_id: str, attempts: int) -> Entry:
        values = receipt_row(
            call,
            verdict.receipt,
            model_id=model_id,
            billing_period=billing_month(call.received_at),
            findings=verdict.receipt.as_record()["findings"],
            finding_key_id=finding_key_id,
            attempts=attempts,
        )
        return Row(RECEIPT_TABLE.name, values)

    return receipt
