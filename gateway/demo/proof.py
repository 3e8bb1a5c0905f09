"""The proof that ends the demo: the gateway's books agree with the providers', and nothing leaked.

Pure: evidence in, checks out. Each check says in Korean and English what it compared and how much.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from gateway.demo.books import tokens_by_department

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gateway.demo.books import Charge, GatewayBooks, ProviderBooks
    from gateway.demo.traffic import Reply

IN_HOUSE = "in_house"
MASK = "⟦"


class Check(NamedTuple):
    korean: str
    english: str
    faults: tuple[str, ...] = ()
    """What did not agree: ids and counts, never prompt text. Empty: it agrees."""

    @property
    def ok(self) -> bool:
        return not self.faults


@dataclass(frozen=True, slots=True)
class Evidence:
    """`local_*` are llama.cpp's own counts; `reported` is the usage report by department (input, output)."""

    replies: Sequence[Reply]
    gateway: GatewayBooks
    providers: ProviderBooks
    local_prompt: int
    local_generated: int
    reported: Mapping[str, tuple[int, int]]
    ledger_problems: Sequence[str]
    ledger_rows: int


def prove(evidence: Evidence) -> tuple[Check, ...]:
    return (
        _as_expected(evidence.replies),
        _one_charge_each(evidence.gateway),
        _same_attempts(evidence),
        _same_tokens(evidence),
        _same_local_tokens(evidence),
        _clients_were_told_the_charge(evidence),
        _report_matches(evidence),
        _nothing_leaked(evidence),
        _masks_came_back(evidence.replies),
        _chain_holds(evidence),
    )


def _as_expected(replies: Sequence[Reply]) -> Check:
    """Every ask ended as its file says: an answer, a refusal, or another model that is named.

    A mask too many costs nothing but a stumble in the text; it is counted and shown, not a fault.
    """
    careful = [reply for reply in replies if (reply.ask.expect, how(reply)) == ("answered", "masked")]
    wrong = tuple(
        f"{r.ask.unit} {r.ask.model}: {r.ask.expect} ≠ {how(r)} (HTTP {r.status}, {r.request_id})"
        for r in replies
        if how(r) != r.ask.expect and r not in careful
    )
    aside = f" (그중 {len(careful)}건은 예상보다 조심스럽게 가림)" if careful else ""
    return Check(f"요청 {len(replies)}건이 정한 대로 끝남{aside}", "every request ended as it must", wrong)


def how(reply: Reply) -> str:
    """Tell how an ask ended, in the words of `Ask.expect`."""
    if reply.error is not None:
        return "blocked" if reply.blocked else "refused"
    return {"mask": "masked", "route": "routed"}.get(reply.verdict, "answered")


def _one_charge_each(gateway: GatewayBooks) -> Check:
    charged = [charge.attempt_id for charge in gateway.charges]
    faults = [f"charge 없음: {attempt}" for attempt in sorted(gateway.dispatched - set(charged))]
    faults += [f"dispatch 없음: {attempt}" for attempt in sorted(set(charged) - gateway.dispatched)]
    if len(charged) != len(set(charged)):
        faults.append("한 시도에 두 번 과금")
    count = len(gateway.dispatched)
    return Check(f"시도 {count}건마다 과금 1건", "exactly one charge for each attempt", tuple(faults))


def _same_attempts(evidence: Evidence) -> Check:
    """What the gateway says it sent outside is what arrived there: nothing more, nothing less."""
    external = sorted(charge.attempt_id for charge in _external(evidence.gateway))
    arrived = sorted(str(attempt) for attempt in evidence.providers.asked)
    faults = (f"보냄 {len(external)} ≠ 받음 {len(arrived)}",) if external != arrived else ()
    return Check(
        f"외부로 보낸 {len(external)}건 = 시뮬레이터가 받은 {len(arrived)}건",
        "attempts sent = attempts received, by id",
        faults,
    )


