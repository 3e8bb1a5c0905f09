"""The rows of the ledger and the chain that binds them. Pure: no SQL, no clock, no thread.

    Dispatch   one attempt at a provider, written before the provider is called
    Charge     what that attempt cost; exactly one of kind `charge` per attempt, in the end

Rows are never changed: a correction is another Charge that names the one it corrects and holds the
difference, so that sums over all rows are right. `record_of` turns an entry into plain columns, as
the tables hold them; `sealed` and `chain` bind them into one chain of HMACs per writer slot.
"""

from __future__ import annotations

import hashlib
import os
import threading
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from operator import attrgetter
from random import Random
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias
from uuid import UUID

import orjson

from billing.periods import to_us
from billing.quotes import Line, Quote, total
from billing.usage import CLASSES, Usage, UsageSource

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from decimal import Decimal
    from hashlib import _Hash as HASH

FORMAT: Final = 1
"""Version of the canonical bytes. A new column means a new format; old rows keep theirs."""

GENESIS: Final = bytes(32)
"""What the first row of a slot is chained to."""


class Kind(StrEnum):
    CHARGE = "charge"
    CORRECTION = "correction"
    RECONCILIATION = "reconciliation"
    CACHE_HIT = "cache_hit"


class Outcome(StrEnum):
    """How an attempt ended."""

    SUCCESS = "success"
    ERROR = "error"
    """An answer that could not be used (not what the wire format promises)."""
    REFUSED_BY_PROVIDER = "refused_by_provider"
    """The provider answered 4xx or 5xx."""
    TIMEOUT = "timeout"
    BROKEN = "broken"
    """A stream that ended before its end."""
    CLIENT_GONE = "client_gone"
    NOT_SENT = "not_sent"
    """Proven: not a byte of the request reached the provider. Charged 0."""
    ADOPTED = "adopted"
    """Its writer died; another one charged an estimate of at most the hold."""
    CORRECTED = "corrected"
    """Of corrections and reconciliations."""


class CostBasis(StrEnum):
    COMPUTED = "computed"
    STATED = "stated"
    """The provider stated the cost; the statement is kept and charged."""


@lru_cache(maxsize=4096)
def _path(units: tuple[str, ...]) -> str:
    return "/".join(unit.replace("/", "%2F") for unit in units)


@dataclass(frozen=True, slots=True)
class Attribution:
    """Who pays for an attempt and what answered it: the same on its dispatch and its charges.

    `unit_path` runs from the institution down to the person's unit; `department_id` (과) is in it.
    `label` marks side calls of the gateway itself (`title`, `probe`), empty for people's requests.
    """

    person_id: str
    key_id: str
    department_id: str
    unit_path: tuple[str, ...]
    model_id: str
    deployment_id: str
    provider: str
    upstream_model: str
    zone: str
    surface: str
    stream: bool = False
    via_service: str | None = None
    label: str = ""

    def row(self) -> tuple[Any, ...]:
        """Columns in the order of ATTRIBUTION_COLUMNS."""
        return (
            self.person_id,
            self.key_id,
            self.department_id,
            _path(self.unit_path),
            self.model_id,
            self.deployment_id,
            self.provider,
            self.upstream_model,
            self.zone,
            self.surface,
            int(self.stream),
            self.via_service,
            self.label,
        )


@dataclass(frozen=True, slots=True)
class Dispatch:
    """One attempt at a provider, durable before a byte of it leaves.

    `billing_period` is the Korean month `started_at` lies in, or the next open one if that is locked.
    `input_bytes` and `max_output_tokens` bound the hold, and an estimate if the writer dies.
    """

    attempt_id: str
    request_id: str
    started_at: datetime
    billing_period: str
    attribution: Attribution
    quote: Quote
    hold_nano_krw: int
    input_bytes: int = 0
    max_output_tokens: int | None = None
    attempt_no: int = 1


