"""What the demo prints: Korean first, English behind. Formats; decides nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from billing.money import won
from gateway.demo.books import TOKEN_CLASSES, tokens_by_department
from gateway.demo.proof import how

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from billing.store import Savings
    from gateway.demo.books import GatewayBooks
    from gateway.demo.proof import Check
    from gateway.demo.traffic import Reply

COLUMNS = (
    "부서",
    "요청",
    "입력",
    "캐시읽기",
    "캐시쓰기",
    "출력",
    "추론",
    "비용(원)",
    "가림",
    "내부전환",
    "차단",
)
ENGLISH = (
    "department | requests | tokens: input, cache read, cache write, output, reasoning"
    " | won | masked | routed in house | stopped"
)


def departments(
    console: Console, replies: Sequence[Reply], gateway: GatewayBooks, names: Mapping[str, str]
) -> None:
    """Print the table: a row per department and their sum."""
    table = Table(
        title="부서별 사용량과 비용 / usage and cost by department", caption=ENGLISH, show_footer=True
    )
    tokens = tokens_by_department((c.department_id, c.tokens) for c in gateway.charges)
    rows = [_row(unit, replies, gateway, tokens.get(unit, {})) for unit in _units(replies)]
    sums = [sum(column) for column in zip(*rows, strict=True)]
    for number, title in enumerate(COLUMNS):
        footer = "합계" if number == 0 else _number(number, sums[number - 1])
        table.add_column(title, footer=footer, justify="left" if number == 0 else "right", no_wrap=True)
    for unit, row in zip(_units(replies), rows, strict=True):
        table.add_row(names.get(unit, unit), *(_number(n, value) for n, value in enumerate(row, 1)))
    console.print(table)


def _units(replies: Sequence[Reply]) -> list[str]:
    return list(dict.fromkeys(reply.ask.unit for reply in sorted(replies, key=lambda r: r.ask.number)))


def _row(unit: str, replies: Sequence[Reply], gateway: GatewayBooks, tokens: Mapping[str, int]) -> list[int]:
    """Return the figures of one department, in the order of COLUMNS; the cost in nano-won."""
    mine = [how(reply) for reply in replies if reply.ask.unit == unit]
    cost = sum(c.amount_nano_krw for c in gateway.charges if c.department_id == unit)
    classes = [tokens.get(name, 0) for name in TOKEN_CLASSES]
    stopped = mine.count("blocked") + mine.count("refused")
    return [len(mine), *classes, cost, mine.count("masked"), mine.count("routed"), stopped]


def _number(column: int, value: int) -> str:
    if COLUMNS[column] == "비용(원)":
        return f"{won(value):,.2f}"
    return f"{value:,}"


def saved(console: Console, active: Savings, everybody: Savings) -> None:
    """Print what the same month would have cost in seats."""
    for english, savings in (("active people", active), ("all of 행정국", everybody)):
        who = "쓴 직원" if savings is active else "행정국 전원"
        console.print(
            f"절감 / savings: 사용량 {savings.metered_krw:,.0f}원 · "
            f"{who} {savings.people}명 구독 {savings.seats_krw:,}원 · "
            f"차이 [bold]{savings.saved_krw:,.0f}원[/bold] ({savings.saved_percent}%) [dim]{english}[/dim]"
        )


def proof(console: Console, checks: Sequence[Check]) -> None:
    console.rule("증명 / proof")
    for check in checks:
        mark = "[green]✓[/green]" if check.ok else "[red]✗[/red]"
        console.print(f"{mark} {check.korean} [dim]{check.english}[/dim]")
        for fault in check.faults[:5]:
            console.print(f"    [red]{fault}[/red]", markup=True)


def next_steps(console: Console, url: str, key: str, folder: str) -> None:
    """Print how to go on with the servers that are up."""
    console.rule("이어서 해 보기 / go on")
    console.print(
        _NEXT_STEPS.format(url=url, key=key, folder=folder), markup=False, highlight=False, soft_wrap=True
    )


_NEXT_STEPS = """\
주소 URL    {url}
키 key      {key}
문서 docs   {url}/docs

curl
  curl -N {url}/v1/chat/completions \\
    -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' \\
    -d '{{"model": "haechi-local", "stream": true,
         "messages": [{{"role": "user", "content": "Say hello to Seoul."}}]}}'

python (openai)
  from openai import OpenAI
  client = OpenAI(base_url="{url}/v1", api_key="{key}")
  stream = client.chat.completions.create(
      model="haechi-local", stream=True, messages=[{{"role": "user", "content": "Say hello to Seoul."}}])
  for chunk in stream: print(chunk.choices[0].delta.content or "", end="")

보고서 reports
  .venv/bin/haechi report usage --by department --config {folder}/haechi.toml
  .venv/bin/haechi report savings --seat-price 30000 --config {folder}/haechi.toml
  .venv/bin/haechi ledger verify --config {folder}/haechi.toml

끝내려면 Ctrl-C: 서버가 모두 멈춥니다 / Ctrl-C stops every server"""
