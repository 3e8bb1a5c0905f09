"""`haechi incidents evidence|verify-evidence|compare-evidence|evidence-key`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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
)
from gateway.cli.incident_reports import FromOption, ToOption, period_of

FileArgument = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="감사 자료 ZIP / the pack")]
_COMPARED = {True: "같음/same", False: "다름/differs", None: "모르는 키/unknown key"}


def register(app: typer.Typer) -> None:
    app.command()(evidence)
    app.command("verify-evidence")(verify_evidence)
    app.command("compare-evidence")(compare_evidence)
    app.command("evidence-key")(evidence_key)


def evidence(
    out: Annotated[Path, typer.Option("--out", "-o", help="저장할 ZIP / the ZIP to write")],
    first: FromOption = None,
    last: ToOption = None,
    config: ConfigOption = None,
) -> None:
    """감사 자료 묶음(국감 자료)을 만듭니다: 서명된 ZIP, 개인정보 없음 / Make a signed evidence pack."""
    from gateway.audit import Actor
    from gateway.incidents.evidence import Evidence
    from gateway.incidents.evidence_pack import check

    settings = settings_for(config)
    period = period_of(first, last)
    with database(settings) as engine:
        work = Evidence(engine, settings.keyring(), config_of(settings))
        pack = work.build(period, now(), Actor(actor(), (), "terminal"))
    out.write_bytes(pack)
    say(
        f"{out}에 저장했습니다({period.first} ~ {period.last}, {len(pack):,}바이트).",
        f"Written. Public key to publish and to check with: {check(pack).public_key}",
    )


def verify_evidence(
    file: FileArgument,
    public_key: Annotated[
        str, typer.Option("--public-key", help="기관이 공개한 키(16진수) / the key the institution publishes")
    ] = "",
    json: JsonOption = False,
) -> None:
    """감사 자료의 서명과 내용을 확인합니다. 이상이 있으면 1로 끝납니다 / Check a pack, without a database."""
    from gateway.incidents.evidence_pack import check

    checked = check(file.read_bytes(), public_key)
    if json:
        about = {
            name: checked.manifest.get(name) for name in ("format", "institution", "from", "to", "made_at")
        }
        found = {"ok": checked.ok, "public_key": checked.public_key, "seals": checked.seals}
        print_json(found | about | {"problems": list(checked.problems)})
        raise typer.Exit(Exit.OK if checked.ok else Exit.FOUND)
    if not checked.ok:
        lines = "\n".join(f"  {problem}" for problem in checked.problems)
        fail(f"확인되지 않습니다:\n{lines}", "The pack does not check.", Exit.FOUND)
    say(
        f"이상 없음: {checked.manifest['from']} ~ {checked.manifest['to']}, 봉인 {checked.seals}개.",
        f"The pack checks, signed by {checked.public_key}."
        + ("" if public_key else " Compare this key with the one the institution publishes."),
    )


def compare_evidence(file: FileArgument, config: ConfigOption = None, json: JsonOption = False) -> None:
    """허용 목록과 기관 규칙이 지금 설정과 같은지 봅니다. 다르면 1로 끝납니다 / Compare the digests."""
    from gateway.incidents.evidence_digests import compared
    from gateway.incidents.evidence_pack import NoPack

    settings = settings_for(config)
    try:
        found = dict(compared(file.read_bytes(), config_of(settings), settings.keyring()))
    except NoPack:
        fail(
            "감사 자료가 아니거나 예전 형식입니다.",
            "No evidence pack, or one of an older format.",
            Exit.FOUND,
        )
    if json:
        print_json({"same": found})
    else:
        for what, same in found.items():
            typer.echo(f"{_COMPARED[same]}  {what}")
    if not all(found.values()):
        raise typer.Exit(Exit.FOUND)


def evidence_key(config: ConfigOption = None) -> None:
    """감사 자료를 확인할 공개키를 출력합니다. 누리집 등에 공개하세요 / Print the public key; publish it."""
    from gateway.incidents.evidence_pack import signing_key
    from gateway.keyring import Purpose

    key = settings_for(config).keyring().current(Purpose.EVIDENCE).key
    typer.echo(signing_key(key).public_key().public_bytes_raw().hex())
