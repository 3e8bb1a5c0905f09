"""What `haechi doctor` looks at. Each check returns findings that say how to mend what they found."""

from __future__ import annotations

import difflib
import os
import shutil
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

import httpx

from billing.store import DatabaseUnavailable, open_engine
from gateway.config import Config, unpriced
from gateway.config_mistakes import ConfigError
from gateway.incidents.exceptions import is_lost
from gateway.keyring import Purpose, SecretError
from gateway.pricing import book_of
from gateway.settings import Settings
from gateway.store.database import NotMigrated, Unusable, check_usable, file_of, shown
from gateway.store.incident_exceptions import approved

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gateway.catalogue import Deployment

State = Literal["ok", "warn", "fail"]
_MARKS = {"ok": "정상", "warn": "주의", "fail": "실패"}
MIN_DISK_MIB, LOW_DISK_MIB = 200, 2048
MAX_SKEW_S = 30
REACH_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Finding:
    """`fix_…` is empty when there is nothing to do."""

    state: State
    name: str
    korean: str
    english: str
    fix_korean: str = ""
    fix_english: str = ""

    def text(self) -> str:
        lines = [f"[{_MARKS[self.state]}] {self.name}: {self.korean} / {self.english}"]
        if self.fix_korean:
            lines.append(f"       → {self.fix_korean} / {self.fix_english}")
        return "\n".join(lines)

    def row(self) -> dict[str, str]:
        return {
            "state": self.state,
            "name": self.name,
            "korean": self.korean,
            "english": self.english,
            "fix_korean": self.fix_korean,
            "fix_english": self.fix_english,
        }


@dataclass(frozen=True, slots=True)
class _Reached:
    finding: Finding
    server_time: datetime | None = None
    measured_at: datetime | None = None


def examine(settings: Settings) -> list[Finding]:
    """Run every check that the ones before it allow; never raises for what it looks at."""
    findings = [*_environment(), *_secrets(settings)]
    config, found = _config(settings)
    findings += found
    if config is None:
        return findings
    findings += _prices(config)
    findings += _overhead(config)
    findings += _database(config, settings)
    findings += _valkey(config)
    findings += _disk(config)
    findings += _port(config)
    reached = _providers(config)
    findings += [result.finding for result in reached]
    findings += _clock(reached)
    return findings


# --- environment, secrets, config ----------------------------------------------------------------


def _environment() -> Iterator[Finding]:
    known = {f"HAECHI_{name.upper()}" for name in Settings.model_fields} | {"HAECHI_DEBUG"}
    for name in sorted(os.environ):
        if not name.startswith("HAECHI_") or name in known:
            continue
        close = difflib.get_close_matches(name, known, 1)
        hint = f" {close[0]}?" if close else ""
        yield Finding(
            "warn",
            "environment",
            f"{name}은(는) 쓰이지 않는 환경 변수입니다.{hint}",
            f"{name} is not a variable that Haechi reads.{hint}",
            "이름을 고치거나 지우세요",
            "mend the name or remove it",
        )


def _secrets(settings: Settings) -> Iterator[Finding]:
    try:
        keyring = settings.keyring()
    except SecretError as error:
        yield Finding("fail", "secrets", error.korean, error.english)
    else:
        count = len(keyring.masters)
        yield Finding("ok", "secrets", f"마스터 비밀키 {count}개", f"{count} master secret(s)")


def _config(settings: Settings) -> tuple[Config | None, list[Finding]]:
    try:
        config = settings.load_config()
    except FileNotFoundError:
        missing = Finding(
            "fail", "config", f"{settings.config} 없음", "no such file", "`haechi init`", "`haechi init`"
        )
        return None, [missing]
    except ConfigError as error:
        return None, [
            Finding("fail", "config", f"{m.line}행 {m.key}: {m.korean}", f"line {m.line}: {m.english}")
            for m in error.mistakes
        ]
    findings = [Finding("warn", "config", korean, english) for korean, english in config.warnings]
    if not config.catalogue.models:
        findings.append(
            Finding(
                "warn", "config", "모델이 없습니다", "no models",
                "[[models]]를 더하세요 (docs/configuration.md)", "add [[models]]",
            )
        )  # fmt: skip
    models = len(config.catalogue.models)
    return config, [*findings, Finding("ok", "config", f"{config.path}: 모델 {models}개", f"{models} models")]


