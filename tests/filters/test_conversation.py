"""The digit tail of a conversation: short, keyed, expiring, bounded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from filters.conversation import TailMemory

NOW = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "tail"),
    [
        ("번호는 901010-", ("901010-",)),
        ("번호는 901010", ("901010",)),
        ("여권 M1234", ("M1234",)),
        ("안녕하세요", ()),
        ("901010 입니다", ()),
        ("", ()),
    ],
)
def test_only_digits_at_the_very_end_are_kept(text, tail):
    memory = TailMemory()
    assert memory.check("a", [text], NOW) == ()
    assert memory.check("a", ["다음"], NOW) == tail


def test_a_number_in_three_messages_grows_the_tail():
    memory = TailMemory()
    memory.check("a", ["901"], NOW)
    assert memory.check("a", [" 010-12\n"], NOW) == ("901",)
    assert memory.check("a", ["34567"], NOW) == ("901", "010-12")


def test_every_text_of_a_message_counts():
    memory = TailMemory()
    memory.check("a", ["앞은 901", "010"], NOW)
    assert memory.check("a", ["1234", "567"], NOW) == ("901", "010")
    assert memory.check("a", [], NOW) == ("901", "010", "1234", "567")
    assert memory.check("a", [], NOW) == ()


def test_conversations_are_apart_and_the_number_of_them_is_bounded():
    memory = TailMemory(capacity=2)
    for name in ("a", "b", "c"):
        memory.check(name, ["123456"], NOW)
    assert memory.check("a", [""], NOW) == ()
    assert memory.check("c", [""], NOW) == ("123456",)


def test_a_tail_expires():
    memory = TailMemory(lifetime=timedelta(minutes=10))
    memory.check("a", ["123456"], NOW)
    memory.check("b", ["123456"], NOW + timedelta(minutes=9))
    assert memory.forget_expired(NOW + timedelta(minutes=10)) == 1
    assert memory.check("a", [""], NOW + timedelta(minutes=10)) == ()


def test_no_more_than_forty_characters_are_kept():
    memory = TailMemory()
    memory.check("a", ["1" * 100], NOW)
    assert memory.check("a", ["2" * 3], NOW) == ("1" * 40,)
    assert memory.check("a", [""], NOW) == ("222",)
