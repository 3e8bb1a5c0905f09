"""`haechi accounts`: who may sign in to the console, and in which roles."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from gateway.cli.common import (
    ConfigOption,
    DryRunOption,
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
    warn,
)
from gateway.permissions import Role, conflicts
from gateway.spreadsheets import write_csv

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.account_admin import FirstPassword
    from gateway.account_imports import AccountPlan
    from gateway.accounts import Account
    from gateway.audit import Deed
    from gateway.store.database import Database

app = typer.Typer(no_args_is_help=True, help="콘솔 계정과 역할 / accounts and roles of the console")

RoleOption = Annotated[
    list[Role], typer.Option("--role", "-r", help="역할, 여러 번 쓸 수 있음 / role; may be repeated")
]
SHOWN_CHANGES = 40
LoginArgument = Annotated[str, typer.Argument(help="아이디 / login")]
CsvFile = Annotated[
    Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="CSV (UTF-8, CP949)")
]
PasswordsOption = Annotated[
    Path | None,
    typer.Option(
        help="첫 비밀번호를 쓸 새 파일 / new file for the first passwords (default: FILE-passwords.csv)"
    ),
]
ReasonOption = Annotated[str, typer.Option(help="감사 기록에 남길 사유 / reason for the access audit")]


@app.command()
def create(
    login: LoginArgument,
    role: RoleOption,
    name: Annotated[
        str | None, typer.Option(help="화면에 보일 이름 / name that is shown (default: the person's)")
    ] = None,
    person: Annotated[str | None, typer.Option(help="직원의 사번 / employee number")] = None,
    reason: ReasonOption = "",
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """계정을 만들고 첫 비밀번호를 한 번 보여 줍니다 / Make an account; its first password is shown once."""
    from gateway.account_admin import open_account
    from gateway.errors import CallerError
    from gateway.store.accounts import NewAccount

    settings = settings_for(config)
    separated = config_of(settings).console.separated_duties
    with database(settings) as engine:
        known = _person_name(engine, person)
        new = NewAccount(login, name or known or login, frozenset(role), person)
        try:
            made, password = open_account(engine, new, _deed(reason), separated=separated)
        except CallerError as error:
            fail(error.korean, error.english, Exit.INPUT)
    _warn_of_conflicts(made)
    if json:
        print_json({**_shown(made), "password": password})
        return
    say(f"계정을 만들었습니다: {made.login} ({', '.join(sorted(made.roles))})", "Made.")
    _say_password(password)


@app.command("import")
def import_all(
    file: CsvFile,
    dry_run: DryRunOption = False,
    passwords: PasswordsOption = None,
    reason: ReasonOption = "",
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """계정을 CSV에서 만들고 바꿉니다 / Make and change accounts from CSV (login,roles,name,employee_id)."""
    from gateway.account_admin import import_accounts
    from gateway.account_imports import plan_accounts, read_accounts
    from gateway.errors import CallerError
    from gateway.store.accounts import AccountFilter, LastAdministrator, list_accounts
    from gateway.store.organisation import person_names

    settings = settings_for(config)
    rows = read_accounts(file.read_bytes())
    separated = config_of(settings).console.separated_duties
    kept = passwords or file.with_name(f"{file.stem}-passwords.csv")
    with database(settings) as engine:
        known = list_accounts(engine, AccountFilter(), limit=10_000_000)
        plan = plan_accounts(rows, known, person_names(engine), separated)
        if not dry_run:
            try:
                import_accounts(engine, plan, _deed(reason), partial(_hand_over, kept))
            except (CallerError, LastAdministrator) as error:
                if plan.added:
                    kept.unlink(missing_ok=True)  # nobody has these passwords
                if isinstance(error, CallerError):
                    fail(error.korean, error.english, Exit.INPUT)
                _last_administrator()
    _report_import(plan, kept, json=json, dry_run=dry_run)


@app.command("list")
def list_all(
    role: Annotated[Role | None, typer.Option(help="이 역할만 / this role only")] = None,
    search: Annotated[str, typer.Option(help="아이디·이름·사번 / login, name or employee number")] = "",
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """계정을 보여 줍니다 / Show the accounts."""
    from gateway.store.accounts import AccountFilter, list_accounts

    with database(settings_for(config)) as engine:
        found = list_accounts(engine, AccountFilter(search, role), limit=100_000)
    if json:
        print_json([_shown(one) for one in found])
        return
    columns = ("아이디", "이름", "사번", "역할", "2단계", "상태", "마지막 로그인")
    show_table(columns, [_cells(one) for one in found])


@app.command()
def reset(login: LoginArgument, reason: ReasonOption = "", config: ConfigOption = None) -> None:
    """새 첫 비밀번호를 주고 2단계 인증을 끕니다 / New first password, no second factor."""
    from gateway.account_admin import give_new_password

    with database(settings_for(config)) as engine:
        _, password = give_new_password(engine, _found(engine, login).id, _deed(reason))
    say(
        f"{login}: 비밀번호를 초기화하고 모든 브라우저에서 로그아웃했습니다.", "Reset; signed out everywhere."
    )
    _say_password(password)


@app.command()
def disable(login: LoginArgument, reason: ReasonOption = "", config: ConfigOption = None) -> None:
    """계정을 막습니다. 로그인해 있어도 바로 나갑니다 / Shut an account out at once."""
    from gateway.store.accounts import LastAdministrator, disable_account

    with database(settings_for(config)) as engine:
        try:
            disable_account(engine, _found(engine, login).id, seen=None, deed=_deed(reason))
        except LastAdministrator:
            _last_administrator()
    say(f"막았습니다: {login}", "Shut out.")


@app.command()
def enable(login: LoginArgument, reason: ReasonOption = "", config: ConfigOption = None) -> None:
    """막은 계정을 다시 엽니다 / Open an account again."""
    from gateway.store.accounts import enable_account

    with database(settings_for(config)) as engine:
        enable_account(engine, _found(engine, login).id, seen=None, deed=_deed(reason))
    say(f"다시 열었습니다: {login}", "Open again.")


@app.command()
def roles(
    login: LoginArgument,
    role: RoleOption,
    reason: ReasonOption = "",
    config: ConfigOption = None,
) -> None:
    """역할을 정합니다. 바로 적용됩니다 / Set the roles; they hold at once."""
    from gateway.account_admin import change_account
    from gateway.errors import CallerError
    from gateway.store.accounts import LastAdministrator

    settings = settings_for(config)
    separated = config_of(settings).console.separated_duties
    with database(settings) as engine:
        found = _found(engine, login)
        try:
            changed = change_account(
                engine,
                found.id,
                found.name,
                frozenset(role),
                seen=found.version,
                deed=_deed(reason),
                separated=separated,
            )
        except CallerError as error:
            fail(error.korean, error.english, Exit.INPUT)
        except LastAdministrator:
            _last_administrator()
    _warn_of_conflicts(changed)
    say(f"{login}: {', '.join(sorted(changed.roles))}", "Set.")


# --- steps ------------------------------------------------------------------------------------------------


def _hand_over(path: Path, made: Sequence[FirstPassword]) -> None:
    """Write the first passwords to a file that only its owner can read; never over one that is there."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        fail(
            f"첫 비밀번호를 쓸 수 없어 아무것도 바꾸지 않았습니다: {path} ({error.strerror})."
            " --passwords로 새 파일을 정하세요.",
            f"Nothing was changed, because the first passwords cannot be written to {path}."
            " Name a new file with --passwords.",
            Exit.INPUT,
        )
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
        write_csv(
            file,
            ("login", "name", "employee_id", "password"),
            [(one.login, one.name, one.person_id or "", one.password) for one in made],
        )
        file.flush()
        os.fsync(file.fileno())


