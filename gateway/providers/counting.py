"""From what a provider states to one disjoint Usage. Pure arithmetic; knows no wire format.

Null, absent and 0 stay three things: the first two are `None`. A statement that contradicts itself is
never thrown away: it is flagged, and what is missing is booked where it costs most.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final

from billing.usage import INPUT_TOKEN_CLASSES, OUTPUT_TOKEN_CLASSES, TOKEN_CLASSES, Usage
from gateway.domain import JSON, NOTHING, UsageReport

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


MAX_COUNT = 2**53
"""Beyond this a figure is no count of anything."""
_MOST_DIGITS: Final = len(str(MAX_COUNT))
_LONGEST_COST: Final = 60


def part(raw: Mapping[str, JSON], name: str) -> Mapping[str, JSON]:
    """Return an object member, empty if it is absent, null or something else."""
    value = raw.get(name)
    return value if isinstance(value, dict) else NOTHING


def count(raw: Mapping[str, JSON], *names: str) -> int | None:
    """Return the first of `names` that holds a number; negative numbers are kept for `settled` to flag.

    Digits in a text count: so JSON is written from 64-bit integers (https://protobuf.dev/programming-guides/json/).
    """
    for name in names:
        value = raw.get(name)
        if value is None:
            continue
        if type(value) is not int and _is_whole(value):
            value = int(value)
        if type(value) is int and abs(value) < MAX_COUNT:
            return value
    return None


def _is_whole(value: JSON) -> bool:
    if type(value) is float:
        return value.is_integer()
    return type(value) is str and len(value) <= _MOST_DIGITS and value.isdecimal()


def summed(*counts: int | None) -> int | None:
    """Add what is stated; None if nothing is."""
    stated = [c for c in counts if c is not None]
    return sum(stated) if stated else None


def rest(whole: int | None, *inside: int | None) -> int | None:
    """Take the stated parts out of a whole; None if the whole is not stated. May be negative."""
    if whole is None:
        return None
    for stated in inside:
        if stated:
            whole -= stated
    return whole


def within(quantity: int | None, room: int | None) -> int | None:
    """Bound a class that may overlap another already counted (cached audio is cached and audio)."""
    return quantity if quantity is None or room is None else min(quantity, max(room, 0))


def usd(value: JSON) -> Decimal | None:
    """Read a stated cost. JSON numbers arrive as floats; their shortest digits are what was sent.

    One of an absurd size is none: it has no place in a ledger, and its exact fraction takes seconds.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        cost = Decimal(str(value))
    except InvalidOperation:
        return None
    is_amount = cost.is_finite() and cost >= 0
    is_absurd = len(str(value)) > _LONGEST_COST or abs(cost.adjusted()) > _MOST_DIGITS
    return cost if is_amount and not is_absurd else None


def settled(
    classes: Mapping[str, int | None],
    raw: Mapping[str, JSON],
    *,
    provider_total: int | None = None,
    stated_cost_usd: Decimal | None = None,
    beside_total: int = 0,
    contradiction: bool = False,
) -> UsageReport:
    """Build the report, and flag it if its classes do not add up to the provider's own total.

    A negative remainder (a part larger than its whole) shrinks the largest other class of its side,
    so that the side still sums to what the provider counted. Tokens that the total has and no class
    explains are booked as output, the dearest class. `beside_total` are tokens that the provider bills
    and leaves out of its total. Without a total, a side of which nothing can be read makes the report a
    partial one: what it does not say is estimated, not free.
    """
    stated = {name: quantity for name, quantity in classes.items() if quantity is not None}
    negative = min(stated.values(), default=0) < 0
    if negative:
        stated = _mended(stated)
    counted = sum([quantity for name, quantity in stated.items() if name in _TOKENS])
    unexplained = 0 if provider_total is None else provider_total + beside_total - counted
    if unexplained > 0:
        stated["output"] = stated.get("output", 0) + unexplained
    usage = Usage(**stated, quarantined=negative or unexplained != 0 or contradiction)
    partial = (provider_total is None or provider_total < 0) and _is_silent(classes, stated)
    return UsageReport(usage, raw, provider_total, stated_cost_usd, partial)


def _is_silent(asked: Collection[str], stated: Collection[str]) -> bool:
    """Whether nothing is stated of a side that was looked for, and nothing else that is billed instead."""
    if not _INSTEAD_OF_TOKENS.isdisjoint(stated):
        return False
    return any(side[0] in asked and not any(name in stated for name in side) for side in _SIDES)


_SIDES: Final = (INPUT_TOKEN_CLASSES, OUTPUT_TOKEN_CLASSES)
_INSTEAD_OF_TOKENS: Final = frozenset({"images", "characters", "audio_ms", "video_ms"})
_TOKENS: Final = frozenset(TOKEN_CLASSES)


def _mended(classes: dict[str, int]) -> dict[str, int]:
    """What is left without negative quantities; a side of a negative sum is left with none."""
    mended: dict[str, int | None] = dict(classes)
    for side in _SIDES:
        if sum(mended.get(name) or 0 for name in side) < 0:
            mended |= dict.fromkeys(side)
        _mend(mended, side)
    return {name: quantity for name, quantity in mended.items() if quantity is not None and quantity >= 0}


def _mend(classes: dict[str, int | None], side: tuple[str, ...]) -> None:
    """Move a negative remainder of one side into its largest class."""
    remainder = side[0]  # `input` and `output` are what is left after their parts
    missing = classes.get(remainder)
    if missing is None or missing >= 0:
        return
    classes[remainder] = 0
    largest = max(side[1:], key=lambda name: classes.get(name) or 0)
    classes[largest] = max(0, (classes.get(largest) or 0) + missing)
