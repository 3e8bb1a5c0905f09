"""The books are read as they stand: from the gateway's own tables, and from what the simulator says."""

from __future__ import annotations

import json
import sqlite3
import sys

import httpx
import pytest

from gateway.demo.books import CLASSES, gateway_books, provider_books
from gateway.demo.children import Child
from gateway.store.database import migrate


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "haechi.db"
    migrate(f"sqlite:///{path}")
    return path


def insert(path, table: str, **values: object) -> None:
    """Insert a row; every column that must hold something and is not named gets 0."""
    with sqlite3.connect(path) as connection:
        columns = connection.execute(f"PRAGMA table_info({table})").fetchall()
        row = {name: 0 for _, name, _, required, default, _ in columns if required and default is None}
        row |= values
        marks = ", ".join("?" * len(row))
        connection.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", tuple(row.values()))
    connection.close()


def charge(path, attempt: str, kind: str = "charge", **values: object) -> None:
    fixed = {"charge_id": f"{attempt}-{kind}", "attempt_id": attempt, "kind": kind, "zone": "external"}
    corrects = None if kind == "charge" else f"{attempt}-charge"
    seq = {"seq": values.pop("seq")}
    insert(path, "ledger_charge", **fixed, corrects=corrects, department_id="총무과", **seq, **values)


def test_charges_are_read_with_both_kinds_of_cache_writes_as_one(database):
    charge(database, "a1", seq=1, input=10, cache_write_5m=2, cache_write_1h=3, output=4)
    charge(database, "a1", kind="correction", seq=2, input=1)
    charge(database, "a2", seq=3)
    insert(database, "ledger_dispatch", attempt_id="a1")
    books = gateway_books(database)
    assert books.dispatched == {"a1"}
    first, second = books.charges
    assert first.tokens == dict.fromkeys(CLASSES, 0) | {"input": 10, "cache_write": 5, "output": 4}
    assert (first.prompt_tokens, first.completion_tokens) == (15, 4)
    assert set(second.tokens.values()) == {0}


def test_the_gateway_s_books_are_only_read(database):
    before = database.read_bytes()
    gateway_books(database)
    assert database.read_bytes() == before


def test_every_string_that_arrived_can_be_searched_also_in_keys(tmp_path):
    with Child([sys.executable, "-m", "simulator"], tmp_path / "log") as child:
        url = child.ready()["url"]
        body = {
            "model": "m",
            "messages": [{"role": "user", "content": [{"type": "text", "text": "줄\n바꿈"}]}],
            "metadata": {"열쇠말": "값"},
        }
        sent = {"content": json.dumps(body), "headers": {"x-haechi-attempt": "a1"}}
        httpx.post(f"{url}/openai/v1/chat/completions", **sent)
        books = provider_books(url)
    assert books.asked == ("a1",)
    assert "줄\n바꿈" in books.received[0]
    assert "열쇠말" in books.received[0]
    assert set(books.answered["a1"]) == {"input", "cache_read", "cache_write", "output", "reasoning"}
