"""`haechi init`, `check-config`, `migrate` and `doctor`: getting to a gateway that can be served."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
    warn,
)

if TYPE_CHECKING:
    from gateway.settings import Settings


def register(app: typer.Typer) -> None:
    app.command()(init)
    app.command("check-config")(check_config)
    app.command()(migrate)
    app.command("upgrade", hidden=True)(migrate)
    app.command()(doctor)
    app.command("rotate-secret")(rotate_secret)


def init(
    folder: Annotated[Path, typer.Argument(help="설치할 폴더 / the folder")] = Path(),
    database_url: Annotated[
        str | None, typer.Option(help="기본: 폴더 안의 SQLite / default: SQLite in the folder")
    ] = None,
    administrator: Annotated[
        str, typer.Option(help="첫 관리자의 아이디, 빈 값이면 만들지 않음 / login; empty makes none")
    ] = "admin",
) -> None:
    """haechi.toml, 비밀키(0600), 데이터베이스, 첫 관리자 계정을 만듭니다 / Lay down all that is needed."""
    from gateway.installation import DEFAULT_CONFIG, AlreadyThere, initialise

    text = DEFAULT_CONFIG
    if database_url is not None:
        text = text.replace('url = "sqlite:///haechi.db"', f"url = {_toml_string(database_url)}")
    try:
        done = initialise(folder, config_text=text, settings=settings_for(None))
    except AlreadyThere as there:
        fail(
            f"{there.path}이(가) 이미 있어 아무것도 바꾸지 않았습니다. `haechi check-config`로 확인하세요.",
            f"{there.path} is there already, so nothing was changed. Check it with `haechi check-config`.",
            Exit.CONFIG,
        )
    for path in done.created:
        say(f"만들었습니다: {path} / created")
    if administrator:
        _first_administrator(done.settings, administrator)
    option = "" if folder == Path() else f" --config {done.settings.config}"
    say(
        f"다음: {done.settings.config}에 모델을 더하고 `haechi check-config{option}`, `haechi serve{option}`",
        "Next: add models to haechi.toml, then check-config and serve.",
    )


def _first_administrator(settings: Settings, login: str) -> None:
    """Make the first account of the console, unless the database has an administrator already."""
    from gateway.account_admin import open_account
    from gateway.audit import Actor, Deed
    from gateway.permissions import Role
    from gateway.store.accounts import AccountFilter, NewAccount, count_accounts

    with database(settings) as engine:
        if count_accounts(engine, AccountFilter(role=Role.ADMINISTRATOR)):
            return
        new = NewAccount(login, "관리자", frozenset({Role.ADMINISTRATOR}))
        deed = Deed(now(), Actor(actor(), (), "terminal"), "haechi init")
        made, password = open_account(engine, new, deed)
    say(
        f"콘솔의 첫 관리자: {made.login}  첫 비밀번호(한 번만 보여 드립니다): {password}",
        "The console's first administrator; the password is shown once and must be changed: /console",
    )


def check_config(
    file: Annotated[
        Path | None, typer.Argument(help="haechi.toml (--config와 같음 / same as --config)")
    ] = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """haechi.toml의 잘못을 모두 줄 번호와 함께 알려 줍니다 / Name every mistake with its line."""
    from gateway.config import unpriced
    from gateway.config_mistakes import ConfigError

    settings = settings_for(file or config)
    try:
        read = config_of(settings)
        settings.keyring()
    except ConfigError as error:
        if json:
            rows = [
                {"line": m.line, "key": m.key, "korean": m.korean, "english": m.english}
                for m in error.mistakes
            ]
            print_json({"ok": False, "mistakes": rows})
            raise typer.Exit(Exit.CONFIG) from None
        raise
    models = read.catalogue.models.values()
    deployments = sum(len(model.deployments) for model in models)
    missing = unpriced(read, now())
    if json:
        print_json(
            {"ok": not missing, "models": len(models), "deployments": deployments, "unpriced": missing}
        )
    for korean, english in read.warnings:
        warn(korean, english)
    if missing:
        names = ", ".join(f"{deployment} ({key})" for deployment, key in missing)
        fail(
            f"오늘 적용되는 단가나 환율이 없어 쓸 수 없는 배포: {names}",
            f"No price or rate is in force today for: {names}",
            Exit.CONFIG,
        )
    if not json:
        say(
            f"{read.path}: 이상 없음. 모델 {len(models)}개, 배포 {deployments}개.",
            f"OK: {len(models)} models, {deployments} deployments.",
        )


def migrate(config: ConfigOption = None) -> None:
    """데이터베이스의 테이블을 이 버전에 맞춥니다 / Bring the database's tables up to date."""
    from gateway.store.database import migrate as bring_up

    applied = bring_up(config_of(settings_for(config)).database_url)
    if applied:
        say(f"적용했습니다: {', '.join(applied)}", "Applied.")
    else:
        say("이미 최신입니다.", "Up to date already.")


def doctor(config: ConfigOption = None, json: JsonOption = False) -> None:
    """설정·비밀키·데이터베이스·제공자·시각·디스크를 점검합니다 / Check everything and say how to fix it."""
    from gateway.cli.checks import examine

    findings = examine(settings_for(config))
    if json:
        print_json([finding.row() for finding in findings])
    else:
        for finding in findings:
            typer.echo(finding.text())
    failed = sum(finding.state == "fail" for finding in findings)
    if failed:
        raise typer.Exit(Exit.FOUND)
    if not json:
        say("\n모두 정상입니다. 다음: haechi serve", "All is well. Next: haechi serve")


def rotate_secret(config: ConfigOption = None) -> None:
    """새 마스터 비밀키를 맨 위에 더합니다 / Put a fresh master secret above the old ones."""
    from gateway.keyring import rotate_secret_file

    settings = settings_for(config)
    if settings.secret_key is not None:
        fail(
            "비밀키가 HAECHI_SECRET_KEY에 있습니다. 새 키를 쉼표로 구분해 맨 앞에 넣으세요.",
            "The secret stands in HAECHI_SECRET_KEY; put the new one first, separated by a comma.",
            Exit.CONFIG,
        )
    key_id = rotate_secret_file(settings.secret_path)
    say(
        f"새 비밀키 {key_id}이(가) 현재 키입니다. 서버를 다시 시작하고 {settings.secret_path}를 백업하세요.",
        "The new secret is current. Restart the servers, and back the file up.",
    )


def _toml_string(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
