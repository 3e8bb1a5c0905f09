"""`haechi notices` and `haechi budgets contacts`, with a real web server and a real SMTP server to tell."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.cli import test_reports
from tests.notices import conftest as servers

used = test_reports.used
certificate, mailbox, receiver = servers.certificate, servers.mailbox, servers.receiver

NOTICES = """
[notices]
emails = ["finance@seoul.example"]

[notices.smtp]
host = "127.0.0.1"
port = {port}
sender = "haechi@seoul.example"
username = "haechi"
password_env = "SMTP_PASSWORD"
ca_bundle = "{ca}"
timeout_s = 5.0

[[notices.webhooks]]
name = "finance"
url = "{url}"
secret_env = "WEBHOOK_SECRET"
"""


@pytest.fixture
def told(used, mailbox, receiver, certificate, monkeypatch):
    monkeypatch.setenv("SMTP_PASSWORD", "secret")
    monkeypatch.setenv("WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    with Path("haechi.toml").open("a") as file:
        file.write(NOTICES.format(port=mailbox.port, ca=certificate[0], url=receiver.url))
    return mailbox


def test_a_test_reaches_everybody_who_is_configured(haechi, told, receiver):
    ran = haechi("notices", "test").ok()
    assert "finance@seoul.example: 보냈습니다" in ran.out
    assert [to for to, _ in told.letters] == ["finance@seoul.example"]
    assert json.loads(receiver.posted[0][1])["type"] == "test"


def test_a_test_that_fails_says_why(haechi, told, receiver):
    told.codes["kim@seoul.example"] = "550 no such user"
    ran = haechi("notices", "test", "--email", "kim@seoul.example")
    assert (ran.code, "smtp 550" in ran.out) == (1, True)
    assert receiver.posted == []


def test_without_a_server_there_is_nothing_to_test(haechi, used):
    assert haechi("notices", "test").code == 3


def test_contacts_are_shown_changed_and_taken_back(haechi, used):
    assert haechi("budgets", "contacts", "unit:CM", "--json").ok().json == {"scope": "unit:CM"}
    haechi(
        "budgets", "contacts", "unit:CM", "--email", "kim@seoul.example", "--thresholds", "90%, 70",
        "--no-forecast", "--reason", "담당자 지정",
    ).ok()  # fmt: skip
    assert haechi("budgets", "contacts", "unit:CM", "--json").ok().json == {
        "scope": "unit:CM",
        "emails": ["kim@seoul.example"],
        "thresholds": [70, 90],
        "forecast": False,
    }
    assert "70%, 90%" in haechi("budgets", "contacts", "unit:CM").ok().out
    haechi("budgets", "contacts", "unit:CM", "--clear", "--reason", "전보").ok()
    assert haechi("budgets", "contacts", "unit:CM", "--json").ok().json == {"scope": "unit:CM"}


@pytest.mark.parametrize(
    "arguments",
    [
        ("CM", "--reason", "x"),
        ("unit:CM", "--email", "kim@seoul.example"),
        ("unit:CM", "--email", "kim", "--reason", "x"),
        ("unit:CM", "--thresholds", "0,50", "--reason", "x"),
        ("unit:CM", "--thresholds", "half", "--reason", "x"),
    ],
)
def test_what_is_no_scope_address_or_threshold_is_refused(haechi, used, arguments):
    assert haechi("budgets", "contacts", *arguments).code == 2


def test_dead_letters_are_listed_and_retried(haechi, told):
    from billing.store import open_engine
    from billing.store.notices import Address, Notice, note
    from billing.store.outbox import due, mark_failed
    from gateway.notices.messages import adopted_document

    engine = open_engine("sqlite:///haechi.db")
    now = datetime.now(UTC)
    notice = Notice("n1", "", "2026-11", "adopted:1.1", now, adopted_document("1.1", 3))
    note(engine, notice, [Address("email", "finance@seoul.example")])
    (delivery,) = due(engine, now)
    mark_failed(engine, delivery, "smtp 550", None)
    engine.dispose()
    (row,) = haechi("notices", "list", "--state", "dead", "--json").ok().json
    assert (row["notice"], row["state"], row["failure"]) == ("n1", "dead", "smtp 550")
    assert "중단된 프로세스의 요청 3건" in haechi("notices", "list").ok().out
    assert "1건" in haechi("notices", "retry").ok().out
    assert haechi("notices", "list", "--state", "dead", "--json").ok().json == []


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('password_env = "SMTP_PASSWORD"', 'password_env = "NOT_SET"', "NOT_SET"),
        ('host = "127.0.0.1"', 'host = "mail.example"\nsecurity = "none"', "starttls"),
        ('secret_env = "WEBHOOK_SECRET"', "", "whsec_"),
        ('name = "finance"', 'name = "finance"\nscopes = ["CM"]', "scopes"),
        ('emails = ["finance@seoul.example"]', "thresholds = [0]", "thresholds"),
        ('emails = ["finance@seoul.example"]', 'emails = ["a b@c"]', "emails"),
    ],
)
def test_mistakes_in_the_table_are_named(haechi, told, old, new, words):
    file = Path("haechi.toml")
    text = file.read_text()
    assert old in text
    head, mark, notices = text.partition("[notices]")
    file.write_text(head + mark + notices.replace(old, new))
    ran = haechi("check-config")
    assert ran.code == 3
    assert words in ran.err
