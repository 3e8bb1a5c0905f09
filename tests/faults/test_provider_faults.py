"""However a provider fails, streaming or not, alone or not: what the client sees, who was asked, what was charged.

The fault server's own ledger is the judge: every attempt that it saw has exactly one charge, and any
further charge is `not_sent`.
"""

from __future__ import annotations

import json
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.faults.conftest import OF_THE_CLIENT
from tests.faults.faults import FAULTS
from tests.faults.server import Addresses

if TYPE_CHECKING:
    import httpx

    from tests.faults.server import FaultServer
    from tests.journeys.conftest import Gateway


class Seen(NamedTuple):
    """What a client sees of a model with this one deployment, and how each attempt is charged.

    `code` None: a whole answer. A status of 200 with a code: an error event in a stream that had begun.
    `last`: nobody else is asked either.
    """

    status: int
    code: str | None
    attempts: int
    outcome: str
    source: str
    last: bool = False


def answered(source: str = "reported", attempts: int = 1) -> Seen:
    return Seen(200, None, attempts, "success", source)


REFUSED = ("refused_by_provider", "none")
BROKEN = ("broken", "estimated")
NO_CONNECTION = Seen(502, "upstream_unavailable", 3, "not_sent", "none")
DOWN = Seen(502, "upstream_unavailable", 3, *REFUSED)
BROKEN_OFF = Seen(502, "upstream_broken", 3, *BROKEN)
BROKEN_IN_STREAM = Seen(200, "upstream_broken", 1, *BROKEN)
TOO_SLOW = Seen(504, "upstream_timeout", 1, "timeout", "estimated")
NONSENSE = Seen(502, "upstream_protocol_error", 1, "error", "estimated")

EXPECTED: dict[str, tuple[Seen, Seen]] = {
    # fault: (whole answer, stream)
    "refused": (NO_CONNECTION, NO_CONNECTION),
    "hanging": (NO_CONNECTION, NO_CONNECTION),
    "unencrypted": (NO_CONNECTION, NO_CONNECTION),
    "untrusted": (NO_CONNECTION, NO_CONNECTION),
    "unknown": (NO_CONNECTION, NO_CONNECTION),
    "fine": (answered(), answered()),
    "done-missing": (answered(), answered()),
    "end-after-done": (answered(), answered()),
    "open-after-done": (answered(), answered()),
    "pings-after-done": (answered(), answered()),
    "duplicated-chunks": (answered(), answered()),
    "usage-missing": (answered("estimated"), answered("estimated")),
    "usage-null": (answered("estimated"), answered("estimated")),
    "flaky": (answered(attempts=2), answered(attempts=2)),
    "rate-limited-briefly": (answered(attempts=2), answered(attempts=2)),
    "rate-limited-until": (answered(attempts=2), answered(attempts=2)),
    "rate-limited": (
        Seen(429, "upstream_rate_limited", 1, *REFUSED),
        Seen(429, "upstream_rate_limited", 1, *REFUSED),
    ),
    "reset-before-headers": (
        Seen(502, "upstream_unavailable", 3, *BROKEN),
        Seen(502, "upstream_unavailable", 3, *BROKEN),
    ),
    "reset-after-headers": (BROKEN_OFF, BROKEN_OFF),
    "reset-mid-stream": (BROKEN_OFF, BROKEN_IN_STREAM),
    "truncated-chunked": (BROKEN_OFF, BROKEN_IN_STREAM),
    "content-length-too-long": (answered(), BROKEN_IN_STREAM),
    "content-length-too-short": (NONSENSE, NONSENSE),
    "hang-before-headers": (TOO_SLOW, TOO_SLOW),
    "hang-before-first-byte": (TOO_SLOW, TOO_SLOW),
    "hang-mid-stream": (TOO_SLOW, TOO_SLOW._replace(status=200)),
    "drip": (TOO_SLOW, TOO_SLOW),
    "cut-after-text": (NONSENSE, BROKEN_IN_STREAM),
    "truncated-json": (NONSENSE, NONSENSE),
    "invalid-utf8": (NONSENSE, NONSENSE),
    "gzip-bomb": (NONSENSE, NONSENSE),
    "endless-body": (NONSENSE, NONSENSE),
    "endless-headers": (NONSENSE, NONSENSE),
    "html-200": (NONSENSE, NONSENSE),
    "html-502": (DOWN, DOWN),
    "html-504": (DOWN, DOWN),
    "internal": (DOWN, DOWN),
    "error-in-200": (DOWN, DOWN),
    "error-event-mid-stream": (DOWN, Seen(200, "upstream_unavailable", 1, *BROKEN)),
    "unauthorised": (
        Seen(502, "upstream_rejected", 1, *REFUSED),
        Seen(502, "upstream_rejected", 1, *REFUSED),
    ),
    "bad-request": (
        Seen(502, "upstream_rejected", 1, *REFUSED, last=True),
        Seen(502, "upstream_rejected", 1, *REFUSED, last=True),
    ),
}


