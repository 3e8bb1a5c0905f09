"""An attempt that was answered has exactly one charge, whatever its provider says and whatever breaks of ours."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from billing.errors import RowRefused
from billing.ledger import Charge
from billing.usage import UsageSource
from gateway.attempt import Attempt, Desk, Unsettled
from gateway.domain import ChatRequest, UpstreamRequest
from gateway.errors import RecordRefused
from gateway.estimates import Estimator
from gateway.media import embeddings, transcription
from gateway.providers import adapter
from gateway.providers.counting import usd
from gateway.providers.multipart import FilePart
from tests.billing.conftest import Maker
from tests.providers.exchanges import ask, deployment

if TYPE_CHECKING:
    from billing.ledger import Entry

USAGE = {"prompt_tokens": 20, "completion_tokens": 6, "total_tokens": 26}
COMPUTED = (20 * 125 + 6 * 1_000) * 13_912
"""Nano-won of USAGE, at 1.25 and 10 USD a million and 1,391.20 won a dollar."""


class Book:
    """A journal that refuses the first `refusals` charges; `charges` are those that it took."""

    def __init__(self, refusals: int = 0) -> None:
        self.refusals = refusals
        self.charges: list[Charge] = []

    def append(self, entries: tuple[Entry, ...]) -> asyncio.Future[None]:
        waiter = asyncio.get_running_loop().create_future()
        charges = [entry for entry in entries if isinstance(entry, Charge)]
        if charges and self.refusals:
            self.refusals -= 1
            waiter.set_exception(RowRefused())
        else:
            self.charges += charges
            waiter.set_result(None)
        return waiter


class Said:
    """The answer of a provider that says this."""

    status, headers = 200, dict[str, str]()

    def __init__(self, body: bytes) -> None:
        self._pieces = [body]

    async def piece(self) -> bytes:
        return self._pieces.pop() if self._pieces else b""

    async def aclose(self) -> None: ...


def settled(
    body: bytes, chat: ChatRequest | None = None, book: Book | None = None, stated: Any = None
) -> tuple[list[Charge], BaseException | None]:
    """Return the charges of an attempt that is answered with `body`, and how it ended."""
    chat, book, make, at = chat or ask(), book or Book(), Maker(), deployment()

    async def proven(request: UpstreamRequest, _deployment: object) -> UpstreamRequest:
        return request

    async def opened(*_request: object) -> Said:
        return Said(body)

    desk: Any = Desk(
        journal=book,  # type: ignore[arg-type]
        upstream=SimpleNamespace(open=opened),  # type: ignore[arg-type]
        access=SimpleNamespace(proven=proven),  # type: ignore[arg-type]
        estimator=Estimator(),
        now=make.tick,
        new_id=lambda: make.ids.next(make.now),
        drain_s=1,
        drain_tokens=1,
        unsettled=Unsettled(),
        stated=stated or (lambda _charge, _quote: None),
    )
    place: Any = SimpleNamespace(answered=lambda _s: None, failed=lambda _error: None, leave=lambda: None)
    speaking: Any = getattr(chat, "work", None) or adapter("openai")
    attempt = Attempt(desk, make.dispatch(), chat, UpstreamRequest("POST", "", {}, b""), at, speaking, place)

    async def story() -> BaseException | None:
        try:
            async for _ in attempt.events():
                pass
            await attempt.durable()
        except Exception as error:  # noqa: BLE001 - each test says which
            return error
        return None

    ended = asyncio.run(story())
    assert len(desk.unsettled) == 0
    return book.charges, ended


def answer(**usage: Any) -> bytes:
    body = {
        "id": "c",
        "model": "m",
        "choices": [{"index": 0, "message": {"content": "안녕"}, "finish_reason": "stop"}],
    }
    return json.dumps(body | {"usage": USAGE | usage}).encode()


def nested(deep: int) -> Any:
    value: Any = 1
    for _ in range(deep):
        value = [value]
    return value


@pytest.mark.parametrize(
    "odd",
    [{"x": nested(300)}, {"cost": "1E+999999"}, {"cost": "1E-999999"}, {"cost": 1e300}, {"cost": "1" * 99}],
    ids=["deep", "huge", "tiny", "float", "long"],
)
def test_a_usage_that_no_ledger_holds_is_charged_by_its_tokens(odd: dict[str, Any]) -> None:
    (charge,), ended = settled(answer(**odd))
    assert ended is None
    assert (charge.source, charge.amount_nano_krw) == (UsageSource.REPORTED, COMPUTED)


@pytest.mark.parametrize(
    "odd",
    [{"prompt_tokens": 2**52, "completion_tokens": 2**52, "total_tokens": 2**53 - 1}, {"cost": 1e15}],
    ids=["tokens", "cost"],
)
@pytest.mark.parametrize("stream", [False, True])
def test_an_amount_beyond_the_ledger_is_estimated_and_quarantined(odd: dict[str, Any], stream: bool) -> None:
    (charge,), ended = settled(answer(**odd), ask(stream=stream))
    assert ended is None
    assert (charge.source, charge.usage.quarantined) == (UsageSource.ESTIMATED, True)
    assert 0 < charge.amount_nano_krw < COMPUTED


def test_who_only_watches_stated_costs_breaks_no_answer() -> None:
    def watching(_charge: object, _quote: object) -> None:
        raise ZeroDivisionError

    (charge,), ended = settled(answer(cost=0.5), stated=watching)
    assert ended is None
    assert charge.stated_cost == usd(0.5)


@pytest.mark.parametrize(("refusals", "charges"), [(1, 1), (2, 0)])
@pytest.mark.parametrize("stream", [False, True])
def test_a_charge_that_is_refused_is_settled_once_more(refusals: int, charges: int, stream: bool) -> None:
    made, ended = settled(answer(), ask(stream=stream), Book(refusals))
    assert isinstance(ended, RecordRefused)
    assert [charge.source for charge in made] == [UsageSource.ESTIMATED] * charges


def test_a_defect_in_reading_or_estimating_costs_no_charge(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_any: object) -> None:
        raise LookupError

    monkeypatch.setattr("gateway.providers.openai_answers.Decoder.choices", broken)
    (charge,), ended = settled(answer())
    assert isinstance(ended, LookupError)
    assert charge.source is UsageSource.ESTIMATED
    monkeypatch.setattr(Estimator, "estimate", broken)
    (charge,), ended = settled(answer())
    assert isinstance(ended, LookupError)
    assert (charge.usage.input, charge.usage.output) == (1_500, 500)


EMBEDDING = json.dumps({"data": [{"index": 0, "embedding": [None, 1.0]}], "usage": {"prompt_tokens": 5}})


@pytest.mark.parametrize(
    ("form", "body"),
    [
        ("base64", EMBEDDING),
        ("json", '{"text":"a","duration":1e308}'),
        ("verbose_json", '{"text":"a","duration":1,"segments":[{"x":1}]}'),
        ("verbose_json", '{"text":"a","duration":1,"segments":[1]}'),
        ("verbose_json", '{"text":"a","duration":1,"segments":5}'),
    ],
)
def test_work_that_cannot_be_read_is_charged(form: str, body: str) -> None:
    if form == "base64":
        asked = embeddings.Surface.parse({"model": "m", "input": "안녕", "encoding_format": form})
    else:
        surface = transcription.Surface(FilePart("file", "a.wav", "audio/wav", b"x" * 1000))
        shown = [{"type": "input_audio", "filename": "a"}]
        asked = surface.parse({"model": "m", "input": shown, "response_format": form})
    charges, _ = settled(body.encode(), asked)
    assert [charge.source for charge in charges] == [UsageSource.ESTIMATED]