def _overhead(config: Config) -> Iterator[Finding]:
    """Say what budgets leave out: an amount that an invoice has however much is used."""
    if config.invoices.overhead_krw:
        won = f"{config.invoices.overhead_krw:,}"
        yield Finding(
            "warn",
            "invoices",
            f"청구서마다 더하는 정액 {won}원(overhead_krw)은 예산 집행액에 들어가지 않습니다",
            f"KRW {won} on each invoice (overhead_krw) is not counted by budgets",
            "예산을 그만큼 낮게 잡거나 overhead_percent로 바꾸세요",
            "set budgets lower by so much, or use overhead_percent",
        )


def _prices(config: Config) -> Iterator[Finding]:
    for deployment, key in unpriced(config, datetime.now(UTC), book_of(config)):
        yield Finding(
            "fail",
            "prices",
            f"{deployment}: 오늘 적용되는 단가나 환율이 없습니다 ({key})",
            f"{deployment}: no price or rate in force today ({key})",
            "`haechi prices import`나 [[prices]], `haechi fx import`나 [[fx]]로 더하세요",
            "add it with `haechi prices import` or `haechi fx import`, or to [[prices]] or [[fx]]",
        )


# --- database, disk, port ------------------------------------------------------------------------


def _database(config: Config, settings: Settings) -> Iterator[Finding]:
    address = shown(config.database_url)
    try:
        check_usable(config.database_url)
    except (NotMigrated, DatabaseUnavailable) as error:
        yield Finding("fail", "database", error.korean, error.english)
    except Unusable as error:
        yield Finding(
            "fail",
            "database",
            f"{address}에 쓸 수 없습니다 ({error.kind})",
            f"cannot write to {address} ({error.kind})",
            "주소·계정·파일 권한(폴더까지 쓰기 가능해야 함)을 확인하세요",
            "check address, account and permissions (the folder must be writable, too)",
        )
    else:
        yield Finding("ok", "database", f"{address}, 테이블 최신", "reachable, writable, tables up to date")
        yield from _exceptions(config, settings)


def _exceptions(config: Config, settings: Settings) -> Iterator[Finding]:
    """Say which exceptions for one value match nothing, because the secret of their hash is gone."""
    try:
        keys = settings.keyring().all(Purpose.FINDING_HASH)
    except SecretError:
        return  # said already
    engine = open_engine(config.database_url)
    try:
        lost = [one for one in approved(engine) if is_lost(one, keys) and one.until > datetime.now(UTC)]
    finally:
        engine.dispose()
    if lost:
        yield Finding(
            "warn",
            "exceptions",
            f"값 하나의 예외 {len(lost)}건이 통과시키지 못합니다: 값의 해시를 만든 비밀키가 없습니다",
            f"{len(lost)} exception(s) for one value match nothing: the secret of their hash is gone",
            "비밀키 파일에 예전 키를 되돌리거나, 심사자가 예외를 다시 제안하세요",
            "put the old secret back into the secret file, or let reviewers propose them anew",
        )


def _valkey(config: Config) -> Iterator[Finding]:
    """Look at what counts the limits by the minute, where it is not the database."""
    import valkey

    url = config.rate_limits.valkey_url
    if url is None:
        return
    client = valkey.from_url(  # type: ignore[no-untyped-call]
        url, socket_timeout=REACH_TIMEOUT_S, socket_connect_timeout=REACH_TIMEOUT_S
    )
    try:
        client.ping()
    except (valkey.ValkeyError, OSError) as error:
        yield Finding(
            "warn",
            "valkey",
            f"Valkey에 연결할 수 없습니다 ({type(error).__name__})",
            f"Valkey cannot be reached ({type(error).__name__})",
            "그동안 분당 한도는 데이터베이스가 셉니다. 주소와 암호를 확인하세요",
            "the database counts the limits by the minute meanwhile; check address and password",
        )
    else:
        yield Finding("ok", "valkey", "연결됨", "reachable")
    finally:
        client.close()


def _disk(config: Config) -> Iterator[Finding]:
    folder = (file_of(config.database_url) or config.path).absolute().parent
    if not folder.is_dir():
        return
    free_mib = shutil.disk_usage(folder).free // 2**20
    state: State = "ok" if free_mib >= LOW_DISK_MIB else "warn" if free_mib >= MIN_DISK_MIB else "fail"
    yield Finding(
        state,
        "disk",
        f"{folder}: {free_mib:,} MiB 남음",
        f"{free_mib:,} MiB free",
        "" if state == "ok" else "공간을 늘리세요. 장부를 쓸 수 없으면 요청을 받지 않습니다",
        "" if state == "ok" else "make room; without it requests are refused",
    )


