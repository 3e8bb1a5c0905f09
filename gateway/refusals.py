"""The filter's decisions as our errors: a member of staff learns what, where and how to mend it.

Never the value. The words are filters/explain.py's; here they meet the error tree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from filters.errors import Unscannable
from filters.explain import explanation, refusal, unread
from gateway.errors import FilterFailed, InHouseOnly, SensitiveDataBlocked, UnscannableContent

if TYPE_CHECKING:
    from collections.abc import Iterable

    from filters.errors import FilterRefusal
    from filters.verdict import Verdict
    from gateway.catalogue import Model
    from gateway.errors import GatewayError

MOST_LISTED = 50


def blocked(verdict: Verdict, request_id: str = "") -> SensitiveDataBlocked:
    """Nothing was sent: say which kinds stand where, what to do about each, and how to object."""
    words = refusal(verdict)
    findings = found(verdict)
    return SensitiveDataBlocked(
        f"{words.ko} {_OBJECT_KOREAN}",
        f"{words.en} {_OBJECT_ENGLISH}",
        param=findings[0]["path"] if findings else None,
        details={"findings": findings, **_what_now(request_id)},
    )


def in_house_only(verdict: Verdict, models: Iterable[Model], request_id: str = "") -> InHouseOnly:
    """The model asked for is outside and no in-house model takes over: list those that may answer."""
    words = refusal(verdict)
    ids = [model.id for model in models]
    listed = ", ".join(ids)
    return InHouseOnly(
        f"{words.ko} 답할 수 있는 모델: {listed or '없음'}",
        f"{words.en} Models that may answer: {listed or 'none'}",
        param="model",
        details={"findings": found(verdict), "models": ids, **_what_now(request_id)},
    )


_OBJECT_KOREAN = (
    "가린 글은 POST /v1/filter/preview로 받아 대신 보낼 수 있습니다."
    " 잘못 막혔다면 콘솔의 '내 차단 기록'이나 POST /api/incidents/report로 오탐 신고를 하세요."
)
_OBJECT_ENGLISH = (
    "POST /v1/filter/preview gives the masked version to send instead."
    " If this was a false alarm, report it in the console ('My blocked requests')"
    " or with POST /api/incidents/report."
)


def _what_now(request_id: str) -> dict[str, Any]:
    """What a program can offer the member of staff next."""
    return {
        "preview": {"method": "POST", "path": "/v1/filter/preview"},
        "report": _report(request_id),
    }


def _report(request_id: str) -> dict[str, Any]:
    return {"method": "POST", "path": "/api/incidents/report", "body": {"request_id": request_id}}


def unfinished(failure: FilterRefusal, request_id: str = "") -> GatewayError:
    """The inspection did not finish, so nothing was sent."""
    if isinstance(failure, Unscannable):
        words = unread(failure)
        return UnscannableContent(
            words.ko,
            words.en,
            code=failure.reason,
            param=failure.parts[0].path if failure.parts else None,
            details={
                "parts": [{"path": part.path, "kind": part.kind} for part in failure.parts[:MOST_LISTED]],
                **({"report": _report(request_id)} if request_id else {}),
            },
        )
    return FilterFailed(
        "민감정보 검사가 끝나지 않아 전송하지 않았습니다. 다시 시도하고, 계속되면 관리자에게 알려 주세요.",
        "Not sent, because the inspection did not finish. Try again; if it persists, tell the administrator.",
        retry_after_s=1,
    )


def found(verdict: Verdict) -> list[dict[str, Any]]:
    """List what was found for a program: kind, place, action, how often. Never the value."""
    return [
        {
            "path": one.path,
            "type": one.type,
            "name": {"ko": one.name_ko, "en": one.name_en},
            "action": one.action,
            "times": one.times,
            "fix": {"ko": one.fix_ko, "en": one.fix_en},
        }
        for one in explanation(verdict)[:MOST_LISTED]
    ]
