from __future__ import annotations

import pytest

from gateway.console.navigation import MAP, navigation
from gateway.permissions import Role, reach


def ways(role: Role, path: str = "/console") -> dict[str, tuple[bool, bool]]:
    return {step.path: (step.current, step.within) for _, steps in navigation([role], path) for step in steps}


@pytest.mark.parametrize("role", list(Role))
def test_a_role_is_shown_the_pages_that_it_may_open_and_no_other(role):
    open_pages = {way.path for heading in MAP for way in heading.ways if reach([role], way.permission)}
    assert set(ways(role)) == open_pages
    assert "/console" in open_pages


def test_the_page_that_is_open_is_marked_and_so_is_the_way_above_it():
    assert ways(Role.STAFF, "/console/keys")["/console/keys"] == (True, False)
    below = ways(Role.STAFF, "/console/keys/key_1")
    assert below["/console/keys"] == (False, True)
    assert below["/console"] == (False, False)


def test_a_heading_without_a_way_is_not_shown():
    assert [label for label, _ in navigation([Role.AUDITOR], "/console")] == ["내 업무", "감사"]