def _same_tokens(evidence: Evidence) -> Check:
    """Per department and token class, joined by attempt id."""
    charges = _external(evidence.gateway)
    ours = tokens_by_department((c.department_id, c.tokens) for c in charges)
    nothing: Mapping[str, int] = {}
    theirs = tokens_by_department(
        (c.department_id, evidence.providers.answered.get(c.attempt_id, nothing)) for c in charges
    )
    faults = tuple(
        f"{department} {name}: {ours[department][name]} ≠ {theirs[department][name]}"
        for department in ours
        for name in ours[department]
        if ours[department][name] != theirs[department][name]
    )
    total = sum(sum(tokens.values()) for tokens in ours.values())
    return Check(
        f"{len(ours)}개 부서의 토큰 {total:,}개가 종류별로 시뮬레이터 장부와 같음",
        "tokens per department and class = the simulator's ledger",
        faults,
    )


def _same_local_tokens(evidence: Evidence) -> Check:
    charges = [charge for charge in evidence.gateway.charges if charge.zone == IN_HOUSE]
    ours = (sum(c.prompt_tokens for c in charges), sum(c.completion_tokens for c in charges))
    theirs = (evidence.local_prompt, evidence.local_generated)
    return Check(
        f"haechi-local 입력 {ours[0]:,}개·출력 {ours[1]:,}개가 llama.cpp 자체 집계와 같음",
        "in-house tokens = llama.cpp's own counters",
        () if ours == theirs else (f"{ours} ≠ {theirs}",),
    )


def _clients_were_told_the_charge(evidence: Evidence) -> Check:
    charged = {charge.request_id: charge for charge in evidence.gateway.charges}
    told = [reply for reply in evidence.replies if reply.usage is not None]
    faults = tuple(reply.request_id for reply in told if not _agrees(reply, charged.get(reply.request_id)))
    return Check(
        f"직원이 받은 사용량 {len(told)}건이 과금 행과 같음", "usage told to the client = charge", faults
    )


def _agrees(reply: Reply, charge: Charge | None) -> bool:
    return charge is not None and reply.usage == (charge.prompt_tokens, charge.completion_tokens)


def _report_matches(evidence: Evidence) -> Check:
    ours: dict[str, tuple[int, int]] = {}
    for charge in evidence.gateway.charges:
        before = ours.get(charge.department_id, (0, 0))
        ours[charge.department_id] = (
            before[0] + charge.prompt_tokens,
            before[1] + charge.completion_tokens,
        )
    faults = () if ours == dict(evidence.reported) else (f"{ours} ≠ {dict(evidence.reported)}",)
    return Check("부서별 보고서 = 장부의 행", "the usage report = the rows of the ledger", faults)


def _nothing_leaked(evidence: Evidence) -> Check:
    """Search all that arrived outside for refused prompts, and for values that had to stay inside."""
    arrived = [_plain(text) for text in evidence.providers.received]
    stopped = [reply for reply in evidence.replies if how(reply) in {"blocked", "refused", "routed"}]
    faults = tuple(
        f"{reply.ask.unit} {reply.ask.model} ({reply.request_id})"
        for reply in evidence.replies
        if any(_plain(secret) in text for secret in _secrets(reply) for text in arrived)
    )
    values = sum(len(reply.ask.withheld) for reply in evidence.replies)
    return Check(
        f"막거나 내부로 돌린 {len(stopped)}건과 지켜야 할 값 {values}개가 외부 기록에 없음",
        "no stopped prompt and no withheld value reached a provider",
        faults,
    )


def _secrets(reply: Reply) -> Iterator[str]:
    if how(reply) in {"blocked", "refused", "routed"}:
        yield reply.ask.prompt
    yield from reply.ask.withheld


def _plain(text: str) -> str:
    """Fold width and spacing, so that a value in another dress is found too."""
    return "".join(unicodedata.normalize("NFKC", text).split())


def _masks_came_back(replies: Sequence[Reply]) -> Check:
    """Where values were masked, the answer that reached the member of staff holds them again."""
    masked = [reply for reply in replies if how(reply) == "masked"]
    faults = [r.request_id for r in masked if not all(value in r.text for value in r.ask.withheld)]
    faults += [r.request_id for r in replies if MASK in r.text]
    return Check(f"가린 답변 {len(masked)}건에서 값이 되살아남", "masked values were restored", tuple(faults))


def _chain_holds(evidence: Evidence) -> Check:
    return Check(
        f"원장 {evidence.ledger_rows}행의 위변조 검증 통과",
        "haechi ledger verify",
        tuple(evidence.ledger_problems),
    )


def _external(gateway: GatewayBooks) -> list[Charge]:
    return [charge for charge in gateway.charges if charge.zone != IN_HOUSE]
