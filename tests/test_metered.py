"""What an answer says about itself in its headers, which must be fit for HTTP whatever a client calls its fields."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from gateway.metered import answer_headers


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
