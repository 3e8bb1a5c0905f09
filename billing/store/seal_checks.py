"""What seals say against a ledger: pure comparisons for billing.store.verification."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from billing.seals import NOTHING_BEFORE, holds, public_key
from billing.tables import seals as seal_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from billing.seals import Seal


SET_BACK: Final = (
    "봉인된 행이 없습니다. 원장이 되돌려졌습니다 / a sealed row is gone: the ledger was set back"
)
UNSIGNED: Final = "봉인의 서명이 맞지 않습니다 / the seal's signature does not hold"
UNLINKED: Final = "앞 봉인이 지워졌거나 바뀌었습니다 / the seal before is gone or changed"
NOT_AS_EXPORTED: Final = "밖에 보관한 봉인과 다릅니다 / not the seal that was kept elsewhere"


class Problem(NamedTuple):
    """What is wrong, and where.

    `what`: changed, removed, reordered, inserted, head, quote, total, orphan_line, unknown_key,
    seal, sealed.
    """

    what: str
    table: str
    row_id: str
    slot: int
    seq: int
    message: str


class SealedPlace(NamedTuple):
    """A row that a seal names."""

    seal: int
    mac: str


def sealed_places(all_seals: Iterable[Seal]) -> dict[tuple[int, int], SealedPlace]:
    """Rows that seals name, by slot and sequence number."""
    return {
        (head.slot, head.seq): SealedPlace(seal.number, head.mac) for seal in all_seals for head in seal.heads
    }


def missing_places(left: Mapping[tuple[int, int], SealedPlace]) -> list[Problem]:
    """Rows that a seal names and nobody found: the ledger was set back."""
    return [_problem(slot, seq, place.seal, SET_BACK) for (slot, seq), place in left.items()]


def seal_problems(
    stored: Sequence[Seal], exported: Sequence[Seal], keys: Mapping[int, bytes]
) -> list[Problem]:
    """Seals that nobody signed, that are missing, or that differ from those kept elsewhere."""
    public = {version: public_key(key) for version, key in keys.items()}
    problems = []
    number, previous = 0, NOTHING_BEFORE
    for seal in stored:
        if seal.key_version not in public or not holds(seal, public[seal.key_version]):
            problems.append(_problem(0, 0, seal.number, UNSIGNED))
        if seal.number != number + 1 or seal.previous != previous:
            problems.append(
                _problem(
                    0,
                    0,
                    seal.number,
                    UNLINKED,
                )
            )
        number, previous = seal.number, seal.digest
    by_number = {seal.number: seal for seal in stored}
    problems += [
        _problem(0, 0, seal.number, NOT_AS_EXPORTED)
        for seal in exported
        if by_number.get(seal.number) != seal
    ]
    return problems


def _problem(slot: int, seq: int, number: int, message: str) -> Problem:
    return Problem("seal", seal_table.name, str(number), slot, seq, message)
