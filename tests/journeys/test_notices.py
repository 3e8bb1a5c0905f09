"""From a request to the letter: a served gateway tells a budget's contacts what it has reached."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from billing.budgets import Budget, Every, Scope
from billing.money import NANO
from billing.store import open_engine, set_budget
from tests.journeys.conftest import CONFIG, Gateway, Simulator, install, serving
from tests.notices import conftest as servers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.notices.conftest import Mailbox, Receiver

certificate, mailbox, receiver = servers.certificate, servers.mailbox, servers.receiver
HELLO = {"model": "sim-large", "max_tokens": 50, "messages": [{"role": "user", "content": "안녕하세요"}]}
NOTICES = """
[notices]
check_s = 1.0
emails = ["finance@seoul.example"]

[notices.smtp]
host = "127.0.0.1"
port = {port}
sender = "haechi@seoul.example"
username = "haechi"
password_env = "SMTP_PASSWORD"
ca_bundle = "{ca}"

[[notices.webhooks]]
name = "finance"
url = "{url}"
secret_env = "WEBHOOK_SECRET"
"""


@pytest.fixture
def gateway(
    tmp_path: Path,
    simulator: Simulator,
    mailbox: Mailbox,
    receiver: Receiver,
    certificate: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Gateway]:
    monkeypatch.setenv("SMTP_PASSWORD", "secret")
    monkeypatch.setenv("WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    text = CONFIG.format(simulator=simulator.url, filter="", faulty="http://127.0.0.1:9")
    notices = NOTICES.format(port=mailbox.port, ca=certificate[0], url=receiver.url)
    made = Gateway("", tmp_path, install(tmp_path, text + notices), simulator)
    made.issue("p1", person_id="p1")
    with serving(made.settings) as made.url:
        yield made


def test_a_budget_that_refuses_is_told_to_its_contacts(
    gateway: Gateway, mailbox: Mailbox, receiver: Receiver
) -> None:
    engine = open_engine(gateway.settings.load_config().database_url)
    budget = Budget("b", Scope("unit", "general"), Every.MONTH, NANO // 100)
    set_budget(engine, budget, now=datetime.now(UTC), by="test", reason="test")
    engine.dispose()
    assert gateway.post(HELLO).status_code == 429
    deadline = time.monotonic() + 30
    while not (mailbox.letters and receiver.posted):
        assert time.monotonic() < deadline, "nobody was told"
        time.sleep(0.05)
    ((to, letter),) = mailbox.letters
    assert (to, letter["subject"]) == ("finance@seoul.example", "[해치] 총무과 월 예산 소진")
    event = json.loads(receiver.posted[0][1])
    assert (event["type"], event["data"]["refused"]) == ("budget.used_up", True)
    assert "haechi_notices_total" in _metrics(gateway)


def _metrics(gateway: Gateway) -> str:
    import httpx

    return httpx.get(f"{gateway.url}/metrics", timeout=10).text
