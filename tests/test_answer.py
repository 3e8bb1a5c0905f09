"""Answers on their way back: what a reader gets does not depend on which deltas arrived together."""

from __future__ import annotations

from functools import lru_cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.decision import decide
from filters.engine import Engine
from filters.inspector import Inspector
from filters.policy import EXTERNAL, default_policy
from gateway.answer import Channels
from gateway.domain import Delta

PIECES = st.sampled_from(
    [
        "도로 점용 ",
        "허가는 ",
        "담당 ⟦PER",
        "SON_1⟧ 주무관",
        "010-",
        "900101",
        "-1234",
        "568",
        "비밀번호는 ",
        "hunter2x ",
        "안내합니다.",
    ]
)
DELTAS = st.lists(
    st.one_of(
        st.builds(lambda text, choice: Delta(choice, text), PIECES, st.integers(0, 1)),
        st.builds(lambda text: Delta(0, "", text), PIECES),
    ),
    max_size=14,
)


@lru_cache
def inspected():
    inspector = Inspector(Engine())
    body = {"messages": [{"role": "user", "content": "담당자 홍길동 주무관에게 회신해 주세요."}]}
    verdict = decide(inspector.detect(body), default_policy().zones[EXTERNAL])
    assert "홍길동" in verdict.masks.values()
    return verdict, inspector.engine


def read(batches):
    """Text and reasoning by choice, as a reader puts them together."""
    verdict, engine = inspected()
    channels = Channels(verdict, engine)
    said: dict[tuple[int, str], str] = {}
    out = [delta for batch in batches for delta in channels.deltas(batch)] + channels.flush()
    for delta in out:
        for kind in ("text", "reasoning"):
            said[delta.choice, kind] = said.get((delta.choice, kind), "") + getattr(delta, kind)
    return {channel: text for channel, text in said.items() if text}, [f.span.type for f in channels.findings]


@given(DELTAS)
def test_deltas_that_arrive_together_read_like_those_that_arrive_alone(deltas):
    assert read([deltas]) == read([[delta] for delta in deltas])


@pytest.mark.parametrize("together", [True, False])
def test_a_number_that_is_split_over_fragments_is_masked(together):
    deltas = [
        Delta(0, "번호는 "),
        Delta(0, "900101"),
        Delta(0, "-1234"),
        Delta(0, "568"),
        Delta(0, "입니다."),
    ]
    said, found = read([deltas] if together else [[delta] for delta in deltas])
    assert said == {(0, "text"): "번호는 [주민등록번호 가림]입니다."}
    assert found == ["KR_RRN"]


def test_quiet_fragments_of_a_text_leave_as_they_came():
    deltas = [
        Delta(0, "도로 점용 "),
        Delta(0, "허가는 "),
        Delta(0, "관리청에 "),
        Delta(0, "", finish_reason="stop"),
    ]
    verdict, engine = inspected()
    assert Channels(verdict, engine).deltas(deltas) == deltas