@dataclass(frozen=True, slots=True)
class Charge:
    """What one attempt cost. `lines` sum to the amount; in a correction they are differences.

    `usage` of a correction may be None; `usage_delta` then holds the differences by class.
    `raw_usage` is the provider's usage object as JSON text: figures only, never text of the answer.
    `first_token_us` counts from `started_at`.
    """

    charge_id: str
    attempt_id: str
    request_id: str
    attribution: Attribution
    outcome: str
    source: UsageSource
    usage: Usage
    lines: tuple[Line, ...]
    started_at: datetime
    settled_at: datetime
    billing_period: str
    quote_id: str
    kind: Kind = Kind.CHARGE
    corrects: str | None = None
    cost_basis: CostBasis = CostBasis.COMPUTED
    stated_cost: Decimal | None = None
    stated_currency: str | None = None
    service_tier: str | None = None
    served_model: str | None = None
    provider_request_id: str | None = None
    raw_usage: str | None = None
    http_status: int | None = None
    first_token_us: int | None = None
    usage_delta: Mapping[str, int] | None = None
    reason: str | None = None
    held_nano_krw: int = field(default=0, compare=False)
    """What its dispatch held and is free again; no column."""

    @property
    def amount_nano_krw(self) -> int:
        return total(self.lines)

    @classmethod
    def not_sent(cls, dispatch: Dispatch, settled_at: datetime, reason: str) -> Charge:
        """Charge 0 for an attempt of which no byte left; the same id however often it is called."""
        return cls.settle(
            dispatch,
            charge_id=derived_id("not_sent", dispatch.attempt_id),
            settled_at=settled_at,
            outcome=Outcome.NOT_SENT,
            source=UsageSource.NONE,
            usage=Usage(),
            reason=reason,
        )

    @classmethod
    def settle(  # noqa: PLR0913 - the fields that every settlement decides, all by name
        cls,
        dispatch: Dispatch,
        *,
        charge_id: str,
        settled_at: datetime,
        outcome: str,
        source: UsageSource,
        usage: Usage,
        stated_cost_usd: Decimal | None = None,
        service_tier: str | None = None,
        **more: Any,  # noqa: ANN401 - any further field of Charge
    ) -> Charge:
        """Charge a dispatch by its own frozen quote.

        A cost that the provider stated in dollars is charged as stated if the quote froze a dollar
        rate; the computed cost is charged otherwise, and the statement kept beside it.
        """
        quote = dispatch.quote
        stated = stated_cost_usd is not None and quote.fx is not None and quote.fx.base == "USD"
        lines = (
            quote.rate_stated(stated_cost_usd, "USD")
            if stated and stated_cost_usd is not None
            else quote.rate(usage, service_tier)
        )
        return cls(
            charge_id=charge_id,
            attempt_id=dispatch.attempt_id,
            request_id=dispatch.request_id,
            attribution=dispatch.attribution,
            outcome=outcome,
            source=source,
            usage=usage,
            lines=lines,
            started_at=dispatch.started_at,
            settled_at=settled_at,
            billing_period=dispatch.billing_period,
            quote_id=quote.id,
            cost_basis=CostBasis.STATED if stated else CostBasis.COMPUTED,
            stated_cost=stated_cost_usd,
            stated_currency=None if stated_cost_usd is None else "USD",
            service_tier=service_tier,
            held_nano_krw=dispatch.hold_nano_krw,
            **more,
        )


@dataclass(frozen=True, slots=True)
class Row:
    """A row of another table that must be durable together with the ledger's (receipts, audit).

    `table` is a name the sink was given; `values` are plain columns: str, int, bool, None, and lists
    or dicts for JSON columns.
    """

    table: str
    values: Mapping[str, Any] = field(repr=False)


Entry: TypeAlias = Dispatch | Charge | Row

# --- columns -------------------------------------------------------------------------------------

DISPATCH_TABLE: Final = "ledger_dispatch"
CHARGE_TABLE: Final = "ledger_charge"
LINE_TABLE: Final = "ledger_charge_line"

ATTRIBUTION_COLUMNS: Final = (
    "person_id",
    "key_id",
    "department_id",
    "unit_path",
    "model_id",
    "deployment_id",
    "provider",
    "upstream_model",
    "zone",
    "surface",
    "stream",
    "via_service",
    "label",
)
DISPATCH_COLUMNS: Final = (
    "attempt_id",
    "request_id",
    "attempt_no",
    "started_at_us",
    "billing_period",
    *ATTRIBUTION_COLUMNS,
    "quote_id",
    "price_key",
    "price_version",
    "hold_nano_krw",
    "input_bytes",
    "max_output_tokens",
)
CHARGE_COLUMNS: Final = (
    "charge_id",
    "attempt_id",
    "request_id",
    "kind",
    "corrects",
    "outcome",
    "source",
    "cost_basis",
    "billing_period",
    "started_at_us",
    "settled_at_us",
    "first_token_us",
    "http_status",
    *ATTRIBUTION_COLUMNS,
    "quote_id",
    *CLASSES,
    "quarantined",
    "service_tier",
    "amount_nano_krw",
    "stated_cost",
    "stated_currency",
    "served_model",
    "provider_request_id",
    "raw_usage",
    "reason",
)
LINE_COLUMNS: Final = (
    "token_class",
    "quantity",
    "unit_price",
    "currency",
    "per",
    "price_version",
    "fx_rate",
    "fx_date",
    "amount_nano_krw",
    "basis",
)


class Record(NamedTuple):
    """An entry as plain columns: what is written, chained and, while the database is away, spilled."""

    table: str
    values: tuple[Any, ...]
    lines: tuple[tuple[Any, ...], ...] = ()
    columns: tuple[str, ...] | None = None
    """Names of `values` for tables other than the ledger's own."""
    quote_id: str | None = None
    quote_document: str | None = None

    @property
    def attempt_id(self) -> str | None:
        if self.table == DISPATCH_TABLE:
            return str(self.values[0])
        return str(self.values[1]) if self.table == CHARGE_TABLE else None


_classes: Final = attrgetter(*CLASSES)


def record_of(entry: Entry) -> Record:
    """Plain columns of an entry."""
    if isinstance(entry, Dispatch):
        return _dispatch_record(entry)
    if isinstance(entry, Charge):
        return _charge_record(entry)
    return Record(entry.table, tuple(map(_plain, entry.values.values())), columns=tuple(entry.values))