def _port(config: Config) -> Iterator[Finding]:
    host, port = config.server.host, config.server.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            yield Finding(
                "warn",
                "port",
                f"{host}:{port}을(를) 열 수 없습니다. 이미 실행 중일 수 있습니다",
                f"cannot bind {host}:{port}; perhaps Haechi runs already",
                "실행 중이 아니라면 [server] port를 바꾸세요",
                "if it does not, change [server] port",
            )


# --- providers and the clock ---------------------------------------------------------------------


def _providers(config: Config) -> list[_Reached]:
    """Ask each distinct address once, side by side; no prompt is sent and no token is spent."""
    deployments = {
        (deployment.base_url, deployment.proxy_url, deployment.ca_bundle): deployment
        for model in config.catalogue.models.values()
        for deployment in model.deployments
    }
    if not deployments:
        return []
    with ThreadPoolExecutor(max_workers=16) as pool:
        return list(pool.map(_reach, deployments.values()))


def _reach(deployment: Deployment) -> _Reached:
    name = f"provider {deployment.provider}"
    host = urlsplit(deployment.base_url).netloc
    try:
        verify = ssl.create_default_context(cafile=deployment.ca_bundle)
        with httpx.Client(
            proxy=deployment.proxy_url, verify=verify, timeout=REACH_TIMEOUT_S, trust_env=False
        ) as client:
            answer = client.get(f"{deployment.base_url}/models", headers=_proof(deployment))
    except (httpx.HTTPError, OSError) as error:
        kind = type(error).__name__
        return _Reached(
            Finding(
                "fail",
                name,
                f"{host}에 연결할 수 없습니다 ({kind})",
                f"cannot reach {host} ({kind})",
                "주소, 방화벽, proxy_url, ca_bundle을 확인하세요",
                "check the address, firewall, proxy_url and ca_bundle",
            )
        )
    return _Reached(_answered(name, host, answer), _date_of(answer), datetime.now(UTC))


def _answered(name: str, host: str, answer: httpx.Response) -> Finding:
    took_ms = answer.elapsed.total_seconds() * 1000
    if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        return Finding(
            "warn",
            name,
            f"{host}에 연결되지만 키를 받아 주지 않습니다 ({answer.status_code})",
            f"{host} answers and refuses the key ({answer.status_code})",
            "api_key_env나 api_key_file의 값을 확인하세요",
            "check what api_key_env or api_key_file holds",
        )
    return Finding("ok", name, f"{host} 응답 {took_ms:.0f} ms", f"{host} answers in {took_ms:.0f} ms")


def _proof(deployment: Deployment) -> dict[str, str]:
    """Return the headers that show our key, where a bearer token is how that provider takes it."""
    key = deployment.credential.api_key
    return {"authorization": f"Bearer {key}"} if key and deployment.wire == "openai" else {}


def _date_of(answer: httpx.Response) -> datetime | None:
    try:
        return parsedate_to_datetime(answer.headers["date"])
    except (KeyError, ValueError):
        return None


def _clock(reached: Iterable[_Reached]) -> Iterator[Finding]:
    """Compare our clock with the providers' (their Date header): the median is what we trust."""
    skew = sorted(
        (r.measured_at - r.server_time).total_seconds() for r in reached if r.server_time and r.measured_at
    )
    if not skew:
        yield Finding(
            "ok", "clock", "비교할 서버가 없어 확인하지 못했습니다", "not compared: no server answered"
        )
        return
    off_s = skew[len(skew) // 2]
    korean, english = f"다른 서버와의 차이 {off_s:+.0f}초", f"{off_s:+.0f} s against other servers"
    if abs(off_s) <= MAX_SKEW_S:
        yield Finding("ok", "clock", korean, english)
    else:
        yield Finding(
            "fail",
            "clock",
            korean,
            english,
            "시각 동기화(chrony, timedatectl)를 켜세요. 청구일과 토큰 검증이 어긋납니다",
            "switch on time synchronisation: billing days and user tokens depend on it",
        )
