"""`haechi serve`, `health` and `demo`."""

from __future__ import annotations

import os
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.common import ConfigOption, Exit, config_of, fail, say, settings_for, warn
from gateway.cores import MOST_WORKERS, workers_of

if TYPE_CHECKING:
    from collections.abc import Iterator


def register(app: typer.Typer) -> None:
    app.command()(serve)
    app.command()(health)
    app.command()(demo)


def serve(
    host: Annotated[
        str | None, typer.Option(help="파일의 server.host보다 우선 / before server.host of the file")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="파일의 server.port보다 우선 / before server.port")
    ] = None,
    workers: Annotated[
        str | None,
        typer.Option(
            metavar="N|auto", help="파일의 server.workers보다 우선; auto: 코어마다 하나 / one per core"
        ),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """게이트웨이를 시작합니다 / Start the gateway."""
    import uvicorn

    from gateway.store.database import check_usable

    settings = settings_for(config)
    if workers is not None:
        settings = settings.model_copy(update={"workers": _workers(workers)})
    read = config_of(settings)
    settings.keyring()
    check_usable(read.database_url)
    for korean, english in read.warnings:
        warn(korean, english)
    os.environ.update(settings.environment())  # the workers read the same settings
    server = read.server
    address, number = host or server.host, port or server.port
    say(f"http://{address}:{number} 에서 시작합니다 (멈춤: Ctrl-C).", "Starting; Ctrl-C stops.")
    with _shared_metrics(server.workers):
        uvicorn.run(
            "gateway.app:create",
            factory=True,
            host=address,
            port=number,
            workers=server.workers,
            **_uvicorn_options(server.trusted_proxies, read.limits.shutdown_s),
        )


def _workers(word: str) -> int:
    count = workers_of(word)
    if isinstance(count, str):
        count = int(count) if count.isascii() and count.isdecimal() else 0
    if not isinstance(count, int) or not 1 <= count <= MOST_WORKERS:
        raise typer.BadParameter(
            f"1부터 {MOST_WORKERS}까지의 수나 auto를 쓰세요 / a number from 1 to {MOST_WORKERS}, or auto",
            param_hint="--workers",
        )
    return count


@contextmanager
def _shared_metrics(workers: int) -> Iterator[None]:
    """Let several workers count into files of one folder, so that /metrics of any of them sums over all."""
    if workers == 1:
        yield
        return
    with TemporaryDirectory(prefix="haechi-metrics-") as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        yield


def _uvicorn_options(trusted_proxies: list[str], grace_s: int) -> dict[str, Any]:
    """Return how uvicorn is run everywhere: fast parsers, no log of paths, no word about itself."""
    return {
        "loop": "uvloop",
        "http": "gateway.http.server:WholeAnswers",  # httptools
        "ws": "none",
        "log_config": None,  # gateway.app configures structlog
        "access_log": False,
        "server_header": False,
        "proxy_headers": bool(trusted_proxies),
        "forwarded_allow_ips": trusted_proxies,
        "timeout_graceful_shutdown": grace_s,
        "backlog": 4096,
    }


def health(
    ready: Annotated[
        bool, typer.Option("--ready", help="받을 준비까지 확인(/readyz) / ask /readyz instead of /livez")
    ] = False,
    url: Annotated[
        str | None, typer.Option(help="기본: 설정의 주소 / default: the configured address")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """실행 중인 게이트웨이가 살아 있는지 묻습니다 / Ask a running gateway whether it is well."""
    from urllib.request import ProxyHandler, build_opener

    if url is None:
        server = config_of(settings_for(config)).server
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(server.host, server.host)  # noqa: S104 - compared
        url = f"http://{host}:{server.port}"
    address = f"{url.rstrip('/')}/{'readyz' if ready else 'livez'}"
    try:
        build_opener(ProxyHandler({})).open(address, timeout=5).close()
    except OSError as error:
        fail(f"응답이 없습니다: {address} ({error})", f"No answer from {address}", Exit.UNAVAILABLE)
    say("정상 / ok")


def demo(
    once: Annotated[
        bool, typer.Option("--once", help="한 번 보여 주고 끝냄 / run the job once and exit")
    ] = False,
    clients: Annotated[int, typer.Option(min=1, max=64, help="동시에 묻는 수 / concurrent clients")] = 1,
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8080,
    months: Annotated[
        int | None,
        typer.Option(
            min=1, max=24, help="한 기관의 여러 달 사용을 지어냄 / make up months of an institution"
        ),
    ] = None,
    people: Annotated[int, typer.Option(min=10, max=100_000, help="--months: 직원 수 / people")] = 6_318,
    charges: Annotated[
        int, typer.Option(min=100, max=20_000_000, help="--months: 청구 건수 / charges")
    ] = 1_000_000,
) -> None:
    """실제 프롬프트로 전체 과정을 보여 줍니다 / Show the whole job on real prompts."""
    from gateway.demo import run_demo, run_months

    if months is not None:
        ended = run_months(months=months, people=people, charges=charges, port=port, once=once)
        raise typer.Exit(ended)
    raise typer.Exit(run_demo(once=once, clients=clients, port=port))
