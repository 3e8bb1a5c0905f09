"""What the forms of administration share: days, reasons, mistakes, and what a colleague did meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import quote

from fastapi import Depends, Request

from gateway.accounts import shown_text
from gateway.audit import AuditEvent, Deed
from gateway.imports import Mistake

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.console.parts import ConsoleParts
    from gateway.console.session import Visitor
    from gateway.organisation import Person, Unit

REASON_MOST: Final = 300
NAME_MOST: Final = 80
ID_MOST: Final = 64

NOT_A_DAY: Final = Mistake(0, "날짜를 골라 주세요.", "Choose a day.")
NO_REASON: Final = Mistake(
    0,
    "바꾸는 까닭을 적어 주세요. 접속 기록에 남습니다.",
    "Say why. It is kept in the access audit.",
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a form comes back: its values, what is wrong with them, what a colleague made of the thing."""

    values: Mapping[str, str]
    mistakes: Sequence[Mistake] = ()
    colleague: Sequence[Any] = ()
    """The versions as they are by now, where somebody else was faster."""

    @property
    def status(self) -> int:
        if self.colleague:
            return 409
        return 400 if self.mistakes else 200


async def _posted(request: Request) -> Mapping[str, str]:
    form = await request.form()
    return {name: value for name, value in form.items() if isinstance(value, str)}


Posted = Annotated[Mapping[str, str], Depends(_posted)]
"""The text fields of a form; a handler cuts each to what it may be."""


def deed(parts: ConsoleParts, visitor: Visitor, reason: str) -> Deed:
    return Deed(parts.now(), visitor.actor, reason)


def page_of(path: str, thing: str) -> str:
    """Return the address of the page of one thing: a code may hold any letter."""
    return f"{path}/{quote(thing)}"


def day_of(text: str) -> date | None:
    """Return the day that a date field holds; None for anything else."""
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        return None


def line(text: str, most: int = NAME_MOST) -> str:
    """Return one line of a form without what could disguise it."""
    return shown_text(text, most)


def reason_of(text: str) -> str:
    return shown_text(text, REASON_MOST)


def ending_mistakes(values: Mapping[str, str]) -> list[Mistake]:
    """Return what is wrong with a form that ends something on a day."""
    found = []
    if day_of(values["day"]) is None:
        found.append(NOT_A_DAY)
    if not values["reason"]:
        found.append(NO_REASON)
    return found


def is_done(now: Sequence[Unit | Person], asked: Unit | Person) -> bool:
    """Whether a history holds what was asked for already: the form was only sent twice."""
    return any(replace(version, valid_to=None) == replace(asked, valid_to=None) for version in now)


def seen_by(parts: ConsoleParts, visitor: Visitor, action: str, subject: str = "", **details: object) -> None:
    """Write down that personal data was looked at or taken out."""
    parts.audit.record(AuditEvent(parts.now(), visitor.actor, action, subject, details=details))
