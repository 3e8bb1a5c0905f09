"""Values that are made with every request: frozen for the type checker, without a guard when they are made.

A frozen dataclass sets each field through `object.__setattr__`, which for the thirty values of a
request came to 4 % of its time. What is assigned to a field is refused by mypy all the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar, dataclass_transform

if TYPE_CHECKING:
    from collections.abc import Callable

    Made = TypeVar("Made")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(made: type[Made]) -> type[Made]:
    """Make a class a dataclass with slots, equality and a hash, to be treated as frozen."""
    return dataclass(slots=True, unsafe_hash=True)(made)


def changed(one: Made, **fields_: Any) -> Made:  # noqa: ANN401 - each field has its own type
    """Return a copy with other values in some fields, as dataclasses.replace; for records of many fields."""
    kind: Any = type(one)
    read, places = _fields_of(kind)
    values = list(read(one))
    for name, value in fields_.items():
        values[places[name]] = value
    return kind(*values)  # type: ignore[no-any-return]


@cache
def _fields_of(kind: Any) -> tuple[Callable[[object], tuple[object, ...]], dict[str, int]]:  # noqa: ANN401
    names = [one.name for one in fields(kind)]
    return attrgetter(*names), {name: place for place, name in enumerate(names)}
