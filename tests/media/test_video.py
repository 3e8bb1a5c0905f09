"""What a provider says of a film becomes a row that can be written, or is refused; never anything between."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.ledger import Row, record_of
from billing.usage import Usage
from gateway.errors import UpstreamProtocolError
from gateway.media import video
from gateway.media.work import MediaRequest, done

if TYPE_CHECKING:
    from gateway.media.work import Done

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
ANSWERS = st.fixed_dictionaries(
    {
        "id": JSON,
        "status": JSON | st.sampled_from(["queued", "in_progress", "completed", "failed", "expired"]),
    },
    optional={"progress": JSON, "seconds": JSON | st.integers(-5, 10**12), "size": JSON, "error": JSON},
)


def keep(_charge: Any, upstream_id: str, job_id: str, state: Any) -> Row:
    return Row("video_job", {"id": job_id, "upstream_id": upstream_id, **state})


def submission(**changes: Any) -> MediaRequest:
    return video.Surface(keep).parse({"model": "m", "prompt": "해치", **changes})


def answered(body: bytes, **changes: Any) -> Done:
    request = submission(**changes)
    assert request.work is not None
    return request.work.read(body, {})


@settings(max_examples=300)
@given(ANSWERS | JSON)
def test_any_answer_is_a_writable_row_or_a_named_fault(answer: Any) -> None:
    try:
        made = answered(json.dumps(answer).encode())
    except UpstreamProtocolError:
        return
    state = video.state_of(made.made)
    assert state["status"] in {"queued", "in_progress", "completed", "failed"}
    assert 0 <= state["progress"] <= 100
    assert 0 <= state["seconds"] <= video.MOST_STATED_SECONDS
    assert made.report is not None
    assert 0 <= (made.report.usage.video_ms or 0) <= 1000 * video.MOST_STATED_SECONDS
    for value in record_of(keep(None, made.made.id, "v", state)).values:
        assert value is None or isinstance(value, int) or (len(value) <= video.MOST_ID and "\0" not in value)


@pytest.mark.parametrize(
    ("said", "partial", "video_ms"),
    [
        ({"status": "queued", "seconds": "8"}, True, 8000),
        ({"status": "queued"}, True, 4000),
        ({"status": "completed", "seconds": "6"}, False, 6000),
        ({"status": "completed"}, True, 4000),
        ({"status": "failed", "seconds": "8"}, False, 0),
    ],
)
def test_a_submission_is_an_estimate_until_the_provider_has_stated_what_it_drew(
    said: dict[str, Any], partial: bool, video_ms: int
) -> None:
    report = answered(json.dumps({"id": "v1", **said}).encode()).report
    assert report is not None
    assert (report.partial, report.usage) == (partial, Usage(video_ms=video_ms))


@pytest.mark.parametrize("asked", [{}, {"seconds": "8"}, {"seconds": 8}, {"seconds": None}])
def test_the_length_is_always_sent_since_it_bounds_the_cost(asked: dict[str, Any]) -> None:
    seconds = int(asked.get("seconds") or 4)
    request = submission(**asked)
    assert request.maxima == request.expected == Usage(video_ms=1000 * seconds)


def test_a_failure_is_told_by_its_code_alone() -> None:
    said = {
        "id": "v1",
        "status": "failed",
        "error": {"code": "moderation_blocked", "message": "your prompt was X"},
    }
    completion = _completion(json.dumps(said).encode())
    shown = json.loads(video.Surface.encode(completion, "m", "r1", 7))
    assert (shown["id"], shown["error"]["code"]) == ("video_r1", "moderation_blocked")
    assert "X" not in shown["error"]["message"]
    assert done(completion).made.id == "v1"


def _completion(body: bytes) -> Any:
    request = submission()
    assert request.work is not None
    decoder = request.work.Decoder(_Deployment(), stream=False)  # type: ignore[arg-type]
    decoder.feed(body)
    return decoder.finish()


class _Deployment:
    upstream_model = "film"
