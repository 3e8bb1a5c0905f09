"""The collector's settings last as long as a server serves, and no longer."""

from __future__ import annotations

import gc

from gateway.heap import THRESHOLDS, settled  # before the session's fixtures take it from the apps


def test_what_exists_at_the_start_is_never_walked_again():
    with settled():
        assert gc.get_freeze_count() > 0
        assert gc.get_threshold() == THRESHOLDS


def test_the_collector_is_left_as_it_was_found():
    before = gc.get_threshold()
    with settled():
        pass
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0


def test_cycles_made_while_serving_are_still_found():
    with settled():
        cycle: list[object] = []
        cycle.append(cycle)
        del cycle
        assert gc.collect() >= 1
