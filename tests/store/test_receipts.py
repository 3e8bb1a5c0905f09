from datetime import UTC, datetime

from sqlalchemy import insert, select

from filters.verdict import Action, Receipt
from gateway.domain import Call, Caller
from gateway.store.receipts import receipt_row
from gateway.store.tables import receipt

AT = datetime(2026, 11, 22, 3, 0, 0, 123456, tzinfo=UTC)


def test_a_receipt_is_stored_with_who_what_and_why_and_read_back_alike(engine):
    caller = Caller("S1", "key_1", "CM", ("SEOUL", "HJ", "CM"))
    call = Call("req-1", caller, AT, "chat")
    seen = Receipt(
        rules_version="r1",
        policy_version="p1",
        parts_seen=3,
        characters_seen=120,
        unscanned=("messages[0].content[1]",),
        action=Action.MASK,
        counts={"PERSON": 2},
        grade="O",
        elapsed_us=850,
    )
    finding = {
        "type": "PERSON",
        "label": "",
        "score": 0.9,
        "rule": "person",
        "path": "messages[0].content",
        "action": "mask",
        "hash": "ab12",
    }
    row = receipt_row(
        call,
        seen,
        model_id="gpt",
        billing_period="2026-11",
        findings=[finding],
        finding_key_id="k1",
        attempts=1,
    )
    assert set(row) == set(receipt.columns.keys())
    with engine.begin() as connection:
        connection.execute(insert(receipt).values(**row))
        stored = dict(connection.execute(select(receipt)).mappings().one())
    assert stored == row
    assert stored["at_us"] == 1_795_316_400_123_456
