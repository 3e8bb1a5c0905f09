"""`haechi scan`, `haechi filter eval` and `haechi transcripts`: the filter and the adapters on files."""

from __future__ import annotations

import sys
from pathlib import Path  # noqa: TC003 - Typer reads the annotation
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.common import (
    ConfigOption,
    Exit,
    JsonOption,
    config_of,
    fail,
    now,
    print_json,
    settings_for,
    show_table,
)

if TYPE_CHECKING:
    from filters.evaluate import Report

filter_app = typer.Typer(no_args_is_help=True, help="필터 평가 / measure the filter")


def register(app: typer.Typer) -> None:
    app.command()(scan)
    app.command()(transcripts)
    app.add_typer(filter_app, name="filter")


def scan(
    jsonl: Annotated[
        bool,
        typer.Option("--jsonl", help='한 줄에 {"id","text"} 또는 {"id","messages"} / one JSON object a line'),
    ] = False,
    department: Annotated[str, typer.Option(help="이 부서의 정책으로 / with this department's policy")] = "",
    config: ConfigOption = None,
) -> None:
    """표준 입력의 글을 검사해 판정과 위치를 출력합니다 / Scan standard input, print verdicts and spans.

    설정 파일을 주지 않으면 기본 정책(외부 모델 기준)을 씁니다.
    Without --config the shipped default policy towards an external zone is used.
    """
    import orjson

    from filters.engine import Engine
    from filters.inspector import Inspector
    from filters.policy import EXTERNAL, default_book
    from filters.scan import ScanInputError, scan_line

    if not jsonl:
        fail("--jsonl을 붙이세요.", "Say --jsonl.", Exit.USAGE)
    read = config_of(settings_for(config)) if config is not None else None
    book = read.policies if read else default_book()
    policy = book.for_(department, EXTERNAL, now())
    inspector = Inspector(Engine(read.custom_rules if read else ()))
    wrong = 0
    for number, line in enumerate(sys.stdin.buffer, start=1):
        if not line.strip():
            continue
        try:
            found = scan_line(orjson.loads(line), inspector, policy)
        except (orjson.JSONDecodeError, ScanInputError, AttributeError):
            wrong += 1
            korean = f'{number}행: {{"id","text"}} 또는 {{"id","messages"}}가 아닙니다'
            typer.echo(f"{korean} / line {number}: not such an object", err=True)
            continue
        sys.stdout.buffer.write(orjson.dumps(found) + b"\n")
        sys.stdout.buffer.flush()
    if wrong:
        raise typer.Exit(Exit.INPUT)


@filter_app.command("eval")
def evaluate(
    data: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="administrative.jsonl 또는 KLUE .tsv")
    ],
    held_out: Annotated[
        bool, typer.Option("--held-out", help="조정에 쓰지 않은 부분만 / only the part not used for tuning")
    ] = False,
    json: JsonOption = False,
) -> None:
    """표시된 자료로 정밀도·재현율·F1을 잽니다 / Measure precision, recall and F1 on labelled documents.

    출처가 여럿이면(KLUE: 뉴스, 영화평) 따로, 그리고 함께 / Several sources (KLUE: news, reviews) apart too.
    """
    from filters import evaluate as evaluation
    from filters.engine import Engine

    try:
        documents = list(evaluation.read(data))
    except (ValueError, KeyError) as error:
        fail(f"자료를 읽을 수 없습니다: {error}", f"Cannot read the data: {error}", Exit.INPUT)
    if held_out:
        documents = [document for document in documents if evaluation.is_held_out(document.text)]
    detect = Engine().detect
    sources = sorted({document.source for document in documents})
    apart = {
        source: evaluation.evaluate(detect, (one for one in documents if one.source == source))
        for source in (sources if len(sources) > 1 else ())
    }
    report = evaluation.evaluate(detect, documents)
    if json:
        together = {"data": str(data), **_figures_of(report)}
        print_json(together | {"sources": {source: _figures_of(one) for source, one in apart.items()}})
        return
    for source, one in apart.items():
        _show_report(f"{data.name}, {source}", one)
    _show_report(data.name, report)


def _figures_of(report: Report) -> dict[str, Any]:
    return {"documents": report.documents, "types": [row._asdict() for row in report.rows()]}


def _show_report(name: str, report: Report) -> None:
    show_table(
        ("종류", "정답", "검출", "정확 P", "정확 R", "정확 F1", "겹침 P", "겹침 R", "겹침 F1"),
        [(row[0], row[1], row[2], *(f"{figure:.3f}" for figure in row[3:])) for row in report.rows()],
        title=f"{name}: 문서 {report.documents:,}건",
    )


def transcripts(
    directory: Annotated[
        Path, typer.Argument(exists=True, file_okay=False, help="기록 폴더 / folder of recordings")
    ],
    json: JsonOption = False,
) -> None:
    """제공자 응답 기록을 어댑터로 다시 읽습니다 / Replay recorded provider answers through the adapters."""
    from gateway.cli.transcripts import transcripts as replay

    replay(directory, json=json)
