"""Reads fields of a request body for every surface: typed, bounded, named when wrong. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from gateway.domain import JSON, NOTHING
from gateway.errors import InvalidRequest, UnsupportedFeature

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

KIND_NAMES: Final[dict[Any, str]] = {
    str: "문자열/a string",
    int: "정수/an integer",
    (int, float): "숫자/a number",
    bool: "true 또는 false/true or false",
    list: "목록/a list",
    dict: "객체/an object",
}


def model_of(body: Mapping[str, JSON], field: str = "model") -> str:
    value = body.get(field)
    if not isinstance(value, str) or not value:
        raise InvalidRequest(
            "'model'이 없습니다. 쓸 모델의 이름을 넣으세요. 목록: GET /v1/models",
            "'model' is missing. Name the model to use; GET /v1/models lists them.",
            param="model",
            code="missing_field",
        )
    return value


def messages_of(body: Mapping[str, JSON]) -> list[JSON]:
    """Return the list under `messages`, which must hold something; its items are not looked at."""
    value = body.get("messages")
    if not isinstance(value, list):
        raise wrong_type("messages", "메시지 목록/a list of messages")
    if not value:
        raise InvalidRequest(
            "'messages'가 비어 있습니다. 메시지를 하나 이상 보내세요.",
            "'messages' is empty. Send at least one message.",
            param="messages",
            code="empty_messages",
        )
    return value


def object_of(body: JSON) -> dict[str, JSON]:
    """Return the body if it is a JSON object, without fields that pretend to be ours."""
    if not isinstance(body, dict):
        raise InvalidRequest(
            "요청 본문은 JSON 객체여야 합니다.",
            "The request body must be a JSON object.",
        )
    for name in body:
        if name.startswith("haechi"):
            raise InvalidRequest(
                f"'{name}'은(는) 해치가 아는 필드가 아닙니다. 이 필드를 지우고 다시 보내세요.",
                f"'{name}' is not a field that Haechi knows. Remove it and send again.",
                param=name,
                code="unknown_field",
            )
    return body


def refuse(body: Mapping[str, JSON], field: str, korean: str, english: str) -> None:
    """Refuse a field that asks for what this gateway does not offer; null and false ask for nothing."""
    if body.get(field) not in (None, False, [], {}):
        raise UnsupportedFeature(f"'{field}': {korean}", f"'{field}': {english}", param=field)


def optional(body: Mapping[str, JSON], field: str, kind: type | tuple[type, ...]) -> Any:  # noqa: ANN401
    """Return the field or None; null counts as absent. A bool is no number."""
    value = body.get(field)
    if value is None:
        return None
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise wrong_type(field, KIND_NAMES[kind])
    return value


def wrong_type(field: str, kind: str) -> InvalidRequest:
    korean, english = kind.split("/")
    return InvalidRequest(
        f"'{field}'의 형식이 잘못되었습니다. {korean}(으)로 보내세요.",
        f"'{field}' has the wrong type. Send {english}.",
        param=field,
        code="invalid_type",
    )


def number(low: float, high: float) -> Callable[[Mapping[str, JSON], str], float | None]:
    def read(body: Mapping[str, JSON], field: str) -> float | None:
        value: float | None = optional(body, field, (int, float))
        if value is not None and not low <= value <= high:
            raise out_of_range(field, low, high)
        return value

    return read


def integer(low: int, high: int) -> Callable[[Mapping[str, JSON], str], int | None]:
    def read(body: Mapping[str, JSON], field: str) -> int | None:
        value: int | None = optional(body, field, int)
        if value is not None and not low <= value <= high:
            raise out_of_range(field, low, high)
        return value

    return read


def out_of_range(field: str, low: float, high: float) -> InvalidRequest:
    return InvalidRequest(
        f"'{field}'의 값은 {low:g} 이상 {high:g} 이하여야 합니다.",
        f"'{field}' must be between {low:g} and {high:g}.",
        param=field,
        code="invalid_value",
    )


def of_kind(kind: type) -> Callable[[Mapping[str, JSON], str], Any]:
    return lambda body, field: optional(body, field, kind)


def rest(item: Mapping[str, JSON], taken: Collection[str]) -> Mapping[str, JSON]:
    """Return the members that are not `taken`."""
    others = item.keys() - taken
    return {name: value for name, value in item.items() if name in others} if others else NOTHING
