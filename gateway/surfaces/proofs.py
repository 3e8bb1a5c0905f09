"""Proofs of reasoning in the dialect of another provider than theirs: the next turn keeps its thought. Pure.

A client gives a proof back as it got it. OpenAI's stands beside the item's id, which it must come back with,
and is a Reasoning with an `id`; any other is one without. In Messages OpenAI's brings its id along, in
Responses any other is marked: so nobody is sent a proof that is not its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.domain import NOTHING, Reasoning

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.domain import JSON

_OPENAI: Final = "openai:"
_SIGNATURE: Final = "signature:"
_REDACTED: Final = "redacted_thinking:"


def as_signature(proof: str, id_: JSON) -> str:
    """Write a proof for Messages; `id_` is that of OpenAI's item."""
    return f"{_OPENAI}{id_}:{proof}" if id_ else proof


def of_signature(text: str, signature: str | None) -> Reasoning:
    """Read a thought of Messages."""
    if signature is None or not signature.startswith(_OPENAI):
        return Reasoning(text, signature)
    id_, _, proof = signature.removeprefix(_OPENAI).partition(":")
    return Reasoning(text, proof, extra={"id": id_})


def as_encrypted(extra: Mapping[str, JSON]) -> str | None:
    """Write the proof of a delta's `extra` for Responses, or its first piece."""
    if proof := extra.get("signature"):
        return str(proof) if extra.get("reasoning_id") else f"{_SIGNATURE}{proof}"
    return f"{_REDACTED}{data}" if (data := extra.get("redacted_thinking")) else None


def of_encrypted(text: str, proof: str | None, id_: str | None) -> Reasoning:
    """Read a thought of Responses; not every client gives the id back."""
    if proof and proof.startswith(_SIGNATURE):
        return Reasoning(text, proof.removeprefix(_SIGNATURE))
    if proof and proof.startswith(_REDACTED):
        return Reasoning("", redacted=proof.removeprefix(_REDACTED))
    return Reasoning(text, proof, extra={"id": id_} if id_ or proof else NOTHING)
