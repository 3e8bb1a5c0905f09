"""What is wrong with a haechi.toml, in words: line, key, Korean and English, and a suggestion."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel

from gateway.toml_lines import line_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

    from billing.price_tables import PriceTableError
    from filters.errors import PolicyError
    from gateway.toml_lines import KeyPath


@dataclass(frozen=True, slots=True)
class ConfigMistake:
    """`key` as a person writes it: `models[0].deployments[1].price_key`."""

    line: int
    key: str
    korean: str
    english: str

    def __str__(self) -> str:
        return f"{self.line}행 (line {self.line}) {self.key}: {self.korean} / {self.english}"


class ConfigError(Exception):
    """Every mistake of one file, in the order of its lines."""

    def __init__(self, path: Path, mistakes: Iterable[ConfigMistake]) -> None:
        self.path = path
        self.mistakes = tuple(sorted(mistakes, key=lambda mistake: mistake.line))
        super().__init__("\n".join(f"{path}: {mistake}" for mistake in self.mistakes))


class Mistakes:
    """Collects mistakes and finds their lines."""

    def __init__(self, lines: dict[KeyPath, int]) -> None:
        self._lines = lines
        self.found: list[ConfigMistake] = []

    def add(self, path: KeyPath, korean: str, english: str) -> None:
        mistake = ConfigMistake(line_of(self._lines, path), written(path), korean, english)
        if mistake not in self.found:  # several deployments may trip over one provider
            self.found.append(mistake)

    def unknown(self, path: KeyPath, name: str, known: Iterable[str], where: str) -> None:
        """A name that refers to nothing, with the nearest one there is."""
        korean, english = _suggestion(name, known)
        self.add(path, f"{where}에 '{name}'이(가) 없습니다.{korean}", f"{where} has no '{name}'.{english}")

    def of_validation(self, error: ValidationError, root: type[BaseModel]) -> None:
        for details in error.errors(include_url=False):
            self.add(tuple(details["loc"]), *_words(details, root))

    def of_prices(self, error: PriceTableError) -> None:
        for problem in error.problems:
            self.add((*parsed(problem.entry), problem.field), problem.korean, problem.english)

    def of_policy(self, path: KeyPath, error: PolicyError) -> None:
        """A policy's message begins with the key that it is about: `policy.external.types.KR_RRN: …`."""
        key, separator, message = str(error).partition(": ")
        inside = parsed(key.removeprefix("policy").lstrip(".")) if separator and " " not in key else ()
        self.add((*path, *inside), f"정책을 읽을 수 없습니다: {message or error}", message or str(error))


def not_toml(error: Exception, data: bytes) -> ConfigMistake:
    if isinstance(error, UnicodeDecodeError):
        line = data[: error.start].count(b"\n") + 1
        return ConfigMistake(
            line, "", "UTF-8이 아닙니다. UTF-8로 저장하세요.", "Not UTF-8. Save it as UTF-8."
        )
    match = re.search(r"\(at line (\d+), column \d+\)", str(error))
    last = data.count(b"\n") + 1
    reason = re.sub(r" \(at .*\)$", "", str(error))
    return ConfigMistake(
        int(match.group(1)) if match else last,
        "",
        f"TOML 문법이 아닙니다: {reason}",
        f"Not TOML: {reason}",
    )


def written(path: KeyPath) -> str:
    """Write a path as a person would: `models[0].id`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.lstrip(".")


def parsed(text: str) -> KeyPath:
    """Read what `written` writes."""
    steps = re.findall(r"\[(\d+)\]|([^.\[\]]+)", text)
    return tuple(int(index) if index else name for index, name in steps)


def _words(details: ErrorDetails, root: type[BaseModel]) -> tuple[str, str]:
    """Put one pydantic error into Korean and English."""
    kind, context = details["type"], details.get("ctx", {})
    if kind == "extra_forbidden":
        known = _fields_at(root, tuple(details["loc"])[:-1])
        korean, english = _suggestion(str(details["loc"][-1]), known)
        return f"알 수 없는 항목입니다.{korean}", f"Unknown key.{english}"
    if kind == "literal_error":
        expected = str(context.get("expected", ""))
        korean, english = _suggestion(str(details["input"]), re.findall(r"'([^']+)'", expected))
        return f"{expected} 가운데 하나여야 합니다.{korean}", f"Must be one of {expected}.{english}"
    if kind == "value_error":  # one of our own validators, in both languages
        korean, _, english = str(context.get("error", "")).partition(" / ")
        return korean, english
    korean = _KOREAN.get(kind, "값이 올바르지 않습니다.")
    english = details["msg"].replace("Input should be", "It must be")
    return korean.format_map(_Lenient(context)), f"{english}."


_KOREAN = {
    "missing": "꼭 필요한 항목입니다.",
    "string_type": "글자(따옴표로 묶은 값)여야 합니다.",
    "int_type": "정수여야 합니다.",
    "float_type": "숫자여야 합니다.",
    "bool_type": "true 또는 false여야 합니다.",
    "list_type": '배열이어야 합니다. 예: ["…"]',
    "dict_type": "표여야 합니다.",
    "model_type": "표여야 합니다.",
    "greater_than": "{gt}보다 커야 합니다.",
    "greater_than_equal": "{ge} 이상이어야 합니다.",
    "less_than_equal": "{le} 이하여야 합니다.",
    "string_too_short": "비워 둘 수 없습니다.",
    "string_too_long": "{max_length}자를 넘을 수 없습니다.",
    "string_pattern_mismatch": "형식이 올바르지 않습니다({pattern}).",
    "too_short": "하나 이상 있어야 합니다.",
}


class _Lenient(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "…"


def _suggestion(name: str, known: Iterable[str]) -> tuple[str, str]:
    names = list(known)
    close = difflib.get_close_matches(name, names, 1, cutoff=0.5)
    if close:
        return f" '{close[0]}'을(를) 쓰려던 것입니까?", f" Did you mean '{close[0]}'?"
    if names and len(names) <= 12:
        listed = ", ".join(names)
        return f" 쓸 수 있는 값: {listed}.", f" Possible here: {listed}."
    return "", ""


def _fields_at(root: type[BaseModel], path: KeyPath) -> Iterable[str]:
    """Return the keys that the table at `path` may have."""
    model: type[BaseModel] | None = root
    for step in path:
        if isinstance(step, int):
            continue
        field = model.model_fields.get(step) if model else None
        model = _model_in(field.annotation) if field else None
    return model.model_fields if model else ()


def _model_in(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401 - a type expression
    """Return the table type inside `X`, `X | None` or `list[X]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_model_in(argument) for argument in get_args(annotation))
    return next((model for model in found if model is not None), None)
