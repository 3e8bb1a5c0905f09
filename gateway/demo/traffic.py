"""Sends the demo's prompts through the real `openai` client, several at a time, and notes what came back."""

from __future__ import annotations

import io
import wave
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import openai

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from openai import Stream
    from openai.types.chat import ChatCompletionChunk

    from gateway.demo.data import Ask

TIMEOUT_S = 120.0


class Usage(NamedTuple):
    """What the client was told; a provider's cached and reasoning tokens are part of these."""

    prompt: int
    completion: int


@dataclass(frozen=True, slots=True)
class Reply:
    """How one ask ended. `error` holds the gateway's error object, None for an answer.

    `verdict` is the filter's, as the gateway's header names it: allow, mask or route.
    """

    ask: Ask
    request_id: str
    text: str = ""
    tool_calls: int = 0
    served_by: str = ""
    verdict: str = ""
    usage: Usage | None = None
    status: int = 200
    error: Mapping[str, Any] | None = None

    @property
    def blocked(self) -> bool:
        return self.error is not None and self.error.get("code") == "sensitive_data_blocked"

    @property
    def refused(self) -> bool:
        return self.error is not None and not self.blocked


@dataclass(frozen=True, slots=True)
class Sender:
    """One member of staff with a key, as a thread of the demo sees them."""

    client: openai.OpenAI
    tools: Mapping[str, Mapping[str, Any]]

    @classmethod
    def to(cls, base_url: str, key: str, tools: Mapping[str, Mapping[str, Any]]) -> Sender:
        direct = openai.DefaultHttpxClient(trust_env=False)  # past any proxy of the environment
        client = openai.OpenAI(
            base_url=base_url, api_key=key, max_retries=0, timeout=TIMEOUT_S, http_client=direct
        )
        return cls(client, tools)

    def send(self, ask: Ask) -> Reply:
        """Ask, and read the answer to its end. Raises openai.APIConnectionError if nobody answers."""
        try:
            if ask.kind != "chat":
                return self._made(ask)
            return self._streamed(ask) if ask.stream else self._whole(ask)
        except openai.APIStatusError as refused:
            body = refused.body if isinstance(refused.body, dict) else {"message": str(refused.body)}
            request_id = refused.response.headers.get("x-request-id", "")
            return Reply(ask, request_id, status=refused.status_code, error=body)
        except openai.APIError as broken:  # an error event inside a stream that had begun
            return Reply(ask, "", status=0, error={"message": broken.message, "type": "stream_error"})

    def _request(self, ask: Ask) -> dict[str, Any]:
        request: dict[str, Any] = {"model": ask.model, "messages": ask.messages()}
        if ask.tools:
            request["tools"] = [self.tools[name] for name in ask.tools]
        if ask.max_tokens is not None:
            request["max_tokens"] = ask.max_tokens
        return request

    def _whole(self, ask: Ask) -> Reply:
        raw = self.client.chat.completions.with_raw_response.create(**self._request(ask))
        answer = raw.parse()
        message = answer.choices[0].message
        return Reply(
            ask,
            request_id=raw.headers.get("x-request-id", ""),
            text=message.content or "",
            tool_calls=len(message.tool_calls or ()),
            served_by=answer.model,
            verdict=raw.headers.get("x-haechi-verdict", ""),
            usage=_usage(answer.usage),
        )

    def _made(self, ask: Ask) -> Reply:
        """Ask for a picture, a film, speech, a transcription or an embedding."""
        raw = _MAKE[ask.kind](self.client, ask)
        verdict = raw.headers.get("x-haechi-verdict", "")
        return Reply(ask, raw.headers.get("x-request-id", ""), served_by=ask.model, verdict=verdict)

    def _streamed(self, ask: Ask) -> Reply:
        options = {"include_usage": True}
        request = self._request(ask) | {"stream": True, "stream_options": options}
        stream: Stream[ChatCompletionChunk] = self.client.chat.completions.create(**request)
        text: list[str] = []
        calls: set[int] = set()
        model, usage = "", None
        for chunk in stream:
            model = chunk.model or model
            usage = _usage(chunk.usage) or usage
            for choice in chunk.choices:
                text.append(choice.delta.content or "")
                calls.update(call.index for call in choice.delta.tool_calls or ())
        headers = stream.response.headers
        return Reply(
            ask,
            request_id=headers.get("x-request-id", ""),
            text="".join(text),
            tool_calls=len(calls),
            served_by=model,
            verdict=headers.get("x-haechi-verdict", ""),
            usage=usage,
        )


_MAKE: Mapping[str, Callable[[openai.OpenAI, Ask], Any]] = {
    "image": lambda c, ask: c.images.with_raw_response.generate(
        model=ask.model, prompt=ask.prompt, size="1024x1024", quality="medium"
    ),
    "video": lambda c, ask: c.videos.with_raw_response.create(
        model=ask.model, prompt=ask.prompt, seconds="4"
    ),
    "speech": lambda c, ask: c.audio.speech.with_raw_response.create(
        model=ask.model, input=ask.prompt, voice="alloy"
    ),
    "transcription": lambda c, ask: c.audio.transcriptions.with_raw_response.create(
        model=ask.model, file=("recording.wav", _a_second_of_silence(), "audio/wav"), prompt=ask.prompt
    ),
    "embedding": lambda c, ask: c.embeddings.with_raw_response.create(model=ask.model, input=ask.prompt),
}


def _a_second_of_silence() -> bytes:
    held = io.BytesIO()
    with wave.open(held, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8_000)
        file.writeframes(bytes(16_000))
    return held.getvalue()


def _usage(stated: Any) -> Usage | None:  # noqa: ANN401 - the SDK's own type of two shapes
    return Usage(stated.prompt_tokens, stated.completion_tokens) if stated else None


def send_all(work: Sequence[tuple[Sender, Ask]], clients: int) -> Iterator[Reply]:
    """Send everything with `clients` threads; yield each reply as it completes."""
    with ThreadPoolExecutor(max_workers=clients) as pool:
        for done in as_completed([pool.submit(sender.send, ask) for sender, ask in work]):
            yield done.result()