def test_every_fault_is_expected_to_end_in_some_way() -> None:
    assert set(FAULTS) | set(Addresses.__dataclass_fields__) == set(EXPECTED) | OF_THE_CLIENT


@pytest.mark.parametrize("way", ["whole", "stream"])
@pytest.mark.parametrize("fault", EXPECTED)
def test_a_fault_of_the_only_deployment(gateway: Gateway, faults: FaultServer, fault: str, way: str) -> None:
    expected = EXPECTED[fault][way == "stream"]
    before = len(faults.seen)
    response = ask(gateway, f"{fault}/one/{way}")

    _check_answer(response, expected, way)
    charges = gateway.charges(response.headers["x-request-id"])
    _check_charges(charges, faults.attempts()[before:])
    assert len(charges) == expected.attempts
    assert charges[-1]["outcome"] == expected.outcome
    assert charges[-1]["source"] == expected.source
    if expected.code is not None:
        assert {charge["outcome"] for charge in charges} == {expected.outcome}


@pytest.mark.parametrize("way", ["whole", "stream"])
@pytest.mark.parametrize("fault", EXPECTED)
def test_a_fault_of_the_first_of_two_deployments(
    gateway: Gateway, faults: FaultServer, fault: str, way: str
) -> None:
    alone = EXPECTED[fault][way == "stream"]
    committed = alone.status == 200 and alone.attempts == 1
    expected = alone if committed or alone.last else answered(attempts=2)
    before = len(faults.seen)
    response = ask(gateway, f"{fault}/two/{way}")

    _check_answer(response, expected, way)
    charges = gateway.charges(response.headers["x-request-id"])
    _check_charges(charges, faults.attempts()[before:])
    assert len(charges) == expected.attempts
    if expected.attempts == 2:
        assert charges[1]["deployment_id"].endswith("-2")
        assert (charges[1]["outcome"], charges[1]["source"]) == ("success", "reported")
        if response.status_code == 200:
            assert response.headers["x-haechi-attempts"] == "2"


def ask(gateway: Gateway, model: str, **more: Any) -> httpx.Response:
    content = f"도로 점용 허가 절차를 두 문장으로 설명해 주세요. ({model})"
    body = {
        "model": model,
        "messages": [{"role": "user", "content": content}],
        "stream": model.endswith("stream"),
    }
    return gateway.post({**body, **more})


def _check_answer(response: httpx.Response, expected: Seen, way: str) -> None:
    assert response.status_code == expected.status, response.text
    assert "SECRET UPSTREAM WORDS" not in response.text
    assert "<html" not in response.text
    if expected.status != 200 or way == "whole":
        error = response.json().get("error")
        assert (error["code"] if error else None) == expected.code
        if error:
            assert any("가" <= c <= "힣" for c in error["message"])
        return
    data = [line[6:] for line in response.text.splitlines() if line.startswith("data: ")]
    if expected.code is None:
        assert data[-1] == "[DONE]"
        return
    assert "[DONE]" not in data
    assert json.loads(data[-1])["error"]["code"] == expected.code
    assert all(c["finish_reason"] is None for line in data[:-1] for c in json.loads(line)["choices"])


def _check_charges(charges: list[dict[str, Any]], seen: list[str]) -> None:
    """One charge per attempt the provider saw; the rest proven unsent; nothing free that was estimated."""
    sent = [charge for charge in charges if charge["outcome"] != "not_sent"]
    # endless headers and the like may be seen by the server after the gateway gave up: order is not promised
    assert sorted(charge["attempt_id"] for charge in sent) == sorted(seen)
    for charge in charges:
        assert charge["kind"] == "charge"
        assert (charge["amount_nano_krw"] > 0) == (charge["source"] in ("reported", "estimated"))
        if charge["source"] == "estimated":
            assert charge["input"] > 0


def test_a_rate_limit_of_the_provider_names_its_retry_after_and_is_kept(
    gateway: Gateway, faults: FaultServer
) -> None:
    """The first request is told by the provider, the second by the gateway, without asking again."""
    text = {way: ask(gateway, f"rate-limited/one/{way}") for way in ("whole", "stream")}
    asked = len(faults.seen)
    again = ask(gateway, "rate-limited/one/whole")

    assert {int(response.headers["retry-after"]) for response in text.values()} <= set(range(1, 8))
    assert again.json()["error"]["code"] == "model_resting"
    assert 1 <= int(again.headers["retry-after"]) <= 7
    assert len(faults.seen) == asked


def test_no_case_is_missing() -> None:
    cases = list(product(EXPECTED, ("whole", "stream"), ("one", "two")))
    assert len(EXPECTED) >= 24
    assert len(cases) == 4 * len(EXPECTED)
