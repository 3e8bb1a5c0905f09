"""`haechi ledger rollups rebuild|verify`: the daily sums that reports and pages read."""

from __future__ import annotations

import typer

from gateway.cli.common import ConfigOption, Exit, JsonOption, database, print_json, say, settings_for

app = typer.Typer(no_args_is_help=True, help="일별 집계 / daily sums")


@app.callback()
def rollups() -> None:
    """장부의 일별 집계를 확인하고 다시 만듭니다 / Check the daily sums and make them anew."""


@app.command()
def verify(json: JsonOption = False, config: ConfigOption = None) -> None:
    """모든 청구를 다시 더해 집계와 비교합니다. 다르면 1로 끝납니다 / Add every charge again and compare."""
    from billing.store.rollups import bring_up_to_date, verify_sums

    with database(settings_for(config)) as engine:
        bring_up_to_date(engine)
        report = verify_sums(engine)
    if json:
        print_json(
            {"ok": report.ok, "sums": report.sums, "behind": report.behind, "differences": report.differences}
        )
    else:
        for difference in report.differences:
            typer.echo(difference, err=True)
        state = "장부와 같습니다 / the same as the ledger" if report.ok else "장부와 다릅니다 / differ"
        say(
            f"집계 {report.sums:,}줄이 {state}.",
            f"{report.sums:,} sums, {report.behind} rows not counted yet",
        )
    if not report.ok:
        raise typer.Exit(Exit.FOUND)


@app.command()
def rebuild(config: ConfigOption = None) -> None:
    """집계를 지우고 장부에서 다시 만듭니다 / Make the sums anew from the ledger."""
    from billing.store.rollups import rebuild as make_anew
    from billing.store.usage_queries import totals

    with database(settings_for(config)) as engine:
        make_anew(engine)
        found = totals(engine)
    say(
        f"집계를 다시 만들었습니다: 시도 {found.attempts:,}건, {found.cost_won:,.2f}원",
        f"Made anew: {found.attempts:,} attempts, {found.cost_won:,.2f} won",
    )
