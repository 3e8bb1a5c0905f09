"""Every address against every provider family: real clients, a real gateway, the simulator or llama.cpp.

A cell holds when the client reads what the provider says it said, and the client's usage, the charge and the
provider's own books agree token by token. `python -m tests.journeys.matrix` renews the table in docs/providers.md.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import subprocess
import sys
import tempfile
import wave
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anthropic
import openai

from billing.usage import CLASSES, INPUT_TOKEN_CLASSES, OUTPUT_TOKEN_CLASSES
from gateway.demo import local_llm
from gateway.demo.children import Child
from simulator.surfaces.media import png
from tests.conftest import ROOT
from tests.journeys import llama_server
from tests.journeys.conftest import CONFIG, Gateway, Simulator, install, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

DOCUMENT = ROOT / "docs" / "providers.md"
START, END = "<!-- journeys -->", "<!-- /journeys -->"
LOCAL = "llama.cpp"

# --- the gateway ---------------------------------------------------------------------------------

FAMILIES: dict[str, str] = {
    "openai": 'base_url = "{simulator}/openai/v1"\nwire = "openai"\nprofile = "openai"',
    "responses": 'base_url = "{simulator}/openai/v1"\nwire = "responses"',
    "anthropic": 'base_url = "{simulator}/anthropic"\nwire = "anthropic"',
    "gemini": 'base_url = "{simulator}/google"\nwire = "gemini"',
    "bedrock": 'base_url = "{simulator}/aws"\nwire = "bedrock"\nregion = "ap-northeast-2"',
    "cohere": 'base_url = "{simulator}/cohere"\nwire = "cohere"',
}
MODELS = {
    "chat": "any",
    "embedding": "any",
    "image": "image",
    "speech": "speech",
    "transcription": "transcription",
    "video": "video",
}
UPSTREAM = {
    ("bedrock", "embedding"): "cohere.embed-multilingual-v3",
    ("bedrock", "image"): "amazon.nova-canvas-v1:0",
    ("gemini", "image"): "gemini-3-image",
}


def config(simulator: str, local: str, local_embeddings: str) -> str:
    """All providers stand in house, where the policy lets pictures and recordings pass unread."""
    text = CONFIG.format(simulator=simulator, filter='in_house_model = "house-model"', faulty=simulator)
    text = text.replace("drain_s = 1.0", "drain_s = 1.0\nvideo_poll_s = 0.05") + "\n[routing]\nattempts = 1\n"
    for name, family in FAMILIES.items():
        text += f'\n[[providers]]\nname = "{name}"\nzone = "in_house"\n{family.format(simulator=simulator)}\n'
        text += "".join(_model(name, kind, UPSTREAM.get((name, kind), "some-model")) for kind in MODELS)
    for name, url in ((LOCAL, local), (f"{LOCAL}-embeddings", local_embeddings)):
        text += f'\n[[providers]]\nname = "{name}"\nzone = "in_house"\nbase_url = "{url}/v1"\nprofile = "llamacpp"\n'
    text += _model(LOCAL, "chat", local_llm.MODEL_ID)
    return text + _model(LOCAL, "embedding", local_llm.MODEL_ID, f"{LOCAL}-embeddings")


def _model(family: str, kind: str, upstream: str, provider: str = "") -> str:
    provider = provider or family
    deployment = f'{{ provider = "{provider}", upstream_model = "{upstream}", price_key = "{MODELS[kind]}" }}'
    return f'\n[[models]]\nid = "{family}-{kind}"\nkind = "{kind}"\ndeployments = [{deployment}]\n'


@dataclass
class Bench:
    """A running gateway, the two clients that everybody has, and the providers' own books."""

    gateway: Gateway
    openai: openai.OpenAI
    anthropic: anthropic.Anthropic
    local: str
    local_embeddings: str
    family: str = ""

    def model(self, kind: str = "chat") -> str:
        return f"{self.family}-{kind}"

    def bounds(self, limit: str) -> dict[str, Any]:
        """Bound an answer; the real model takes a while for each token, and shall not roll dice."""
        return {limit: 96, "extra_body": {"temperature": 0}} if self.family == LOCAL else {limit: 2000}

    def question(self, feature: str) -> str:
        """Return what is asked; the small model calls a tool only where its examples lead it there."""
        return llama_server.CALLING if self.family == LOCAL and "tool" in feature else TEXT

    def local_totals(self, row: str) -> local_llm.TokenTotals:
        """Return what the llama.cpp behind an address has counted."""
        return local_llm.token_totals(self.local_embeddings if row == "/v1/embeddings" else self.local)


