"""The collector's settings last as long as a server serves, and no longer."""

from __future__ import annotations

import gc

from gateway import heap


def test_what_exists_at_the_start_is_never_walked_again():
    with heap.settled():
        assert gc.get_freeze_count() > 0
        assert gc.get_threshold() == heap.THRESHOLDS


def test_the_collector_is_left_as_it_was_found():
    before = gc.get_threshold()
    with heap.settled():
        pass
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0


def test_cycles_made_while_serving_are_still_found():
    with heap.settled():
        cycle: list[object] = []
        cycle.append(cycle)
        del cycle
        assert gc.collect() >= 1
