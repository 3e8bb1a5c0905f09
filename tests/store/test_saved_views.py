"""Filters that a reviewer saved, on both databases."""

from datetime import UTC, datetime
from itertools import count

from gateway.store.incident_exceptions import drop_view, save_view, views_of
from tests.interleaving import meanwhile

NOW = datetime(2026, 11, 22, 3, tzinfo=UTC)


def test_of_two_windows_that_save_one_name_both_are_served(engine):
    def save(query):
        return save_view(engine, "park", "급한 것", query, NOW).query

    for statement in count():
        with meanwhile(engine, statement, save, "q=theirs") as other:
            assert save("q=mine") == "q=mine"
        if not other:
            break
        assert other[0].result() == "q=theirs"
        (kept,) = views_of(engine, "park")
        assert kept.query in {"q=mine", "q=theirs"}
        drop_view(engine, "park", kept.id)
    assert statement > 1
