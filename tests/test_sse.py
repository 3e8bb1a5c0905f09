"""Server-sent events survive every way that bytes can arrive."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.sse import Event, EventDecoder, EventTooLong, encode

PAYLOAD = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), min_size=1)


def decoded(*pieces: bytes) -> list[Event]:
    decoder = EventDecoder()
    return [event for piece in pieces for event in decoder.feed(piece)] + decoder.flush()


def test_an_event_is_its_data() -> None:
    assert decoded(b'data: {"a":1}\n\n') == [Event(b'{"a":1}')]


def test_only_the_first_space_after_the_colon_is_no_data() -> None:
    assert decoded(b"data:x\n\ndata:  y\n\n") == [Event(b"x"), Event(b" y")]


def test_several_data_lines_are_one_event() -> None:
    assert decoded(b"event: note\ndata: a\ndata: b\n\n") == [Event(b"a\nb", "note")]


def test_comments_and_events_without_data_are_left_out() -> None:
    assert decoded(b": keep-alive\n\nevent: ping\n\nid: 7\nretry: 5\n\ndata: x\n\n") == [Event(b"x")]
    assert decoded(b"data\n\ndata:\n\ndata: \n\nevent: a\ndata:\n\ndata: x\n\n") == [Event(b"x")]


def test_a_missing_final_newline_loses_nothing() -> None:
    assert decoded(b"data: a\n\ndata: b") == [Event(b"a"), Event(b"b")]


def test_a_byte_order_mark_is_no_part_of_the_first_event() -> None:
    assert decoded(b"\xef\xbb\xbfdata: a\n\n") == [Event(b"a")]


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c"])
def test_line_separators_of_unicode_end_no_line(separator: str) -> None:
    payload = f'{{"text":"가{separator}나"}}'.encode()
    assert decoded(b"data: " + payload + b"\n\n") == [Event(payload)]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_line_ending_of_the_standard_ends_a_line(end: str) -> None:
    stream = f"event: a{end}data: 1{end}{end}data: 2{end}{end}".encode()
    for cut in range(len(stream) + 1):
        assert decoded(stream[:cut], stream[cut:]) == [Event(b"1", "a"), Event(b"2")], cut


def test_an_event_that_never_ends_is_refused_and_not_collected() -> None:
    decoder = EventDecoder(max_event_bytes=1000)
    decoder.feed(b"data: " + b"x" * 990)
    with pytest.raises(EventTooLong):
        decoder.feed(b"x" * 10)


@given(st.lists(st.tuples(PAYLOAD, st.sampled_from(["", "delta", "메시지"]))), st.data())
@example([("가\u2028나", "")], None)
def test_what_is_encoded_is_decoded_however_it_is_cut(
    events: list[tuple[str, str]], data: st.DataObject
) -> None:
    stream = b"".join(encode(payload.encode(), name) for payload, name in events)
    cuts = [] if data is None else data.draw(st.lists(st.integers(0, len(stream)), max_size=12))
    pieces = [stream[a:b] for a, b in pairwise([0, *sorted(cuts), len(stream)])]
    assert decoded(*pieces) == [Event(payload.encode(), name) for payload, name in events]
