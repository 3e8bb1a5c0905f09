"""One conversation with everything in it, for every wire format to write in its own way."""

from __future__ import annotations

from typing import Any

from gateway.domain import (
    File,
    Image,
    Message,
    Reasoning,
    ResponseFormat,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)

PNG = "data:image/png;base64,iVBORw0KGgo="
PDF = File("보고서.pdf", "data:application/pdf;base64,JVBERi0=")
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = Tool("get_weather", "날씨를 알려준다", SCHEMA)
TIME = Tool("get_time", None, None)

MESSAGES = (
    Message("system", (Text("공공기관 문체로 답하세요."),)),
    Message("developer", (Text("짧게."),)),
    Message("user", (Text("이 그림과 보고서의 도시는?"), Image(PNG, "low"), PDF)),
    Message(
        "assistant",
        (
            Reasoning("그림을 보니 서울이다", signature="c2ln"),
            Text("확인하겠습니다."),
            ToolCall("call_a", "get_weather", '{"city":"서울"}'),
            ToolCall("call_b", "get_time", ""),
        ),
    ),
    Message("tool", (ToolResult("call_a", (Text("맑음"), Image(PNG))),)),
    Message("tool", (ToolResult("call_b", (Text("고장"),), is_error=True),)),
    Message("user", (Text("정리해 주세요."),)),
)

PARAMETERS: dict[str, Any] = {
    "messages": MESSAGES,
    "tools": (WEATHER, TIME),
    "tool_choice": ToolChoice("named", "get_weather"),
    "max_output_tokens": 4000,
    "temperature": 0.5,
    "top_p": 0.9,
    "stop": ("끝",),
    "user": "person-1",
}

FORM = ResponseFormat("json_schema", "answer", SCHEMA, strict=True)
