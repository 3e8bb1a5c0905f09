"""Checks a value against the JSON Schema of an OCSF class, as far as such schemas go.

`data/ocsf-1.8.0-data_security_finding.json` was made from the published OCSF 1.8.0 by ocsf-json-schema 1.2.0
(class data_security_finding, profiles incident and security_control); titles and descriptions are left out.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_SCHEMA = json.loads((Path(__file__).parent / "data/ocsf-1.8.0-data_security_finding.json").read_text())
_KINDS = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
}


def faults(event: dict[str, Any]) -> list[str]:
    return list(_faults(event, _SCHEMA, ""))


def _faults(value: Any, schema: dict[str, Any], at: str) -> Iterator[str]:
    if "$ref" in schema:
        schema = _SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema and all(list(_faults(value, one, at)) for one in schema["anyOf"]):
        yield f"{at}: fits none of the alternatives"
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(_is(value, kind) for kind in kinds):
        yield f"{at}: is no {kinds}"
        return
    if value not in schema.get("enum", [value]) or value != schema.get("const", value):
        yield f"{at}: {value!r} is not one of its values"
    yield from _PARTS.get(type(value), _of_number)(value, schema, at)


def _of_object(value: dict[str, Any], schema: dict[str, Any], at: str) -> Iterator[str]:
    yield from (f"{at}: lacks {name}" for name in schema.get("required", []) if name not in value)
    properties = schema.get("properties", {})
    for name, child in value.items():
        if name in properties:
            yield from _faults(child, properties[name], f"{at}.{name}")
        elif schema.get("additionalProperties") is False:
            yield f"{at}: knows no {name}"


def _of_array(value: list[Any], schema: dict[str, Any], at: str) -> Iterator[str]:
    for index, child in enumerate(value):
        yield from _faults(child, schema.get("items", {}), f"{at}[{index}]")


def _of_text(value: str, schema: dict[str, Any], at: str) -> Iterator[str]:
    if len(value) > schema.get("maxLength", len(value)) or not re.search(schema.get("pattern", ""), value):
        yield f"{at}: {value!r} has not the form"


def _of_number(value: float, schema: dict[str, Any], at: str) -> Iterator[str]:
    if not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        yield f"{at}: {value} is out of range"


_PARTS: dict[type, Any] = {dict: _of_object, list: _of_array, str: _of_text}


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(value, _KINDS[kind])
