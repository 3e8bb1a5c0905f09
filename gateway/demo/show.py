"""What the demo prints: Korean first, English behind. Formats; decides nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from billing.money import won
from gateway.demo.books import TOKEN_CLASSES, tokens_by_department
from gateway.demo.local_llm import MODEL_ID as LOCAL_MODEL
from gateway.demo.proof import MASK, how

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from rich.console import Console

    from billing.store import Savings
    from gateway.demo.books import GatewayBooks, ProviderBooks
    from gateway.demo.logins import Login
    from gateway.demo.proof import Check
    from gateway.demo.traffic import Reply

COLUMNS = (
    *("부서", "요청", "입력", "캐시\n읽기", "캐시\n쓰기", "출력", "추론", "비용\n(원)"),
    *("가림", "내부\n전환", "차단"),
)
COST = 7
ENGLISH = (
    "department | requests | tokens: input, cache read, cache write, output, reasoning"
    " | won | masked | routed in house | stopped"
)


OUTCOMES = {
    "answered": "답변",
    "masked": "가려서 답변",
    "routed": "내부 모델로 전환",
    "blocked": "차단",
    "refused": "거절",
}


def one(reply: Reply, department: str) -> str:
    """Tell of one request in a line; models that are simulated are marked."""
    asked = reply.ask.model if reply.ask.model == LOCAL_MODEL else f"{reply.ask.model} (simulated)"
    served = f" → {reply.served_by}" if reply.served_by and reply.served_by != reply.ask.model else ""
    return f"{department} · {asked}{served} · {OUTCOMES[how(reply)]}"


def examples(
    console: Console, replies: Sequence[Reply], gateway: GatewayBooks, providers: ProviderBooks
) -> None:
    """Print what a member of staff saw: one prompt masked, one stopped, one sent in house."""
    console.rule("예시 / examples")
    told = [reply for reply in replies if reply.ask.withheld]
    chosen = {how(reply): reply for reply in sorted(told, key=lambda r: -r.ask.number)}
    if masked := chosen.get("masked"):
        _masked(console, masked, gateway, providers)
    if blocked := chosen.get("blocked"):
        _line(console, "차단 stopped", blocked.ask.prompt)
        _line(console, "  안내 reply", str((blocked.error or {}).get("message", "")))
    if routed := chosen.get("routed"):
        _line(console, "전환 routed", routed.ask.prompt)
        _line(console, "  답한 모델", f"{routed.ask.model} → {routed.served_by}")


def _masked(console: Console, reply: Reply, gateway: GatewayBooks, providers: ProviderBooks) -> None:
    attempts = {charge.request_id: charge.attempt_id for charge in gateway.charges}
    arrived = dict(zip(providers.asked, providers.received, strict=True)).get(
        attempts.get(reply.request_id), ""
    )
    left = next((line for line in arrived.splitlines() if MASK in line), "")
    came_back = [line for line in reply.text.splitlines() if any(v in line for v in reply.ask.withheld)]
    _line(console, "원문 written", reply.ask.prompt)
    _line(console, "  나간 글 left", left)
    _line(console, "  받은 답 answer", " … ".join(came_back))


def _line(console: Console, title: str, text: str) -> None:
    short = text if len(text) <= 300 else text[:300] + "…"
    console.print(f"[bold]{title}[/bold]  {escape(short)}", highlight=False)


def unverified(console: Console, gateway: GatewayBooks, models: Collection[str]) -> None:
    """Say how much of the cost rests on prices that nobody could verify."""
    amount = sum(charge.amount_nano_krw for charge in gateway.charges if charge.model_id in models)
    console.print(
        f"※ 비용 가운데 {won(amount):,.2f}원은 미확인 단가(모델 {len(models)}개)로 계산했고, "
        "환율은 시연용입니다 "
        "[dim]part of the cost rests on unverified prices; the exchange rate is the demo's[/dim]"
    )


def departments(
    console: Console, replies: Sequence[Reply], gateway: GatewayBooks, names: Mapping[str, str]
) -> None:
    """Print the table: a row per department and their sum."""
    table = Table(
        title="부서별 사용량과 비용 (모델 28종은 시뮬레이터) / 28 models simulated",
        caption=ENGLISH,
        show_footer=True,
        box=SIMPLE_HEAD,
        padding=(0, 1),
        collapse_padding=True,
        pad_edge=False,
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
    if column == COST:
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
            console.print(f"    [red]{escape(fault)}[/red]")


def next_steps(console: Console, url: str, key: str, folder: str, logins: Sequence[Login] = ()) -> None:
    """Print how to go on with the servers that are up."""
    console.rule("이어서 해 보기 / go on")
    console.print(_logins(url, logins), markup=False, highlight=False, soft_wrap=True)
    console.print(
        _NEXT_STEPS.format(url=url, key=key, folder=folder), markup=False, highlight=False, soft_wrap=True
    )


def _logins(url: str, logins: Sequence[Login]) -> str:
    """One line for each role: who signs in as it, and with what."""
    lines = [f"콘솔 console  {url}/console"]
    lines += [f"  {one.login:<14} {one.password}   {one.name}" for one in logins]
    return "\n".join([*lines, ""])


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
