"""Incidents as the gateway makes them: a real prompt, the real filter and policy, the rows of the intake."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert

from billing.ledger import IdSource
from billing.store import writing
from filters.decision import decide
from filters.engine import Engine
from filters.inspector import Inspector
from filters.policy import default_book
from gateway.audit import Actor
from gateway.domain import Call, Caller
from gateway.incidents.desk import ReviewDesk
from gateway.incidents.intake import Intake
from gateway.incidents.states import Reviewer, ReviewRules
from gateway.keyring import Keyring, Purpose, new_secret
from gateway.store.audit import audited
from gateway.store.incident_tables import incident_tables
from gateway.store.receipts import RECEIPT_TABLE, receipt_row
from gateway.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine as Database

    from billing.ledger import Row
    from filters.verdict import Verdict

NOW = datetime(2026, 11, 20, 3, tzinfo=UTC)  # a Friday noon in Seoul
KEYS = Keyring.of([new_secret()])
KEPT = ReviewRules(store_text=True)
RRN = "900101-1234568"
BLOCKED = f"민원인 주민등록번호는 {RRN} 입니다. 회신문을 써 주세요."
PARK = Reviewer(Actor("park", ("reviewer",), "10.0.0.2"), "S3", "IS")
CHOI = Reviewer(Actor("choi", ("reviewer",), "10.0.0.3"), "S9", "GJ")
_IDS = IdSource()
_TABLES = {table.name: table for table in (*incident_tables, RECEIPT_TABLE)}


@cache
def inspector() -> Inspector:
    return Inspector(Engine())


def prompt(*texts: str) -> dict[str, Any]:
    return {"model": "sim-large", "messages": [{"role": "user", "content": text} for text in texts]}


def asked(
    body: Any,
    *,
    person: str = "S1",
    department: str = "CM",
    zone: str = "external",
    at: datetime = NOW,
    keys: Keyring = KEYS,
) -> tuple[Call, Verdict, Any]:
    """Return a request with its verdict, as the pipeline has them."""
    detection = inspector().detect(body)
    key = keys.current(Purpose.FINDING_HASH).key
    verdict = decide(detection, default_book().for_(department, zone, at), key)
    caller = Caller(person, "k1", department, ("SEOUL", "HJ", department))
    return Call(_IDS.next(at), caller, at, "chat"), verdict, detection


def intake(rules: ReviewRules = KEPT, keys: Keyring = KEYS) -> Intake:
    key = keys.current(Purpose.FINDING_HASH)
    return Intake(rules, Vault(keys), key.key_id, key.key)


def happen(
    database: Database, body: Any, *, rules: ReviewRules = KEPT, keys: Keyring = KEYS, **more: Any
) -> str:
    """Write a request's receipt and what incident it is; return the request's id."""
    call, verdict, detection = asked(body, keys=keys, **more)
    rows = intake(rules, keys).rows(call, verdict, "sim-large", detection)
    receipt = receipt_row(
        call,
        verdict.receipt,
        model_id="sim-large",
        billing_period="2026-11",
        findings=verdict.receipt.as_record()["findings"],
        finding_key_id=keys.current(Purpose.FINDING_HASH).key_id,
        attempts=0,
    )
    write(database, rows, receipt)
    return call.request_id


def write(database: Database, rows: Sequence[Row], receipt: dict[str, Any]) -> None:
    with writing(database).begin() as connection:
        connection.execute(insert(RECEIPT_TABLE).values(**receipt))
        for row in rows:
            connection.execute(insert(_TABLES[row.table]).values(**row.values))


def desk(engine: Database, rules: ReviewRules = KEPT) -> ReviewDesk:
    return ReviewDesk(audited(engine, lambda: KEYS), KEYS, rules)
