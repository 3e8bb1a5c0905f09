"""What the simulated models say: templates in Korean, filled from the prompt, the same every time.

Mask tokens such as ⟦PERSON_1⟧ are repeated where they stand in the prompt, since a real model would
and their restoration can only be seen that way. No claim is made about law or facts; every answer
says that it is an example.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from simulator import tokens
from simulator.exchange import JSON, Answer, Counts, Finish, Prompt, Tool, ToolCall

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NOTICE = "※ 시뮬레이터가 만든 예시 답변입니다."
TOKENS_PER_MESSAGE = 3
TOKENS_PER_IMAGE = 85
TOOL: Finish = "tool"

_MASK = re.compile(r"⟦[A-Z_]+_\d+⟧")
_SENTENCE_END = re.compile(r"(?<=[.?!])\s+|\n+")


def answer(prompt: Prompt) -> Answer:
    """Answer `prompt`, within its `max_tokens`."""
    limit = prompt.max_tokens if prompt.max_tokens is not None else 1 << 30
    reasoning = tokens.first(_reasoning(prompt), limit // 2)
    reasoning_tokens = tokens.count(reasoning)
    calls = _tool_calls(prompt)
    text, finish = ("", TOOL) if calls else _cut(_text(prompt), limit - reasoning_tokens)
    output = tokens.count(text) + sum(tokens.count(call.name + call.arguments) for call in calls)
    return Answer(text, reasoning, calls, finish, _counts(prompt, output, reasoning_tokens))


def _cut(text: str, limit: int) -> tuple[str, Finish]:
    kept = tokens.first(text, max(limit, 0))
    return kept, "stop" if kept == text else "length"


def _counts(prompt: Prompt, output: int, reasoning: int) -> Counts:
    """Split the input by the digest: 0 to 3 eighths from the cache, sometimes an eighth into it."""
    total = (
        tokens.count(prompt.everything)
        + TOKENS_PER_MESSAGE * prompt.messages
        + TOKENS_PER_IMAGE * prompt.images
    )
    read = total * (prompt.digest[0] % 4) // 8
    written = total // 8 if prompt.digest[1] % 3 == 0 else 0
    return Counts(total - read - written, read, written, output * prompt.choices, reasoning * prompt.choices)


def _reasoning(prompt: Prompt) -> str:
    """Two requests in five are thought about first, chosen by the digest."""
    if prompt.digest[2] % 5 > 1:
        return ""
    steps = ("질문의 요지를 확인한다.", "필요한 근거와 빠진 정보를 나눈다.", "공문서 문체로 답을 구성한다.")
    return " ".join(steps[: 1 + prompt.digest[3] % 3])


# --- text ----------------------------------------------------------------------------------------


def _text(prompt: Prompt) -> str:
    if prompt.json_schema is not None:
        return json.dumps(instance(prompt.json_schema, _topic(prompt.question)), ensure_ascii=False)
    if prompt.tool_results:
        return _with_notice(
            "조회 결과를 정리하면 다음과 같습니다.\n" + "\n".join(prompt.tool_results), prompt
        )
    for words, template in _TEMPLATES:
        if any(word in prompt.question for word in words):
            return _with_notice(template(prompt.question), prompt)
    return _with_notice(_general(prompt.question), prompt)


def _with_notice(body: str, prompt: Prompt) -> str:
    unsaid = [mask for mask in dict.fromkeys(_MASK.findall(prompt.everything)) if mask not in body]
    kept = f"\n원문의 {', '.join(unsaid)} 표기는 그대로 두었습니다." if unsaid else ""
    return f"{body}{kept}\n{NOTICE}"


def _summary(question: str) -> str:
    points = [f"{number}. {sentence}" for number, sentence in enumerate(_key_sentences(question), 1)]
    return "핵심 내용은 다음과 같습니다.\n" + "\n".join(points)


def _complaint(question: str) -> str:
    who = next((mask for mask in _MASK.findall(question) if mask.startswith("⟦PERSON")), "민원인")
    return (
        f"안녕하십니까, {who}님. 서울특별시 행정국입니다.\n"
        f"1. 귀하께서 말씀하신 내용은 '{_topic(question)}'에 관한 것으로 이해됩니다.\n"
        "2. 불편을 드린 점 양해를 구하며, 담당 부서에서 현황을 확인하여 처리하겠습니다.\n"
        "3. 처리 결과는 접수일부터 정해진 기한 안에 안내해 드리겠습니다. 감사합니다."
    )


def _statute(question: str) -> str:
    return (
        f"'{_topic(question)}'에 대한 검토 순서입니다.\n"
        "1. 적용 법령: 국가법령정보센터(law.go.kr)에서 현행 조문과 시행일을 확인합니다.\n"
        "2. 위임 관계: 시행령·시행규칙과 자치법규(elis.go.kr)의 세부 기준을 함께 봅니다.\n"
        "3. 해석: 법제처 해석례와 소관 부처 질의회신을 대조하고, 다툼이 있으면 법률자문을 받습니다."
    )


def _report(question: str) -> str:
    return (
        f"제목: {_topic(question)} 추진계획(안)\n"
        "□ 추진배경\n ㅇ 현황과 문제점을 수치로 제시하고 근거 자료를 붙임\n"
        "□ 추진내용\n ㅇ 대상, 기간, 소요예산, 협조부서를 표로 정리\n"
        "□ 기대효과\n ㅇ 업무 처리시간 단축과 시민 체감 개선\n"
        "□ 향후계획\n ㅇ 관계부서 협의 → 방침 결재 → 시행"
    )


def _general(question: str) -> str:
    return (
        f"'{_topic(question)}'에 대해 답변드립니다.\n"
        "먼저 목적과 대상을 분명히 하고, 근거 규정과 선례를 확인한 다음, 필요한 협의 부서와 일정을 "
        "정하는 순서로 진행하시기를 권합니다."
    )


_TEMPLATES: tuple[tuple[tuple[str, ...], Callable[[str], str]], ...] = (
    (("요약", "정리해"), _summary),
    (("민원", "답변"), _complaint),
    (("법", "조례", "규정", "지침"), _statute),
    (("보고서", "계획", "초안", "작성"), _report),
)


def _key_sentences(question: str) -> list[str]:
    """Pick up to three sentences, evenly spread over the document in the question."""
    sentences = [s.strip() for s in _SENTENCE_END.split(question)]
    worthwhile = [s for s in sentences[1:] if 15 <= len(s) <= 160] or sentences[:1]
    step = max(1, len(worthwhile) // 3)
    return worthwhile[::step][:3]


def _topic(question: str) -> str:
    """Name the subject: the first line with words in it, at most forty characters, no cut mask."""
    line = next((line.strip() for line in question.splitlines() if line.strip()), "문의하신 내용")
    if len(line) <= 40:
        return line.rstrip(".?!")
    head = line[:40]
    return (head[: head.rindex("⟦")] if head.count("⟦") > head.count("⟧") else head).strip() + "…"


# --- tools and structured output -----------------------------------------------------------------


def _tool_calls(prompt: Prompt) -> tuple[ToolCall, ...]:
    """Call the first tool once, unless its result is already there."""
    if not prompt.tools or (prompt.tool_results and not prompt.must_call):
        return ()
    tool: Tool = prompt.tools[0]
    arguments = json.dumps(instance(tool.schema or {}, _topic(prompt.question)), ensure_ascii=False)
    return (ToolCall(f"call_{prompt.digest.hex()[:20]}", tool.name, arguments),)


def instance(schema: Mapping[str, JSON], topic: str) -> JSON:
    """Make a small value that satisfies a JSON schema of the usual kind (no $ref)."""
    if "enum" in schema:
        return schema["enum"][0]
    if "const" in schema:
        return schema["const"]
    alternatives = schema.get("anyOf") or schema.get("oneOf")
    if alternatives:
        return instance(alternatives[0], topic)
    kind = schema.get("type", "object")
    return _of_type(kind[0] if isinstance(kind, list) else kind, schema, topic)


def _of_type(kind: str, schema: Mapping[str, JSON], topic: str) -> JSON:
    if kind == "object":
        return {name: instance(sub, topic) for name, sub in schema.get("properties", {}).items()}
    if kind == "array":
        return [instance(schema.get("items", {"type": "string"}), topic)]
    smallest = schema.get("minimum", 1)
    plain = {"integer": int(smallest), "number": float(smallest), "boolean": True, "null": None}
    return plain.get(kind, topic)
