"""What an answer says about itself in its headers, which must be fit for HTTP whatever a client calls its fields."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from gateway.domain import Choice, Completion, Text
from gateway.metered import answer_headers, replayed
from gateway.surfaces import messages


@pytest.mark.parametrize(
    ("dropped", "said"),
    [
        (("logit_bias", "seed"), "logit_bias,seed"),
        (("한글이름", "seed"), "?,seed"),
        (("a\r\nset-cookie: x", "a,b", "", "a" * 65), "?,?,?,?"),
        (tuple(map(str, range(10, 99))), ",".join(map(str, range(10, 30)))),
    ],
)
def test_the_names_of_dropped_fields_are_the_clients_and_only_plain_ones_are_repeated(
    dropped: tuple[str, ...], said: str
) -> None:
    receipt = SimpleNamespace(counts={})
    way: Any = SimpleNamespace(
        model=SimpleNamespace(id="m"),
        verdict=SimpleNamespace(receipt=receipt, action=SimpleNamespace(word="allow")),
    )
    deployment = SimpleNamespace(zone="external", simulated=False)
    attempt: Any = SimpleNamespace(deployment=deployment, dropped=dropped)
    call: Any = SimpleNamespace(label="")
    assert answer_headers(way, attempt, 1, call)["x-haechi-dropped"] == said


def test_an_answer_that_is_given_again_ends_in_the_words_of_its_provider() -> None:
    said = {"stop_reason": "stop_sequence", "stop_sequence": "끝"}
    completion = Completion("1", "m", (Choice(0, (Text("가"),), "stop"),), None, extra=said)
    channels = SimpleNamespace(deltas=list, flush=list)
    reply: Any = SimpleNamespace(
        channels=lambda _way: channels,
        call=SimpleNamespace(label=""),
        limits=dict,
        request=SimpleNamespace(stream=True),
        surface=messages,
        encoder=lambda model: messages.StreamEncoder(model, "1", 0, include_usage=True),
        over=lambda _outcome: None,
    )
    verdict = SimpleNamespace(receipt=SimpleNamespace(counts={}), action=SimpleNamespace(word="allow"))
    way: Any = SimpleNamespace(model=SimpleNamespace(id="m"), verdict=verdict)
    assert '"stop_sequence":"끝"'.encode() in bytes(replayed(reply, way, completion).body)
