"""The walker sees every string, number and key, and says of what it cannot read that it did not."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.errors import Unscannable
from filters.walker import Kind, Limits, rewritten, walk, written_path


def texts(body):
    return {written_path(part.where): part.text for part in walk(body).parts if part.kind is not Kind.KEY}


def test_a_path_reads_as_a_person_would_write_it():
    body = {
        "messages": [
            {"role": "system", "content": "규칙"},
            {"role": "user", "content": [{"type": "text", "text": "하나"}, {"type": "text", "text": "둘"}]},
        ],
        "tools": [{"type": "function", "function": {"name": "send", "description": "보내기"}}],
    }
    assert texts(body) == {
        "messages[0].content": "규칙",
        "messages[1].content[0].text": "하나",
        "messages[1].content[1].text": "둘",
        "tools[0].function.name": "send",
        "tools[0].function.description": "보내기",
    }


def test_tool_calls_results_schemas_metadata_user_and_file_names_are_visited():
    body = {
        "messages": [
            {"role": "assistant", "tool_calls": [{"id": "c1", "function": {"arguments": '{"a": "ARGS"}'}}]},
            {"role": "tool", "tool_call_id": "c1", "content": "RESULT"},
            {
                "role": "user",
                "content": [{"type": "file", "file": {"filename": "FILE.hwp", "file_data": "data:x"}}],
            },
        ],
        "tools": [
            {"function": {"parameters": {"properties": {"KEY": {"enum": ["ENUM"], "description": "DESC"}}}}}
        ],
        "metadata": {"who": "META"},
        "user": "USER",
        "response_format": {"type": "json_schema", "json_schema": {"schema": {"title": "TITLE"}}},
        "something_new": {"deep": [{"er": "NEW"}]},
    }
    seen = " ".join(part.text for part in walk(body).parts)
    for word in (
        "ARGS",
        "RESULT",
        "FILE.hwp",
        "KEY",
        "ENUM",
        "DESC",
        "META",
        "USER",
        "TITLE",
        "NEW",
        "deep",
        "er",
    ):
        assert word in seen


def test_every_surface_is_walked_without_being_told_which():
    assert texts({"model": "m", "input": ["하나", "둘"]}) == {
        "model": "m",
        "input[0]": "하나",
        "input[1]": "둘",
    }
    assert texts({"prompt": "그림"}) == {"prompt": "그림"}
    responses = {
        "instructions": "지시",
        "input": [{"type": "function_call_output", "call_id": "c", "output": "결과"}],
    }
    assert texts(responses)["input[0].output"] == "결과"
    anthropic = {
        "system": [{"type": "text", "text": "체계"}],
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "tool_use", "id": "t", "name": "f", "input": {"성명": "홍길동"}},
                    {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "값"}]},
                    {
                        "type": "document",
                        "source": {"type": "text", "media_type": "text/plain", "data": "본문 글"},
                    },
                ],
            }
        ],
    }
    seen = texts(anthropic)
    assert seen["system[0].text"] == "체계"
    assert seen["messages[0].content[0].input.*"] == "홍길동"
    assert seen["messages[0].content[1].content[0].text"] == "값"
    assert seen["messages[0].content[2].source.data"] == "본문 글"
    assert not walk(anthropic).unread


def test_the_history_is_walked_before_everything_else():
    body = {"metadata": {"a": "셋"}, "messages": [{"role": "user", "content": "둘"}], "system": "하나"}
    order = [p.text for p in walk(body).parts if p.kind is Kind.TEXT]
    assert order == ["하나", "둘", "셋"]


@pytest.mark.parametrize(
    ("part", "kind"),
    [
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}, "image"),
        ({"type": "input_image", "image_url": "data:image/png;base64,AAAA"}, "image"),
        ({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}, "image"),
        ({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}, "audio"),
        ({"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA"}}, "file"),
        ({"type": "document", "source": {"type": "base64", "data": "AAAA"}}, "file"),
        ({"type": "video_url", "video_url": {"url": "data:video/mp4;base64,AAAA"}}, "video"),
        ({"type": "hologram", "data": "x"}, "unknown"),
        ({"type": 7}, "unknown"),
        ({"payload": "x"}, "unknown"),
    ],
)
def test_a_part_that_cannot_be_read_is_listed_with_its_kind(part, kind):
    walked = walk({"messages": [{"role": "user", "content": [{"type": "text", "text": "보세요"}, part]}]})
    assert walked.unread == [("messages[0].content[1]", kind)]


@pytest.mark.parametrize(
    ("part", "path", "kind"),
    [
        ({"type": "input_image", "image_url": "https://example.org/a.png"}, "image_url", "remote"),
        ({"type": "image_url", "image_url": {"url": "HTTP://10.0.0.1/a"}}, "image_url.url", "remote"),
        ({"type": "image", "source": {"type": "url", "url": "gs://bucket/a"}}, "source.url", "remote"),
        ({"type": "file", "file": {"file_id": "f-1"}}, "file.file_id", "stored"),
        ({"type": "input_file", "file_id": "f-1"}, "file_id", "stored"),
    ],
)
def test_what_would_be_fetched_from_elsewhere_is_listed_as_such(part, path, kind):
    walked = walk({"messages": [{"role": "user", "content": [part]}]})
    assert (f"messages[0].content[0].{path}", kind) in walked.unread


def test_a_payload_that_begins_like_an_address_is_none():
    """Base64 of MP3 frames begins with two slashes."""
    part = {"type": "input_audio", "input_audio": {"data": "//uQxAAAAAANIAAA", "format": "mp3"}}
    assert walk({"messages": [{"role": "user", "content": [part]}]}).unread == [
        ("messages[0].content[0]", "audio")
    ]


def test_the_address_of_an_image_is_text_and_its_payload_is_not():
    def image(url):
        return {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]}

    assert "messages[0].content[0].image_url.url" in texts(image("https://example.org/?name=홍길동"))
    assert not texts(image("data:image/png;base64," + "A" * 400))


def test_a_lone_part_in_place_of_a_list_is_a_part_too():
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    assert walk({"messages": [{"role": "user", "content": image}]}).unread == [
        ("messages[0].content", "image")
    ]
    strange = {"inline_data": {"mime_type": "image/png", "data": "AAAA"}}
    assert walk({"messages": [{"role": "user", "content": strange}]}).unread == [
        ("messages[0].content", "unknown")
    ]
    assert walk({"input": image}).unread == [("input", "image")]


@pytest.mark.parametrize(
    ("mime", "kind"),
    [("image/png", "image"), ("audio/wav", "audio"), ("application/pdf", "file"), ("text/plain", "file")],
)
def test_data_in_a_field_that_nobody_knows_counts_as_unread(mime, kind):
    body = {"attachments": [{"what": f"data:{mime};base64,AAAA"}]}
    assert walk(body).unread == [("attachments[0].what", kind)]


def test_words_beside_an_image_are_read():
    part = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}, "alt": "long words " * 40}
    assert "messages[0].content[0].alt" in texts({"messages": [{"content": [part]}]})


def test_uploaded_bytes_and_token_numbers_count_as_unread():
    assert walk({"file": b"\x00"}).unread == [("file", "file")]
    assert walk({"input": [[1, 2], [3]]}).unread == [("input", "tokens")]
    assert walk({"prompt": [1, 2]}).unread == [("prompt", "tokens")]


def test_numbers_are_visited_where_they_can_carry_something():
    body = {
        "max_tokens": 4096,
        "temperature": 0.2,
        "messages": [],
        "metadata": {"rrn": 9010101234567, "n": 3},
    }
    assert [(p.text, p.kind, p.name) for p in walk(body).parts if p.kind is Kind.NUMBER] == [
        ("9010101234567", Kind.NUMBER, "rrn")
    ]


def test_the_key_of_a_structured_value_travels_with_it():
    body = {"messages": [{"role": "user", "content": [{"type": "tool_use", "input": {"성명": "홍길동"}}]}]}
    assert [p.name for p in walk(body).parts if p.text == "홍길동"] == ["성명"]


def test_a_key_that_could_be_somebodys_name_is_not_spelled_out_in_a_path():
    assert texts({"metadata": {"홍길동": "값", "note": "글"}}) == {"metadata.*": "값", "metadata.note": "글"}


def test_protocol_constants_are_counted_without_being_inspected():
    walked = walk({"messages": [{"role": "user", "content": "안녕"}], "tool_choice": "auto"})
    assert [p.text for p in walked.parts] == ["안녕"]
    assert walked.seen == 3


def test_a_recursion_bomb_and_a_flood_are_refused():
    deep = "x"
    for _ in range(100):
        deep = [deep]
    with pytest.raises(Unscannable, match="too_deep"):
        walk({"metadata": deep})
    for _ in range(100):
        deep = {"a": deep}
    with pytest.raises(Unscannable, match="too_deep"):
        walk({"metadata": deep})
    with pytest.raises(Unscannable, match="too_large"):
        walk({"input": "가" * 11}, Limits(characters=10))
    with pytest.raises(Unscannable, match="too_large"):
        walk({"input": ["가"] * 11}, Limits(parts=10))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**15), 10**15) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_no_string_of_any_structure_goes_unvisited(value):
    """Below `metadata` nothing is protocol, so every string and key must be among the parts."""
    seen = {part.text for part in walk({"metadata": value}).parts}
    for text in strings(value):
        assert text in seen or walk({"metadata": text}).parts == []  # a lone protocol constant is not a part


@given(JSON)
def test_rewriting_nothing_changes_nothing_and_rewriting_everything_keeps_the_shape(value):
    body = {"metadata": value}
    assert rewritten(body, {}, {}) is body
    same = {part.where: part.text for part in walk(body).parts if part.kind in (Kind.TEXT, Kind.JSON_TEXT)}
    assert rewritten(body, same, {}) == body
    assert json.loads(json.dumps(body)) == body


def strings(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for child in value.values():
            yield from strings(child)
    elif isinstance(value, list):
        for child in value:
            yield from strings(child)
