"""Says a verdict in words: which kinds, where, and what to do next. Never the value.

For the refusal's message, for `POST /v1/filter/preview` and for the console.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from filters.kinds import DENSE, KindText, kind_text
from filters.verdict import Action

if TYPE_CHECKING:
    from filters.errors import Unscannable
    from filters.verdict import Verdict

_MOST_PLACES = 5


class Explained(NamedTuple):
    """Findings of one type at one place, with what happens to them and how to mend the prompt."""

    path: str
    type: str
    name_ko: str
    name_en: str
    fix_ko: str
    fix_en: str
    action: str
    times: int


class Sentence(NamedTuple):
    """The same in both languages."""

    ko: str
    en: str


def explanation(verdict: Verdict) -> list[Explained]:
    """One entry per place, type and action, the severest first."""
    counts: dict[tuple[str, str, Action], int] = {}
    for found in verdict.findings:
        key = (found.path, found.span.type, found.action)
        counts[key] = counts.get(key, 0) + 1
    explained = [
        Explained(path, type_, *kind_text(type_), action.word, count)
        for (path, type_, action), count in sorted(counts.items(), key=lambda item: -item[0][2])
    ]
    if "dense_personal_data" in verdict.receipt.reasons:
        explained.insert(0, Explained("", "DENSE", *DENSE, Action.ROUTE.word, 1))
    return explained


def refusal(verdict: Verdict) -> Sentence:
    """Why a request was blocked or kept in house, where, and what to do next."""
    action = verdict.receipt.action
    decisive = [one for one in explanation(verdict) if one.action == action.word] or explanation(verdict)
    kinds = dict.fromkeys(KindText(one.name_ko, one.name_en, one.fix_ko, one.fix_en) for one in decisive)
    places = ", ".join(dict.fromkeys(one.path for one in decisive[:_MOST_PLACES] if one.path))
    where_ko, where_en = (f" 위치: {places}.", f" Where: {places}.") if places else ("", "")
    names_ko, names_en = ", ".join(kind.ko for kind in kinds), ", ".join(kind.en for kind in kinds)
    fixes_ko = " ".join(dict.fromkeys(kind.fix_ko for kind in kinds))
    fixes_en = " ".join(dict.fromkeys(kind.fix_en for kind in kinds))
    if action is Action.BLOCK:
        return Sentence(
            f"보낼 수 없는 정보가 들어 있어 전송하지 않았습니다: {names_ko}.{where_ko} {fixes_ko}",
            f"Not sent, because it holds data that may not leave: {names_en}.{where_en} {fixes_en}",
        )
    return Sentence(
        f"내부 모델만 답할 수 있는 내용입니다: {names_ko}.{where_ko} {fixes_ko}",
        f"Only an in-house model may answer this: {names_en}.{where_en} {fixes_en}",
    )


def unread(refused: Unscannable) -> Sentence:
    """Why a request could not be inspected, and what to do next."""
    places = ", ".join(part.path for part in refused.parts[:_MOST_PLACES])
    match refused.reason:
        case "unreadable_part" if any(part.kind in ("remote", "stored") for part in refused.parts):
            return Sentence(
                f"주소나 제공자의 파일 번호로 가리킨 첨부는 받지 않습니다: {places}. "
                "내용을 요청에 직접 넣으세요.",
                f"Attachments named by an address or by a provider's file id are not taken: {places}. "
                "Put their content into the request.",
            )
        case "unreadable_part":
            return Sentence(
                f"필터가 읽을 수 없는 첨부(그림·소리·파일)는 외부 모델로 보낼 수 없습니다: {places}. "
                "글로 옮겨 적거나 내부 모델을 고르세요.",
                f"Attachments that the filter cannot read may not go to external models: {places}. "
                "Write their content as text or choose an in-house model.",
            )
        case "unknown_part":
            return Sentence(
                f"알 수 없는 형식의 내용이 있어 전송하지 않았습니다: {places}. "
                "지원하는 형식(text, image_url 등)으로 보내세요.",
                f"Not sent, because a part has an unknown type: {places}. "
                "Use a supported one (text, image_url, …).",
            )
        case "too_deep":
            return Sentence(
                "요청의 중첩이 너무 깊어 검사할 수 없습니다. 구조를 단순하게 바꾸어 다시 보내세요.",
                "The request is nested too deeply to be inspected. Flatten it and send again.",
            )
        case "too_large":
            return Sentence(
                "글이 너무 길어 검사할 수 없습니다. 나누어 보내세요.",
                "The text is too long to be inspected. Send it in parts.",
            )
