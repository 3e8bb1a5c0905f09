from __future__ import annotations

import io
import re
from types import MappingProxyType

import pytest
from rich.console import Console

from billing.money import NANO
from billing.store import Savings
from gateway.demo import show
from gateway.demo.books import CLASSES, Charge, GatewayBooks, ProviderBooks
from gateway.demo.data import Ask
from gateway.demo.logins import Login
from gateway.demo.proof import Check
from gateway.demo.traffic import Reply

TOKENS = MappingProxyType(
    dict.fromkeys(CLASSES, 0)
    | {"input": 1000, "cache_read": 20, "cache_write": 3, "output": 400, "reasoning": 50}
)
MASKED = Ask(1, "HJ-CM", "gpt", "김하늘 님께 답하는 글", "masked", stream=False, withheld=("김하늘",))
BLOCKED = Ask(2, "HJ-IS", "gpt", "[대외비] 계획", "blocked", stream=False, withheld=("계획",))
REPLIES = (
    Reply(MASKED, "r1", text="김하늘 님, 답변입니다", served_by="gpt", verdict="mask"),
    Reply(
        BLOCKED,
        "r2",
        status=400,
        error={"code": "sensitive_data_blocked", "message": "보낼 수 없습니다 [bold]"},
    ),
)
BOOKS = GatewayBooks(
    frozenset({"a1"}),
    (Charge("a1", "r1", "HJ-CM", "gpt", "external", "success", 12_340_000_000, TOKENS),),
    {},
)


@pytest.fixture
def console():
    return Console(file=io.StringIO(), width=120)


def printed(console: Console) -> str:
    return console.file.getvalue()


def test_the_table_has_a_row_for_each_department_and_their_sum(console):
    show.departments(console, REPLIES, BOOKS, {"HJ-CM": "총무과", "HJ-IS": "인사과"})
    rows = {line.split()[0]: line.split()[1:] for line in printed(console).splitlines() if line.split()}
    assert rows["총무과"] == ["1", "1,000", "20", "3", "400", "50", "12.34", "1", "0", "0"]
    assert rows["인사과"] == ["1", "0", "0", "0", "0", "0", "0.00", "0", "0", "1"]
    assert rows["합계"] == ["2", "1,000", "20", "3", "400", "50", "12.34", "1", "0", "1"]


def test_examples_show_what_left_and_what_came_back(console):
    providers = ProviderBooks({}, ("a1",), ("user\n⟦PERSON_1⟧ 님께 답하는 글",))
    show.examples(console, REPLIES, BOOKS, providers)
    assert "⟦PERSON_1⟧ 님께 답하는 글" in printed(console)
    assert "김하늘 님, 답변입니다" in printed(console)
    assert "보낼 수 없습니다 [bold]" in printed(console), "nothing of an answer is read as markup"


def test_a_simulated_model_is_marked_and_a_change_of_model_is_named():
    routed = Reply(MASKED, "r", served_by="haechi-local", verdict="route")
    assert show.one(routed, "총무과") == "총무과 · gpt (simulated) → haechi-local · 내부 모델로 전환"


def test_savings_compare_the_meter_with_seats(console):
    active = Savings(1, 2, 2, 30_000, 12 * NANO)
    show.saved(console, active, Savings(1, 365, 2, 30_000, 12 * NANO))
    assert "쓴 직원 2명 구독 60,000원 · 차이 59,988원" in printed(console)
    assert "행정국 전원 365명 구독 10,950,000원" in printed(console)


def test_cost_at_unverified_prices_is_said(console):
    show.unverified(console, BOOKS, {"gpt"})
    assert "12.34원은 미확인 단가(모델 1개)" in printed(console)


def test_a_failed_check_shows_what_did_not_agree(console):
    show.proof(console, [Check("같음", "equal"), Check("다름", "differs", ("총무과 output: 5 ≠ 6",))])
    assert "✓ 같음" in printed(console)
    assert "✗ 다름" in printed(console)
    assert "5 ≠ 6" in printed(console)


def test_next_steps_can_be_copied_as_they_are(console):
    show.next_steps(console, "http://127.0.0.1:8080", "hk-secret", ".demo")
    assert "-H 'Authorization: Bearer hk-secret'" in printed(console)
    assert '"messages": [{"role": "user", "content": "Say hello to Seoul."}]}\'' in printed(console)


def test_each_role_has_a_login_to_try(console):
    logins = [Login("staff", "pass-word-1", "김하늘"), Login("auditor", "pass-word-1", "시연")]
    show.next_steps(console, "http://127.0.0.1:8080", "hk-secret", ".demo", logins)
    assert "http://127.0.0.1:8080/console" in printed(console)
    assert re.search(r"staff +pass-word-1 +김하늘", printed(console))
    assert re.search(r"auditor +pass-word-1", printed(console))