def _report_import(plan: AccountPlan, kept: Path, *, json: bool, dry_run: bool) -> None:
    told = {
        "dry_run": dry_run,
        "added": [{"login": row.login, "name": row.name, "roles": sorted(row.roles)} for row in plan.added],
        "changed": [
            {
                "login": one.before.login,
                "before": {"name": one.before.name, "roles": sorted(one.before.roles)},
                "after": {"name": one.name, "roles": sorted(one.roles)},
            }
            for one in plan.changed
        ],
        "unchanged": plan.unchanged,
        "passwords": str(kept) if plan.added and not dry_run else None,
    }
    if json:
        print_json(told)
        return
    for row in plan.added[:SHOWN_CHANGES]:
        typer.echo(f"+ {row.login}  {row.name}  {', '.join(sorted(row.roles))}")
    for one in plan.changed[:SHOWN_CHANGES]:
        typer.echo(f"- {one.before.login}  {one.before.name}  {', '.join(sorted(one.before.roles))}")
        typer.echo(f"+ {one.before.login}  {one.name}  {', '.join(sorted(one.roles))}")
    rest = max(len(plan.added) - SHOWN_CHANGES, 0) + max(len(plan.changed) - SHOWN_CHANGES, 0)
    if rest:
        say(f"… 그 밖에 {rest}건 (모두 보려면 --json)", f"… and {rest} more (--json shows all)")
    if plan.clashing:
        warn(
            f"직무 분리에 어긋나는 계정: {', '.join(plan.clashing)}",
            f"Accounts whose duties should be separated: {', '.join(plan.clashing)}",
        )
    title = "바뀔 내용 (바꾸지 않았습니다)" if dry_run else "반영했습니다"
    say(
        f"계정 {title}: 새로 {len(plan.added)}, 변경 {len(plan.changed)}, 그대로 {plan.unchanged}",
        f"accounts: {len(plan.added)} added, {len(plan.changed)} changed, {plan.unchanged} unchanged"
        + (" (dry run: nothing was written)" if dry_run else ""),
    )
    if plan.added and not dry_run:
        say(
            f"첫 비밀번호는 {kept}에 있습니다(나만 읽을 수 있음). 전달한 뒤 지우세요.",
            f"The first passwords are in {kept}, readable by you only. Delete it when they are handed out.",
        )


