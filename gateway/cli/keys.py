"""`haechi keys create|list|revoke`: issue, list and revoke API keys; their limits are in key_limits."""

from __future__ import annotations

import difflib
import re
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, NoReturn

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

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gateway.organisation import Key, Organisation, Person
    from gateway.settings import Settings
    from gateway.store.database import Database

app = typer.Typer(no_args_is_help=True, help="API 키 발급·목록·폐기 / issue, list and revoke API keys")


@app.command()
def create(
    person: Annotated[
        str | None, typer.Option(help="직원의 사번 또는 전자우편 / employee number or e-mail")
    ] = None,
    service: Annotated[
        str | None, typer.Option(help="공용 채팅 서버의 이름 / name of a shared chat client")
    ] = None,
    department: Annotated[
        str | None,
        typer.Option(help="사용자를 밝히지 않은 서비스 요청을 낼 부서 / pays when the service names nobody"),
    ] = None,
    trusted: Annotated[
        bool, typer.Option("--trusted", help="서명 없는 사용자 헤더를 믿음 / believe unsigned user headers")
    ] = False,
    label: Annotated[str, typer.Option(help="용도 / what it is for")] = "",
    expires: Annotated[
        str | None, typer.Option(help="만료: 2026-12-31 또는 90d / expiry day (inclusive) or days from now")
    ] = None,
    models: Annotated[
        str | None, typer.Option(help="쓸 수 있는 모델, 쉼표로 구분 / allowed models, comma-separated")
    ] = None,
    requests_per_min: Annotated[
        int,
        typer.Option(min=0, max=10_000_000, help="분당 요청 한도, 0은 없음 / requests a minute, 0: no limit"),
    ] = 0,
    tokens_per_min: Annotated[
        int,
        typer.Option(min=0, max=100_000_000, help="분당 토큰 한도, 0은 없음 / tokens a minute, 0: no limit"),
    ] = 0,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """키를 발급하고 한 번만 보여 줍니다 / Issue a key; it is shown this once."""
    from gateway.keyring import Purpose
    from gateway.organisation import Grant
    from gateway.store.organisation import create_key, load_organisation

    settings = settings_for(config)
    at = now()
    with database(settings) as engine:
        organisation = load_organisation(engine)
        if (person is None) == (service is None):
            fail(
                "--person과 --service 가운데 하나를 주세요.", "Give either --person or --service.", Exit.USAGE
            )
        if person is not None and (trusted or department is not None):
            fail(
                "--trusted와 --department는 서비스 키에만 씁니다. 직원의 부서는 직원 명부에서 옵니다.",
                "--trusted and --department are for service keys; a person's unit comes from the register.",
                Exit.USAGE,
            )
        grant = Grant(
            label=label or (service or ""),
            person_id=_person(organisation, person, at).employee_id if person else None,
            service=service,
            unit_code=_unit_code(organisation, department, at),
            allowed_models=_allowed(models, config_of(settings).catalogue.models),
            trusted=trusted,
            expires_at=_expiry(expires, at),
            requests_per_min=requests_per_min,
            tokens_per_min=tokens_per_min,
        )
        key, secret = create_key(
            engine, settings.keyring().current(Purpose.API_KEY_HASH), grant, at=at, actor=actor()
        )
    if json:
        print_json(key_row(key) | {"key": secret})
        return
    say(secret)
    typer.echo(
        f"\n{key.id} ({key.prefix}…): 지금만 볼 수 있습니다. 안전한 곳에 보관하세요."
        f"\n  Shown this once; keep it safe. Revoke it with `haechi keys revoke {key.id}`.",
        err=True,
    )


@app.command("list")
def list_(
    everything: Annotated[
        bool, typer.Option("--all", help="만료·폐기된 키도 / expired and revoked ones too")
    ] = False,
    person: Annotated[str | None, typer.Option(help="이 직원의 키만 / keys of this person only")] = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """키의 목록입니다. 키 자체는 저장하지 않습니다 / List keys; the keys themselves are kept nowhere."""
    from gateway.store.organisation import list_keys

    with database(settings_for(config)) as engine:
        keys = [key for key in list_keys(engine) if everything or _state(key) == "active"]
    if person is not None:
        keys = [key for key in keys if key.grant.person_id == person]
    if json:
        print_json([key_row(key) for key in keys])
        return
    show_table(
        ("id", "앞부분", "직원/서비스", "용도", "상태", "만료", "모델", "만든 때"),
        [
            (
                key.id,
                f"{key.prefix}…",
                key.grant.person_id or f"서비스 {key.grant.service}",
                key.grant.label,
                _STATES[_state(key)],
                key.grant.expires_at,
                _models_text(key),
                key.created_at,
            )
            for key in keys
        ],
    )


@app.command()
def revoke(
    key: Annotated[
        str, typer.Argument(help="키의 id, 앞부분 또는 키 자체 / id, shown prefix, or the key itself")
    ],
    config: ConfigOption = None,
) -> None:
    """키를 폐기합니다. 1초 안에 모든 서버에서 막힙니다 / Revoke a key, everywhere within a second."""
    from gateway.store.organisation import NoSuchKey, revoke_key

    settings = settings_for(config)
    with database(settings) as engine:
        wanted = id_of_secret(engine, settings, key) or key.rstrip("…")
        try:
            revoked = revoke_key(engine, wanted, at=now(), actor=actor())
        except NoSuchKey:
            no_such_key()
    if revoked.revoked_at is not None:
        say(f"{revoked.id}은(는) 이미 폐기되어 있습니다.", f"{revoked.id} was revoked already.")
    else:
        say(f"{revoked.id}을(를) 폐기했습니다.", f"{revoked.id} is revoked.")


def no_such_key() -> NoReturn:
    fail(
        "그런 키가 없거나 앞부분이 같은 키가 여럿입니다. `haechi keys list --all`에서 id를 확인하세요.",
        "No such key, or several share that prefix. Find its id with `haechi keys list --all`.",
    )


def id_of_secret(engine: Database, settings: Settings, text: str) -> str | None:
    """Return the id of a whole key that somebody found in a text; None if `text` is no key or unknown."""
    from gateway import apikeys
    from gateway.keyring import Purpose
    from gateway.store.organisation import list_keys

    if not apikeys.well_formed(text):
        return None
    digests = {
        apikeys.digest(text, hash_key.key) for hash_key in settings.keyring().all(Purpose.API_KEY_HASH)
    }
    return next((key.id for key in list_keys(engine) if key.digest in digests), None)


_STATES = {"active": "사용 중", "expired": "만료", "revoked": "폐기"}


def _state(key: Key) -> str:
    if key.revoked_at is not None:
        return "revoked"
    expires = key.grant.expires_at
    return "expired" if expires is not None and expires <= now() else "active"


def key_row(key: Key) -> dict[str, object]:
    grant = key.grant
    return {
        "id": key.id,
        "prefix": key.prefix,
        "state": _state(key),
        "person_id": grant.person_id,
        "service": grant.service,
        "department": grant.unit_code,
        "label": grant.label,
        "trusted": grant.trusted,
        "models": None if grant.allowed_models is None else sorted(grant.allowed_models),
        "requests_per_min": grant.requests_per_min,
        "tokens_per_min": grant.tokens_per_min,
        "created_at": key.created_at.isoformat(),
        "expires_at": grant.expires_at.isoformat() if grant.expires_at else None,
        "revoked_at": key.revoked_at.isoformat() if key.revoked_at else None,
    }


def _models_text(key: Key) -> str:
    allowed = key.grant.allowed_models
    return "모두" if allowed is None else ", ".join(sorted(allowed))


def _person(organisation: Organisation, wanted: str, at: datetime) -> Person:
    from billing.periods import billing_day
    from gateway.organisation import valid_on

    people = list(valid_on(organisation.people, billing_day(at)))
    found = next(
        (p for p in people if wanted == p.employee_id or wanted.casefold() == p.email.casefold()), None
    )
    if found is None:
        _refuse_unknown("직원", "person", wanted, (person.employee_id for person in people))
    return found


def _unit_code(organisation: Organisation, wanted: str | None, at: datetime) -> str | None:
    from billing.periods import billing_day
    from gateway.organisation import places

    known = places(organisation.units, billing_day(at))
    if wanted is not None and wanted not in known:
        _refuse_unknown("부서", "department", wanted, known)
    return wanted


def _allowed(models: str | None, known: Mapping[str, object]) -> frozenset[str] | None:
    if models is None:
        return None
    wanted = frozenset(name.strip() for name in models.split(",") if name.strip())
    for name in sorted(wanted - known.keys()):
        _refuse_unknown("모델", "model", name, known)
    if not wanted:
        fail("--models가 비어 있습니다.", "--models names no model.", Exit.USAGE)
    return wanted


def _refuse_unknown(korean: str, english: str, wanted: str, known: Iterable[str]) -> NoReturn:
    close = difflib.get_close_matches(wanted, list(known), 1)
    hint = f" ('{close[0]}'?)" if close else ""
    fail(f"{korean} '{wanted}'이(가) 없습니다.{hint}", f"There is no {english} '{wanted}'.{hint}", Exit.USAGE)


def _expiry(text: str | None, at: datetime) -> datetime | None:
    """Read `90d` or a last day of validity, which ends at midnight in Seoul."""
    from billing.periods import day_start

    if text is None:
        return None
    try:
        if match := re.fullmatch(r"(\d{1,4})d", text):
            end = at + timedelta(days=int(match.group(1)))
        else:
            end = day_start(date.fromisoformat(text) + timedelta(days=1))
    except ValueError:
        fail(
            f"만료일을 읽을 수 없습니다: {text!r} (예: 2026-12-31, 90d)",
            f"Cannot read the expiry {text!r} (e.g. 2026-12-31, 90d)",
            Exit.USAGE,
        )
    if end <= at:
        fail("만료일이 이미 지났습니다.", "The expiry has passed already.", Exit.USAGE)
    return end
