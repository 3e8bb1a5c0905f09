"""A price that is approved while the gateway runs: in force within a second, and never for what was charged."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from billing.periods import billing_day, billing_month
from billing.pricebook import Draft
from billing.store import open_engine, rerate
from gateway.audit import Actor, Deed
from gateway.pricing import PriceDesk

if TYPE_CHECKING:
    from tests.journeys.conftest import Gateway

HELLO = {"model": "sim-large", "messages": [{"role": "user", "content": "안녕하세요"}]}
WITHIN_S = 1.0


def charged_by(gateway: Gateway) -> tuple[str, str]:
    """Ask once; return the price's version and what an input token's price was."""
    answer = gateway.post(HELLO)
    assert answer.status_code == 200, answer.text
    charge_id = gateway.charges(answer.headers["x-request-id"])[0]["charge_id"]
    (line,) = gateway.rows(
        "SELECT price_version, unit_price FROM ledger_charge_line"
        " WHERE charge_id = :charge_id AND token_class = 'input'",
        charge_id=charge_id,
    )
    return line["price_version"], line["unit_price"]


def test_an_approved_price_is_charged_within_a_second_and_what_was_charged_stays(gateway: Gateway) -> None:
    config = gateway.settings.load_config()
    engine = open_engine(config.database_url)
    key = config.catalogue.get("sim-large").deployments[0].price_key
    desk, now = PriceDesk(engine, config), datetime.now(UTC)
    before = charged_by(gateway)
    table = {
        "key": key,
        "from": billing_day(now).isoformat(),
        "currency": "KRW",
        "input": "777",
        "output": "1",
    }
    made = desk.propose(Draft.of([table], [], "test"), Deed(now, Actor("finance1")), large_changes=True)
    assert charged_by(gateway) == before
    desk.approve(made.number, Deed(now, Actor("finance2")))
    approved_at = time.monotonic()
    while (after := charged_by(gateway)) == before:
        assert time.monotonic() - approved_at < WITHIN_S + 1, "the price is not in force"
    assert after == (f"v{made.number}-{billing_day(now):%Y%m%d}", "777")
    assert rerate(engine, billing_month(now)).ok
    engine.dispose()