def _found(engine: Database, login: str) -> Account:
    from gateway.store.accounts import find_login

    found = find_login(engine, login.strip().lower())
    if found is None:
        fail(
            f"'{login}' 계정이 없습니다. `haechi accounts list`로 확인하세요.",
            f"There is no account '{login}'. See `haechi accounts list`.",
            Exit.INPUT,
        )
    return found


def _person_name(engine: Database, person: str | None) -> str | None:
    """Return the person's name. Ends the command for somebody who is not in the register."""
    if person is None:
        return None
    from gateway.store.organisation import person_names

    name = person_names(engine).get(person)
    if name is None:
        fail(
            f"사번 {person}은(는) 직원 명부에 없습니다. `haechi people import`로 먼저 등록하세요.",
            f"{person} is not in the staff register. Import them with `haechi people import` first.",
            Exit.INPUT,
        )
    return name


def _deed(reason: str) -> Deed:
    from gateway.audit import Actor, Deed

    return Deed(now(), Actor(actor(), (), "terminal"), reason)


def _last_administrator() -> NoReturn:
    fail(
        "마지막 관리자라서 바꿀 수 없습니다. 다른 관리자를 먼저 만드세요.",
        "This is the last administrator. Make another one first.",
        Exit.INPUT,
    )


def _warn_of_conflicts(found: Account) -> None:
    from gateway.account_admin import said

    clashes = conflicts(found.roles)
    if clashes:
        korean, english = said(clashes)
        warn(f"직무 분리에 어긋나는 역할입니다: {korean}", f"These duties should be separated: {english}")


def _say_password(password: str) -> None:
    say(
        f"첫 비밀번호(한 번만 보여 드립니다): {password}",
        "First password, shown once. It must be changed at the first sign-in: /console",
    )


def _shown(found: Account) -> dict[str, object]:
    return {
        "login": found.login,
        "name": found.name,
        "person_id": found.person_id,
        "roles": sorted(found.roles),
        "totp": found.totp,
        "disabled": found.disabled_at is not None,
        "must_change": found.must_change,
        "signed_in_at": found.signed_in_at,
    }


def _cells(found: Account) -> tuple[object, ...]:
    state = "막힘" if found.disabled_at else "첫 비밀번호" if found.must_change else "사용"
    held = ", ".join(sorted(found.roles))
    last = found.signed_in_at
    return found.login, found.name, found.person_id, held, found.totp, state, last