@contextmanager
def bench(folder: Path) -> Iterator[Bench]:
    """Start the simulator, llama.cpp and a gateway before them."""
    with ExitStack() as held:
        simulator = held.enter_context(_simulator())
        local = held.enter_context(Child(llama_server.command(), folder / "llm.log")).ready()["url"]
        vectors = Child(llama_server.command("--embeddings"), folder / "embeddings.log")
        local_embeddings = held.enter_context(vectors).ready()["url"]
        text = config(simulator.url, local, local_embeddings).replace(
            '"sqlite:///haechi.db"', f'"sqlite:///{folder}/haechi.db"'
        )
        made = Gateway("", folder, install(folder, text), simulator)
        made.issue("p1", person_id="p1")
        made.url = held.enter_context(serving(made.settings))
        key: dict[str, Any] = {"api_key": made.keys["p1"], "max_retries": 0, "timeout": 60}
        one = held.enter_context(openai.OpenAI(base_url=f"{made.url}/v1", **key))
        other = held.enter_context(anthropic.Anthropic(base_url=made.url, **key))
        yield Bench(made, one, other, local, local_embeddings)


@contextmanager
def _simulator() -> Iterator[Simulator]:
    process = subprocess.Popen([sys.executable, "-m", "simulator"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield Simulator(json.loads(process.stdout.readline())["url"])
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


# --- what clients ask and read -------------------------------------------------------------------

TEXT = "도로 점용 허가 절차를 설명해 주세요."
SCHEMA = {
    "type": "object",
    "properties": {"부서": {"type": "string", "enum": ["총무과", "인사과"]}},
    "required": ["부서"],
    "additionalProperties": False,
}
PICTURE = png(8, 8, "해치")
DATA_URL = f"data:image/png;base64,{base64.b64encode(PICTURE).decode()}"


@dataclass
class Seen:
    """What a client read: `usage` is (input, output) as its own dialect states it; None where it has none."""

    request_id: str
    text: str = ""
    tools: list[str] = field(default_factory=list)
    usage: tuple[int, int] | None = None
    right: bool = True


def chat(bench: Bench, feature: str) -> Seen:
    tool = {
        "type": "function",
        "function": {"name": "find", "description": "부서 찾기", "parameters": SCHEMA},
    }
    asked: dict[str, Any] = {
        "model": bench.model(),
        "messages": [{"role": "user", "content": bench.question(feature)}],
        **bench.bounds("max_completion_tokens"),
    }
    if "tool" in feature:
        asked |= {"tools": [tool], "tool_choice": "required"}
    if feature == "picture":
        parts = [{"type": "text", "text": TEXT}, {"type": "image_url", "image_url": {"url": DATA_URL}}]
        asked["messages"] = [{"role": "user", "content": parts}]
    if feature == "schema":
        spec = {"name": "answer", "schema": SCHEMA, "strict": True}
        asked["response_format"] = {"type": "json_schema", "json_schema": spec}
    if "stream" not in feature:
        raw = bench.openai.chat.completions.with_raw_response.create(**asked)
        done = raw.parse()
        message, usage = done.choices[0].message, done.usage
        tools = [call.function.name for call in message.tool_calls or ()]
        return Seen(_id(raw), message.content or "", tools, (usage.prompt_tokens, usage.completion_tokens))
    raw = bench.openai.chat.completions.with_raw_response.create(
        **asked, stream=True, stream_options={"include_usage": True}
    )
    seen = Seen(_id(raw))
    for chunk in raw.parse():
        for choice in chunk.choices:
            seen.text += choice.delta.content or ""
            seen.tools += [c.function.name for c in choice.delta.tool_calls or () if c.function.name]
        if chunk.usage:
            seen.usage = (chunk.usage.prompt_tokens, chunk.usage.completion_tokens)
    return seen


def responses(bench: Bench, feature: str) -> Seen:
    asked: dict[str, Any] = {"model": bench.model(), "input": bench.question(feature)}
    asked |= bench.bounds("max_output_tokens")
    if "tool" in feature:
        tool = {
            "type": "function",
            "name": "find",
            "description": "부서 찾기",
            "parameters": SCHEMA,
            "strict": False,
        }
        asked |= {"tools": [tool], "tool_choice": "required"}
    if feature == "picture":
        parts = [{"type": "input_text", "text": TEXT}, {"type": "input_image", "image_url": DATA_URL}]
        asked["input"] = [{"role": "user", "content": parts}]
    if feature == "schema":
        asked["text"] = {
            "format": {"type": "json_schema", "name": "answer", "schema": SCHEMA, "strict": True}
        }
    raw = bench.openai.responses.with_raw_response.create(**asked, stream="stream" in feature)
    said = None
    if "stream" in feature:
        events = list(raw.parse())
        said = "".join(e.delta for e in events if e.type == "response.output_text.delta")
        done = events[-1].response
    else:
        done = raw.parse()
    tools = [item.name for item in done.output if item.type == "function_call"]
    usage = (done.usage.input_tokens, done.usage.output_tokens)
    return Seen(_id(raw), done.output_text, tools, usage, right=said is None or said == done.output_text)


def messages(bench: Bench, feature: str) -> Seen:
    asked: dict[str, Any] = {
        "model": bench.model(),
        **bench.bounds("max_tokens"),
        "messages": [{"role": "user", "content": bench.question(feature)}],
    }
    if "tool" in feature:
        tool = {"name": "find", "description": "부서 찾기", "input_schema": SCHEMA}
        asked |= {"tools": [tool], "tool_choice": {"type": "any"}}
    if feature == "picture":
        data = base64.b64encode(PICTURE).decode()
        picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}
        asked["messages"] = [{"role": "user", "content": [{"type": "text", "text": TEXT}, picture]}]
    if feature == "schema":
        asked["output_config"] = {"format": {"type": "json_schema", "schema": SCHEMA}}
    if "stream" in feature:
        with bench.anthropic.messages.stream(**asked) as stream:
            said: str | None = "".join(stream.text_stream)
            done, request_id = stream.get_final_message(), stream.response.headers["x-request-id"]
    else:
        raw = bench.anthropic.messages.with_raw_response.create(**asked)
        said, done, request_id = None, raw.parse(), _id(raw)
    text = "".join(block.text for block in done.content if block.type == "text")
    tools = [block.name for block in done.content if block.type == "tool_use"]
    cached = (done.usage.cache_read_input_tokens or 0) + (done.usage.cache_creation_input_tokens or 0)
    usage = (done.usage.input_tokens + cached, done.usage.output_tokens)
    return Seen(request_id, text, tools, usage, right=said is None or said == text)


def embeddings(bench: Bench, _feature: str) -> Seen:
    raw = bench.openai.embeddings.with_raw_response.create(
        model=bench.model("embedding"), input=[TEXT, "회신"]
    )
    made = raw.parse()
    right = len(made.data) == 2 and made.data[0].embedding != made.data[1].embedding
    return Seen(_id(raw), usage=(made.usage.prompt_tokens, 0), right=right)


def images(bench: Bench, _feature: str) -> Seen:
    wanted = 1 if bench.family == "gemini" else 2  # Google draws one at a time, and says so
    raw = bench.openai.images.with_raw_response.generate(model=bench.model("image"), prompt=TEXT, n=wanted)
    drawn = raw.parse().data
    return Seen(_id(raw), right=[_is_png(one.b64_json) for one in drawn] == [True] * wanted)


def edits(bench: Bench, _feature: str) -> Seen:
    raw = bench.openai.images.with_raw_response.edit(
        model=bench.model("image"), image=("seal.png", PICTURE, "image/png"), prompt=TEXT
    )
    return Seen(_id(raw), right=_is_png(raw.parse().data[0].b64_json))


def speech(bench: Bench, _feature: str) -> Seen:
    raw = bench.openai.audio.speech.with_raw_response.create(
        model=bench.model("speech"), voice="alloy", input=TEXT, response_format="wav"
    )
    return Seen(_id(raw), right=raw.http_response.content.startswith(b"RIFF"))


def transcription(bench: Bench, _feature: str) -> Seen:
    sound = io.BytesIO()
    with wave.open(sound, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(16000 * 3))
    raw = bench.openai.audio.transcriptions.with_raw_response.create(
        model=bench.model("transcription"), file=("회의.wav", sound.getvalue(), "audio/wav")
    )
    return Seen(_id(raw), right="3초" in raw.parse().text)


def video(bench: Bench, _feature: str) -> Seen:
    raw = bench.openai.videos.with_raw_response.create(model=bench.model("video"), prompt=TEXT, seconds="8")
    film = raw.parse()
    for _ in range(100):
        film = bench.openai.videos.retrieve(film.id)
        if film.status in ("completed", "failed"):
            break
        bench.gateway.charges(_id(raw))  # takes a moment
    right = film.status == "completed" and b"ftyp" in bench.openai.videos.download_content(film.id).read()
    return Seen(_id(raw), right=right)


def _id(raw: Any) -> str:
    return raw.headers["x-request-id"]


def _is_png(encoded: str) -> bool:
    return base64.b64decode(encoded).startswith(b"\x89PNG")


# --- the cells -----------------------------------------------------------------------------------

CHAT_FEATURES = ("text", "text stream", "tool", "tool stream", "picture", "schema")
ROWS: dict[str, tuple[Callable[[Bench, str], Seen], tuple[str, ...]]] = {
    "/v1/chat/completions": (chat, CHAT_FEATURES),
    "/v1/responses": (responses, CHAT_FEATURES),
    "/v1/messages": (messages, CHAT_FEATURES),
    "/v1/embeddings": (embeddings, ("texts",)),
    "/v1/images/generations": (images, ("prompt",)),
    "/v1/images/edits": (edits, ("picture",)),
    "/v1/audio/speech": (speech, ("text",)),
    "/v1/audio/transcriptions": (transcription, ("recording",)),
    "/v1/videos": (video, ("prompt",)),
}
ABSENT = "·"
"""llama.cpp has no such thing: no address for pictures, sound and films, and no model here has eyes."""
LOCAL_ROWS = ("/v1/chat/completions", "/v1/responses", "/v1/messages", "/v1/embeddings")


@dataclass
class Tried:
    """One cell: what the client saw, or how it was refused or failed."""

    feature: str
    seen: Seen | None = None
    outcome: str = ""
    counted: tuple[int, ...] = ()
    """By llama.cpp itself."""


def try_one(bench: Bench, row: str, feature: str) -> Tried:
    before = bench.local_totals(row) if bench.family == LOCAL else None
    try:
        tried = Tried(feature, ROWS[row][0](bench, feature))
    except (openai.BadRequestError, anthropic.BadRequestError) as error:
        refused = error.body.get("error", error.body) if isinstance(error.body, dict) else {}
        return Tried(feature, outcome="–" if refused.get("code") == "unsupported_feature" else str(error))
    except (openai.OpenAIError, anthropic.AnthropicError) as error:
        return Tried(feature, outcome=f"{type(error).__name__}: {error}")
    if before is not None:
        tried.counted = tuple(bench.local_totals(row).since(before))
    return tried


def column(bench: Bench, family: str) -> dict[tuple[str, str], str]:
    """Try every cell of one family, then judge all by the books."""
    bench.family = family
    tried: dict[tuple[str, str], Tried] = {}
    for row, (_, features) in ROWS.items():
        for feature in features:
            tries = family != LOCAL or (row in LOCAL_ROWS and feature != "picture")
            tried[row, feature] = try_one(bench, row, feature) if tries else Tried(feature, outcome=ABSENT)
    books = Books.of(bench)
    return {place: one.outcome or "; ".join(_faults(one, books)) or "✓" for place, one in tried.items()}


@dataclass
class Books:
    """The gateway's charges by request, and what the simulator was asked and has answered by attempt."""

    charges: dict[str, list[dict[str, Any]]]
    answered: dict[str, list[dict[str, Any]]]

    @classmethod
    def of(cls, bench: Bench) -> Books:
        charges: dict[str, list[dict[str, Any]]] = {}
        for charge in bench.gateway.rows("SELECT * FROM ledger_charge"):
            charges.setdefault(charge["request_id"], []).append(charge)
        lines = bench.gateway.simulator.ledger()
        answered: dict[str, list[dict[str, Any]]] = {}
        for line in lines:
            if line["kind"] == "answered":
                answered.setdefault(line["attempt_id"], []).append(line)
        asked = {line["attempt_id"] for line in lines if line["kind"] == "asked"}
        assert asked == answered.keys(), "what was refused by name never arrived"
        return cls(charges, answered)


def _faults(tried: Tried, books: Books) -> Iterator[str]:
    seen = tried.seen
    assert seen is not None, "neither refused nor failed"
    if not seen.right:
        yield "the client did not read what it asked for"
    if "tool" in tried.feature and seen.tools != ["find"]:
        yield f"tools: {seen.tools} {seen.text[:80]!r}"
    if tried.feature == "schema" and not _fits(seen.text):
        yield f"not what the schema wants: {seen.text[:80]!r}"
    charges = books.charges.get(seen.request_id, [])
    if len(charges) != 1:
        yield f"{len(charges)} charges"
        return
    charged = {name: charges[0][name] for name in CLASSES if charges[0][name]}
    tokens = tuple(
        sum(charged.get(name, 0) for name in names) for names in (INPUT_TOKEN_CLASSES, OUTPUT_TOKEN_CLASSES)
    )
    if seen.usage is not None and seen.usage != tokens:
        yield f"the client read {seen.usage}, charged were {tokens}"
    if tried.counted:
        said = seen.text or seen.tools or tried.feature == "texts"
        if tried.counted != tokens or not said:
            yield f"llama.cpp counted {tried.counted}, charged were {tokens}"
    else:
        yield from _faults_in_books(seen, charged, books.answered.get(charges[0]["attempt_id"], []))


def _faults_in_books(seen: Seen, charged: Mapping[str, int], answered: list[dict[str, Any]]) -> Iterator[str]:
    if len(answered) != 1:
        yield f"{len(answered)} answers in the provider's books"
        return
    if seen.text and hashlib.sha256(seen.text.encode()).hexdigest() != answered[0]["answered_sha256"]:
        yield "another text than the provider's"
    billed = {name: n for name, n in answered[0]["tokens"].items() if n}
    if "characters" in billed:  # speech is billed by these; how long it lasts is nobody's business
        del billed["audio_ms"]
    if _named_alike(charged) != billed:
        yield f"charged {dict(charged)}, the provider's books say {billed}"


def _fits(text: str) -> bool:
    try:
        return set(json.loads(text)) == {"부서"}
    except ValueError:
        return False


def _named_alike(charged: Mapping[str, int]) -> dict[str, int]:
    """Return the charge in the words of the simulator's books."""
    alike = {name: quantity for name, quantity in charged.items() if not name.startswith("cache_write_")}
    written = sum(quantity for name, quantity in charged.items() if name.startswith("cache_write_"))
    return alike | ({"cache_write": written} if written else {})


def table(columns: Mapping[str, Mapping[tuple[str, str], str]]) -> str:
    """Return the table of docs/providers.md."""
    lines = [f"| address | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    for row, (_, features) in ROWS.items():
        marks = [
            "".join(found[row, f] if len(found[row, f]) == 1 else "✗" for f in features)
            for found in columns.values()
        ]
        lines.append(f"| `{row}` | {' | '.join(f'`{m}`' for m in marks)} |")
    return "\n".join(lines)


def shown() -> str:
    """Return the table as docs/providers.md has it."""
    text = DOCUMENT.read_text(encoding="utf-8")
    return text[text.index(START) + len(START) : text.index(END)].strip()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, bench(Path(folder)) as running:
        columns = {family: column(running, family) for family in (*FAMILIES, LOCAL)}
    for family, found in columns.items():
        for place, outcome in found.items():
            if len(outcome) > 1:
                print(family, *place, outcome)
    text = DOCUMENT.read_text(encoding="utf-8")
    start, end = text.index(START), text.index(END)
    DOCUMENT.write_text(f"{text[:start]}{START}\n{table(columns)}\n{text[end:]}", encoding="utf-8")


if __name__ == "__main__":
    main()
