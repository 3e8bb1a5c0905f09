"""Answers of OpenAI Responses, streamed or whole, into deltas, a Completion and Usage. See responses.py."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from gateway.domain import NOTHING
from gateway.providers import failures, profiles
from gateway.providers.blocks import Blocks
from gateway.providers.decoding import AnswerDecoder, writable
from gateway.providers.openai_usage import report_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gateway.catalogue import Deployment
    from gateway.domain import JSON, Choice, Delta, UsageReport

_ENDS: Final = frozenset(
    {"response.completed", "response.incomplete", "response.failed", "response.cancelled"}
)
_INCOMPLETE: Final = {"max_output_tokens": "length", "content_filter": "content_filter"}


class Decoder(AnswerDecoder):
    def __init__(self, deployment: Deployment, *, stream: bool) -> None:
        super().__init__(stream=stream)
        self._profile = profiles.of(deployment)
        self._blocks = Blocks()
        self._searches = 0
        self._spoken: set[int] = set()
        """Messages of which something came."""
        self._unnamed: dict[int, str] = {}
        """Ids of reasoning of which nothing came: its first delta, and its proof, bring it."""
        self._readers: dict[str, Callable[[Mapping[str, JSON], list[Delta]], None]] = {
            "response.output_text.delta": self._text,
            "response.refusal.delta": self._refusal,
            "response.reasoning_summary_text.delta": self._thought,
            "response.reasoning_text.delta": self._thought,
            "response.function_call_arguments.delta": self._arguments,
            "response.custom_tool_call_input.delta": self._arguments,
            "response.output_item.added": self._begin,
            "response.output_item.done": self._end,
            "response.output_text.annotation.added": self._annotate,
            "error": self._fail,
        }

    def choices(self) -> tuple[Choice, ...]:
        return (self._blocks.as_choice(),) if self._blocks else ()

    def report(self, raw: Mapping[str, JSON], *, partial: bool) -> UsageReport:
        report = report_of(raw, self._profile, partial=partial)
        if self._searches and report.usage.searches is None:
            return replace(report, usage=replace(report.usage, searches=self._searches))
        return report

    def take_body(self, body: JSON, deltas: list[Delta]) -> None:
        if "output" not in body:
            self.failure = failures.from_event(body["error"])
            return
        self._take_head(body)
        self._whole_output(body, deltas)
        self._stop(body, deltas)

    def take_event(self, event: JSON, deltas: list[Delta]) -> None:
        kind = event["type"]
        if reader := self._readers.get(kind):
            reader(event, deltas)
        elif response := event.get("response"):
            self._take_head(response)
            if kind in _ENDS:
                if not self._blocks:  # a server that streams only the end
                    self._whole_output(response, deltas)
                self._stop(response, deltas)
                self.ended = self.failure is None

    # --- the response as a whole -----------------------------------------------------------------

    def _take_head(self, response: Mapping[str, JSON]) -> None:
        self.id = response.get("id") or self.id
        self.served_model = response.get("model") or self.served_model
        self.service_tier = response.get("service_tier") or self.service_tier
        self.raw_usage = response.get("usage") or self.raw_usage  # before what may not be readable
        created = response.get("created_at")
        self.created = int(created) if isinstance(created, int | float) else self.created

    def _whole_output(self, response: Mapping[str, JSON], deltas: list[Delta]) -> None:
        for index, item in enumerate(response.get("output") or ()):
            place = {"output_index": index, "item": item}
            self._begin(place, deltas)
            self._whole_contents(index, item, deltas)
            for summary in item.get("summary") or ():
                self._thought({"output_index": index, "delta": summary.get("text") or ""}, deltas)
            self._end(place, deltas)

    def _whole_contents(self, index: int, item: Mapping[str, JSON], deltas: list[Delta]) -> None:
        for number, content in enumerate(item.get("content") or ()):
            self._whole_content({"output_index": index, "content_index": number}, content, deltas)

    def _whole_content(
        self, place: dict[str, JSON], content: Mapping[str, JSON], deltas: list[Delta]
    ) -> None:
        match content.get("type"):
            case "output_text":
                logprobs = content.get("logprobs")
                self._text({**place, "delta": content.get("text") or "", "logprobs": logprobs}, deltas)
                for annotation in content.get("annotations") or ():
                    self._annotate({"annotation": annotation}, deltas)
            case "refusal":
                self._refusal({**place, "delta": content.get("refusal") or ""}, deltas)
            case "reasoning_text":
                self._thought({**place, "delta": content.get("text") or ""}, deltas)

    def _stop(self, response: Mapping[str, JSON], deltas: list[Delta]) -> None:
        if failure := response.get("error"):
            self.failure = failures.from_event(failure)
        status = response.get("status")
        if status == "completed":
            deltas.append(self._blocks.finish("tool_calls" if self._blocks.has_calls else "stop"))
        elif status == "incomplete":
            reason = (response.get("incomplete_details") or NOTHING).get("reason") or "length"
            deltas.append(self._blocks.finish(_INCOMPLETE.get(reason, reason)))
        elif status in {"queued", "in_progress"}:  # asked about before its end
            self.truncated = True
        elif status in {"failed", "cancelled"} and self.failure is None:
            self.failure = failures.from_event({"type": status})

    # --- its pieces ------------------------------------------------------------------------------

    def _text(self, event: Mapping[str, JSON], deltas: list[Delta]) -> None:
        self._spoken.add(event["output_index"])
        delta = self._blocks.text((event["output_index"], event.get("content_index") or 0), event["delta"])
        if logprobs := event.get("logprobs"):
            before = self._blocks.logprobs["content"] if self._blocks.logprobs else []
            self._blocks.logprobs = {"content": before + writable(logprobs)}
            delta = delta._replace(logprobs={"content": logprobs})
        deltas.append(delta)

    def _refusal(self, event: Mapping[str, JSON], deltas: list[Delta]) -> None:
        self._spoken.add(event["output_index"])
        deltas.append(self._blocks.refuse(event["delta"]))

    def _thought(self, event: Mapping[str, JSON], deltas: list[Delta]) -> None:
        delta = self._blocks.reasoning(event["output_index"], event["delta"])
        if delta.reasoning and (id_ := self._unnamed.pop(event["output_index"], None)):
            delta = delta._replace(extra={"reasoning_id": id_})
        deltas.append(delta)

    def _arguments(self, event: Mapping[str, JSON], deltas: list[Delta]) -> None:
        deltas.append(self._blocks.arguments(event["output_index"], event["delta"]))

    def _annotate(self, event: Mapping[str, JSON], deltas: list[Delta]) -> None:
        annotation = event["annotation"]
        if annotation.get("type") == "url_citation":
            deltas.append(self._blocks.cite(annotation.get("url") or "", annotation.get("title") or ""))

    def _begin(self, event: Mapping[str, JSON], deltas: list[Delta]) -> None:
        """Begin an item; what the provider ran itself is no part of the answer."""
        index, item = event["output_index"], event["item"]
        if item["type"] in {"function_call", "custom_tool_call"}:
            extra = {"namespace": writable(space)} if (space := item.get("namespace")) else NOTHING
            id_ = item.get("call_id") or item.get("id") or ""
            deltas.append(self._blocks.call(index, id_, item["name"], extra=extra))
        elif item["type"] == "reasoning" and (id_ := _id_of(item)):
            self._unnamed[index] = id_

    def _end(self, event: Mapping[str, JSON], deltas: list[Delta]) -> None:
        """End an item, with what only its end holds."""
        index, item = event["output_index"], event["item"]
        if self._blocks.arguments_of(index) is None:
            self._begin(event, deltas)  # a server that names an item only when it is whole
        match item["type"]:
            case "function_call" | "custom_tool_call" if self._blocks.arguments_of(index) == "":
                arguments = item.get("arguments") or item.get("input") or ""
                deltas.append(self._blocks.arguments(index, arguments))
            case "message" if index not in self._spoken:
                self._whole_contents(index, item, deltas)
            case "reasoning":
                id_ = _id_of(item)
                if proof := item.get("encrypted_content"):
                    delta = self._blocks.signature(index, proof)
                    named = {"reasoning_id": id_} if id_ else NOTHING
                    deltas.append(delta._replace(extra={**(delta.extra or NOTHING), **named}))
                self._blocks.attach(index, {"id": id_} if id_ else NOTHING)
            case "web_search_call":
                action = item.get("action") or NOTHING
                self._searches += action.get("type", "search") == "search"
            case "image_generation_call" if item.get("result"):
                media_type = f"image/{item.get('output_format') or 'png'}"
                deltas.append(self._blocks.image(index, f"data:{media_type};base64,{item['result']}"))

    def _fail(self, event: Mapping[str, JSON], _deltas: list[Delta]) -> None:
        self.failure = failures.from_event(event.get("error") or event)


def _id_of(item: Mapping[str, JSON]) -> str | None:
    return id_ if isinstance(id_ := item.get("id"), str) and id_ else None
