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


def blocked(verdict: Verdict) -> SensitiveDataBlocked:
    """Nothing was sent: say which kinds stand where, and what to do about each."""
    words = refusal(verdict)
    findings = found(verdict)
    return SensitiveDataBlocked(
        words.ko, words.en, param=findings[0]["path"] if findings else None, details={"findings": findings}
    )


def in_house_only(verdict: Verdict, models: Iterable[Model]) -> InHouseOnly:
    """The model asked for is outside and no in-house model takes over: list those that may answer."""
    words = refusal(verdict)
    ids = [model.id for model in models]
    listed = ", ".join(ids)
    return InHouseOnly(
        f"{words.ko} 답할 수 있는 모델: {listed or '없음'}",
        f"{words.en} Models that may answer: {listed or 'none'}",
        param="model",
        details={"findings": found(verdict), "models": ids},
    )


def unfinished(failure: FilterRefusal) -> GatewayError:
    """The inspection did not finish, so nothing was sent."""
    if isinstance(failure, Unscannable):
        words = unread(failure)
        return UnscannableContent(
            words.ko,
            words.en,
            code=failure.reason,
            param=failure.parts[0].path if failure.parts else None,
            details={
                "parts": [{"path": part.path, "kind": part.kind} for part in failure.parts[:MOST_LISTED]]
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