def line_row(line: Line) -> tuple[Any, ...]:
    """Columns of a line in the order of LINE_COLUMNS."""
    return (
        line.token_class,
        line.quantity,
        str(line.unit_price),
        line.currency,
        line.per,
        line.price_version,
        None if line.fx_rate is None else str(line.fx_rate),
        None if line.fx_date is None else line.fx_date.isoformat(),
        line.amount_nano_krw,
        line.basis,
    )


_JSON: Final = (list, tuple, dict)


def _plain(value: Any) -> Any:  # noqa: ANN401 - a column of any table
    """JSON columns travel as text; both databases take it."""
    return orjson.dumps(value).decode() if isinstance(value, _JSON) else value


def _clean(text: str | None, most: int) -> str | None:
    """What a provider sent must not make its charge unwritable: no NUL, no lone surrogate, not endless."""
    if text is None or (text.isascii() and len(text) <= most and "\0" not in text):
        return text
    return text[:most].replace("\0", "").encode(errors="replace").decode()


def _dispatch_record(entry: Dispatch) -> Record:
    quote = entry.quote
    values = (
        entry.attempt_id,
        entry.request_id,
        entry.attempt_no,
        to_us(entry.started_at),
        entry.billing_period,
        *entry.attribution.row(),
        quote.id,
        quote.price.key,
        quote.price.version,
        entry.hold_nano_krw,
        entry.input_bytes,
        entry.max_output_tokens,
    )
    return Record(DISPATCH_TABLE, values, quote_id=quote.id, quote_document=quote.document)


def _charge_record(entry: Charge) -> Record:
    usage, delta = entry.usage, entry.usage_delta
    classes = _classes(usage) if delta is None else tuple(delta.get(name) for name in CLASSES)
    lines = tuple(map(line_row, entry.lines))
    amount = total(entry.lines)
    values = (
        entry.charge_id,
        entry.attempt_id,
        entry.request_id,
        str(entry.kind),
        entry.corrects,
        str(entry.outcome),
        str(entry.source),
        str(entry.cost_basis),
        entry.billing_period,
        to_us(entry.started_at),
        to_us(entry.settled_at),
        entry.first_token_us,
        entry.http_status,
        *entry.attribution.row(),
        entry.quote_id,
        *classes,
        int(usage.quarantined),
        _clean(entry.service_tier, 100),
        amount,
        None if entry.stated_cost is None else str(entry.stated_cost),
        entry.stated_currency,
        _clean(entry.served_model, 300),
        _clean(entry.provider_request_id, 300),
        _clean(entry.raw_usage, 16_000),
        entry.reason,
    )
    return Record(CHARGE_TABLE, values, lines)


# --- the chain -----------------------------------------------------------------------------------


def canonical(record: Record, slot: int, epoch: int) -> bytes:
    """Bytes that the chain binds: the same from an entry and from the row read back."""
    return orjson.dumps((FORMAT, record.table, slot, epoch, record.values, record.lines))


def chain(previous_mac: bytes, seq: int, row: bytes, key: bytes) -> bytes:
    """HMAC-SHA256 of a row, its place and the row before it."""
    inner, outer = _hmac_states(key)
    inner, outer = inner.copy(), outer.copy()
    inner.update(b"%b%d:%b" % (previous_mac, seq, row))
    outer.update(inner.digest())
    return outer.digest()


@lru_cache(maxsize=16)
def _hmac_states(key: bytes) -> tuple[HASH, HASH]:
    """SHA-256 after the key's block, inner and outer (RFC 2104): half the work of a row's HMAC, done once."""
    block = (key if len(key) <= 64 else hashlib.sha256(key).digest()).ljust(64, b"\0")
    return hashlib.sha256(bytes(b ^ 0x36 for b in block)), hashlib.sha256(bytes(b ^ 0x5C for b in block))


# --- ids -----------------------------------------------------------------------------------------


def derived_id(purpose: str, attempt_id: str) -> str:
    """One id per purpose and attempt, whoever asks for it."""
    return str(UUID(bytes=hashlib.sha256(f"{purpose}:{attempt_id}".encode()).digest()[:16]))


class IdSource:
    """UUIDv7-like ids, sortable by time and never repeated in a process, also when the clock goes back.

    RFC 9562: 48 bits of milliseconds, 12 bits of a counter within one millisecond, 62 random bits.
    When the clock goes back, or the counter is full, the last millisecond is kept or pushed on.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0
        # Ids are no secrets, and os.urandom lets another thread take the interpreter at every call.
        self._bits = Random(os.urandom(32)).getrandbits  # noqa: S311

    def next(self, now: datetime) -> str:
        stamp = (to_us(now) // 1000) << 12
        with self._lock:
            self._last = stamp = max(stamp, self._last + 1)
        digits = f"{(stamp >> 12) << 80 | 7 << 76 | (stamp & 0xFFF) << 64 | 2 << 62 | self._bits(62):032x}"
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
