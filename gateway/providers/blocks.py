"""An answer that is a sequence of blocks (Anthropic, Gemini, Bedrock, Responses, Cohere), as it grows.

Keeps the order in which blocks began, since a provider may ask for its reasoning back in that place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.domain import NOTHING, Choice, Delta, Image, Reasoning, Text, ToolCall, ToolCallDelta

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from gateway.domain import JSON, Part


class _Block:
    __slots__ = ("extra", "id", "kind", "name", "pieces", "position", "redacted", "signature")

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.pieces: list[str] = []
        self.id = self.name = ""
        self.position = -1
        self.signature: str | None = None
        self.redacted: str | None = None
        self.extra: Mapping[str, JSON] = NOTHING

    def part(self) -> Part:
        text = "".join(self.pieces)
        if self.kind == "text":
            return Text(text, self.extra)
        if self.kind == "image":
            return Image(text)
        if self.kind == "reasoning":
            return Reasoning(text, self.signature, self.redacted, self.extra)
        return ToolCall(self.id, self.name, text, self.extra)


class Blocks:
    """Each method adds to the block of `key`, which begins where it is first named, and gives its Delta.

    Raises TypeError for what should be text and is not, so that nothing else can get into an answer.
    """

    def __init__(self, choice: int = 0) -> None:
        self.choice = choice
        self.finish_reason: str | None = None
        self.logprobs: JSON = None
        self._refusal: list[str] = []
        self._annotations: list[JSON] = []
        self._blocks: dict[Hashable, _Block] = {}
        self._calls = 0

    def __bool__(self) -> bool:
        """Whether anything was said, or ended."""
        return bool(self._blocks or self._refusal or self.finish_reason)

    @property
    def has_calls(self) -> bool:
        return self._calls > 0

    def text(self, key: Hashable, piece: str) -> Delta:
        self._block(("text", key), "text").pieces.append(_said(piece))
        return Delta(self.choice, piece)

    def reasoning(self, key: Hashable, piece: str) -> Delta:
        self._block(("reasoning", key), "reasoning").pieces.append(_said(piece))
        return Delta(self.choice, reasoning=piece)

    def signature(self, key: Hashable, piece: str) -> Delta:
        """Add to the proof that a provider wants back with its reasoning."""
        block = self._block(("reasoning", key), "reasoning")
        block.signature = (block.signature or "") + piece
        return Delta(self.choice, extra={"signature": piece})

    def redacted(self, key: Hashable, data: str) -> Delta:
        """Add to reasoning that only its provider can read."""
        block = self._block(("reasoning", key), "reasoning")
        block.redacted = (block.redacted or "") + data
        return Delta(self.choice, extra={"redacted_thinking": data})

    def image(self, key: Hashable, url: str) -> Delta:
        """Add an image that the model drew, as a `data:` URL."""
        self._block(("image", key), "image").pieces.append(url)
        return Delta(self.choice, extra={"images": [{"type": "image_url", "image_url": {"url": url}}]})

    def call(
        self, key: Hashable, id_: str, name: str, arguments: str = "", extra: Mapping[str, JSON] = NOTHING
    ) -> Delta:
        block = self._block(("call", key), "call")
        block.id, block.name, block.extra = _said(id_), _said(name), extra
        block.position = self._calls
        block.pieces.append(_said(arguments))
        self._calls += 1
        return Delta(
            self.choice, tool_calls=(ToolCallDelta(block.position, id_, name, arguments, extra or None),)
        )

    def arguments(self, key: Hashable, piece: str) -> Delta:
        """Add to the arguments of a call that `call` began. Raises KeyError if none did."""
        block = self._blocks[("call", key)]
        block.pieces.append(_said(piece))
        return Delta(self.choice, tool_calls=(ToolCallDelta(block.position, arguments=piece),))

    def attach(self, key: Hashable, extra: Mapping[str, JSON]) -> None:
        """Keep fields of the provider with a text or reasoning block that has begun."""
        for kind in ("text", "reasoning"):
            if block := self._blocks.get((kind, key)):
                block.extra = {**block.extra, **extra}

    def cite(self, url: str, title: str) -> Delta:
        """Add a source of the text once, in the form that clients of the chat format know."""
        annotation = {"type": "url_citation", "url_citation": {"url": _said(url), "title": _said(title)}}
        if annotation in self._annotations:
            return Delta(self.choice)
        self._annotations.append(annotation)
        return Delta(self.choice, extra={"annotations": [annotation]})

    def refuse(self, piece: str) -> Delta:
        self._refusal.append(_said(piece))
        return Delta(self.choice, refusal=piece)

    def finish(self, reason: str) -> Delta:
        self.finish_reason = _said(reason)
        return Delta(self.choice, finish_reason=reason)

    def as_choice(self) -> Choice:
        return Choice(
            self.choice,
            self.parts(),
            self.finish_reason,
            "".join(self._refusal) or None,
            self.logprobs,
            {"annotations": self._annotations} if self._annotations else NOTHING,
        )

    def parts(self) -> tuple[Part, ...]:
        """Return the parts so far; text blocks without text are left out, reasoning with proof is not."""
        parts = (block.part() for block in self._blocks.values())
        return tuple(part for part in parts if not isinstance(part, Text) or part.text)

    def arguments_of(self, key: Hashable) -> str | None:
        """Return the arguments of the call of `key` so far; None if none began there."""
        block = self._blocks.get(("call", key))
        return "".join(block.pieces) if block else None

    def _block(self, key: Hashable, kind: str) -> _Block:
        block = self._blocks.get(key)
        if block is None:
            block = self._blocks[key] = _Block(kind)
        return block


def _said(piece: str) -> str:
    if type(piece) is not str:
        raise TypeError("a piece of an answer that is no text")
    return piece
