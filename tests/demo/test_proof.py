"""The proof must fail wherever the books disagree: each check is shown one lie."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

import pytest

from gateway.demo.books import CLASSES, Charge, GatewayBooks, ProviderBooks, tokens_by_department
from gateway.demo.data import Ask
from gateway.demo.proof import Evidence, prove
from gateway.demo.traffic import Reply, Usage

if TYPE_CHECKING:
    from collections.abc import Callable

OUTSIDE = {"input": 10, "cache_read": 2, "cache_write": 1, "output": 5, "reasoning": 3}
INSIDE = {"input": 7, "cache_read": 0, "cache_write": 0, "output": 4, "reasoning": 0}
MASKED = Ask(1, "총무과", "m", "김하늘 님께 답하는 글", "masked", stream=False, withheld=("김하늘",))
ROUTED = Ask(2, "인사과", "m", "[비공개] 방침 첫 문장", "routed", stream=True)
BLOCKED = Ask(
    3, "인사과", "m", "번호는 900101-1234568 입니다", "blocked", stream=False, withheld=("900101-1234568",)
)


def charge(attempt: str, request: str, unit: str, zone: str, tokens: dict[str, int]) -> Charge:
    whole = MappingProxyType(dict.fromkeys(CLASSES, 0) | tokens)
    return Charge(attempt, request, unit, "m", zone, "success", 1_000, whole)


def honest() -> Evidence:
    refusal = {"type": "sensitive_data_blocked", "code": "sensitive_data_blocked"}
    return Evidence(
        replies=(
            Reply(MASKED, "r1", text="김하늘 님, 안녕하십니까", verdict="mask", usage=Usage(13, 8)),
            Reply(ROUTED, "r2", text="a sentence", verdict="route", usage=Usage(7, 4)),
            Reply(BLOCKED, "r3", status=400, error=refusal),
        ),
        gateway=GatewayBooks(
            dispatched=frozenset({"a1", "a2"}),
            charges=(
                charge("a1", "r1", "총무과", "external", OUTSIDE),
                charge("a2", "r2", "인사과", "in_house", INSIDE),
            ),
            verdicts={},
        ),
        providers=ProviderBooks(
            answered={"a1": OUTSIDE}, asked=("a1",), received=("⟦PERSON_1⟧ 님께 답하는 글",)
        ),
        local_prompt=7,
        local_generated=4,
        reported={"총무과": (13, 8), "인사과": (7, 4)},
        ledger_problems=(),
        ledger_rows=4,
    )


def failed(evidence: Evidence) -> list[str]:
    return [check.english for check in prove(evidence) if not check.ok]


def test_honest_books_pass_every_check():
    assert failed(honest()) == []
    assert len(prove(honest())) == 10


def first_charge(evidence: Evidence, **changed: object) -> Evidence:
    one, *others = evidence.gateway.charges
    return replace(evidence, gateway=replace(evidence.gateway, charges=(one._replace(**changed), *others)))


def provider(evidence: Evidence, **changed: object) -> Evidence:
    return replace(evidence, providers=replace(evidence.providers, **changed))


def first_reply(evidence: Evidence, **changed: object) -> Evidence:
    one, *others = evidence.replies
    return replace(evidence, replies=(replace(one, **changed), *others))


LIES: dict[str, tuple[Callable[[Evidence], Evidence], str]] = {
    "a blocked prompt was answered": (
        lambda e: replace(e, replies=(*e.replies[:2], replace(e.replies[2], error=None, status=200))),
        "every request ended as it must",
    ),
    "a dispatch without a charge": (
        lambda e: replace(e, gateway=replace(e.gateway, dispatched=e.gateway.dispatched | {"a3"})),
        "exactly one charge for each attempt",
    ),
    "two charges for an attempt": (
        lambda e: replace(e, gateway=replace(e.gateway, charges=(*e.gateway.charges, e.gateway.charges[0]))),
        "exactly one charge for each attempt",
    ),
    "an attempt that the gateway does not know": (
        lambda e: provider(e, asked=("a1", None)),
        "attempts sent = attempts received, by id",
    ),
    "a token more in one class": (
        lambda e: provider(e, answered={"a1": OUTSIDE | {"output": 6}}),
        "tokens per department and class = the simulator's ledger",
    ),
    "tokens in another class with the same total": (
        lambda e: provider(e, answered={"a1": OUTSIDE | {"input": 9, "cache_read": 3}}),
        "tokens per department and class = the simulator's ledger",
    ),
    "llama.cpp counted more": (
        lambda e: replace(e, local_generated=5),
        "in-house tokens = llama.cpp's own counters",
    ),
    "the client was told less": (
        lambda e: first_reply(e, usage=Usage(12, 8)),
        "usage told to the client = charge",
    ),
    "the report lacks a department": (
        lambda e: replace(e, reported={"총무과": (13, 8)}),
        "the usage report = the rows of the ledger",
    ),
    "a withheld value arrived in full-width digits": (
        lambda e: provider(e, received=("９００１０１－１２３４５６８",)),
        "no stopped prompt and no withheld value reached a provider",
    ),
    "a routed prompt went outside": (
        lambda e: provider(e, received=("system\n[비공개] 방침 첫 문장",)),
        "no stopped prompt and no withheld value reached a provider",
    ),
    "a mask was left in an answer": (
        lambda e: first_reply(e, text="⟦PERSON_1⟧ 김하늘"),
        "masked values were restored",
    ),
    "a masked value did not come back": (
        lambda e: first_reply(e, text="안녕하십니까"),
        "masked values were restored",
    ),
    "the chain is broken": (
        lambda e: replace(e, ledger_problems=("slot 1 seq 3 changed",)),
        "haechi ledger verify",
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_named(lie):
    tell, check = LIES[lie]
    assert check in failed(tell(honest()))


def test_a_charge_in_the_wrong_department_is_a_report_that_does_not_match():
    assert "the usage report = the rows of the ledger" in failed(
        first_charge(honest(), department_id="인사과")
    )


def test_a_mask_too_many_is_shown_but_does_not_fail():
    careful = first_reply(honest(), ask=replace(MASKED, expect="answered"))
    first, *_ = prove(careful)
    assert first.ok
    assert "1건" in first.korean


def test_tokens_add_up_by_department():
    sums = tokens_by_department([("a", OUTSIDE), ("b", INSIDE), ("a", OUTSIDE)])
    assert sums["a"]["input"] == 20
    assert sums["b"]["output"] == 4
