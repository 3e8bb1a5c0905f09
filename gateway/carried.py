"""What an answer carries beside its texts (`audio`, `reasoning_details`, `annotations`, …), string by string.

A transcript and the text of `reasoning_details` arrive in pieces that grow; any other string is whole.
Not read are ids, enumerations, proofs and data. Pure; what becomes of a string is answer.py's business.
Source of `reasoning_details`: https://openrouter.ai/docs/use-cases/reasoning-tokens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from gateway.domain import PROOFS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gateway.domain import JSON

TRANSCRIPT: Final = "audio.transcript"
THOUGHTS: Final = ("reasoning_details.text", "reasoning_details.summary")

_UNREAD: Final = frozenset({"id", "type", "format", "signature", "index"})
_ENCRYPTED: Final = "reasoning.encrypted"
_PICTURE: Final = "images.image_url.url"


class Piece(NamedTuple):
    """One string. `frame` holds the members beside it where it grows; None: it is whole."""

    kind: str
    text: str
    number: int = 0
    frame: Mapping[str, JSON] | None = None
    is_last: bool = False


Say: TypeAlias = "Callable[[Piece], tuple[str, bool]]"
"""Returns what may be sent on, and whether that channel is as it was said."""


def guarded(extra: Mapping[str, JSON], say: Say) -> dict[str, JSON]:
    """Return what is carried with each of its strings as `say` gives it."""
    return {name: value if name in PROOFS else _member(name, value, say) for name, value in extra.items()}


def piece_of(piece: Piece, text: str) -> dict[str, JSON]:
    """Return what carries the rest of a string that grew."""
    if piece.kind == TRANSCRIPT:
        return {"audio": {**(piece.frame or {}), "transcript": text}}
    return {"reasoning_details": [{**(piece.frame or {}), piece.kind.rpartition(".")[2]: text}]}


def _member(name: str, value: JSON, say: Say) -> JSON:
    if name == "audio" and isinstance(value, dict):
        return _sound(value, say)
    if name == "reasoning_details" and isinstance(value, list):
        return [_thought(number, detail, say) for number, detail in enumerate(value)]
    return _whole(name, value, say)


def _sound(sound: Mapping[str, JSON], say: Say) -> dict[str, JSON]:
    frame = {"id": sound["id"]} if "id" in sound else {}
    out: dict[str, JSON] = {}
    for name, value in sound.items():
        kind = f"audio.{name}"
        if kind == TRANSCRIPT and isinstance(value, str):
            out[name], _ = say(Piece(kind, value, frame=frame))
        else:
            out[name] = value if name == "data" else _whole(kind, value, say)
    return out


def _thought(number: int, detail: JSON, say: Say) -> JSON:
    """Guard one thought, or a piece of one; its signature ends it, and proves it only as it was said."""
    if not isinstance(detail, dict):
        return _whole("reasoning_details", detail, say)
    index = detail.get("index")
    number = index if type(index) is int else number
    frame = {name: detail[name] for name in ("type", "id", "format", "index") if name in detail}
    out: dict[str, JSON] = {}
    is_as_said = True
    for name, value in detail.items():
        kind = f"reasoning_details.{name}"
        if name == "data" and detail.get("type") == _ENCRYPTED:
            out[name] = value
        elif kind in THOUGHTS and isinstance(value, str):
            out[name], unchanged = say(Piece(kind, value, number, frame))
            is_as_said &= unchanged
        else:
            out[name] = _whole(kind, value, say)
    if not detail.get("signature"):
        return out
    rest, unchanged = say(Piece(THOUGHTS[0], "", number, frame, is_last=True))
    if rest:
        out["text"] = (out.get("text") or "") + rest
    if not (is_as_said and unchanged):
        del out["signature"]
    return out


def _whole(name: str, value: JSON, say: Say) -> JSON:
    """Guard every string below a member; the name of one is that of the member around a list."""
    match value:
        case str() if not _is_unread(name, value):
            return say(Piece(name, value))[0]
        case dict():
            return {key: _whole(f"{name}.{key}", inner, say) for key, inner in value.items()}
        case list():
            return [_whole(name, inner, say) for inner in value]
        case _:
            return value


def _is_unread(name: str, value: str) -> bool:
    return name.rpartition(".")[2] in _UNREAD or (name == _PICTURE and value.startswith("data:"))
