"""The permission table, cell by cell, against the running app: every role × every address × own and other unit."""

import re
from itertools import product

import pytest
from fastapi.routing import APIRoute

from gateway.console.areas import same_origin
from gateway.console.routes import routes
from gateway.console.session import UNSAFE, Needs, csrf_token
from gateway.permissions import (
    ADDRESSES,
    CONFLICTS,
    TABLE,
    Door,
    Permission,
    Reach,
    Role,
    conflicts,
    reach,
    reaches_unit,
)
from tests.console.conftest import PASSWORD


def routes_of(app):
    """Every (method, path, route) of an app, nested routers included; HEAD goes with GET."""

    def walk(routes):
        for route in routes:
            inner = getattr(route, "original_router", None)
            if inner is not None:
                yield from walk(inner.routes)
            elif getattr(route, "methods", None):
                yield from ((method, route.path, route) for method in sorted(route.methods - {"HEAD"}))
            else:
                yield "MOUNT", route.path, route

    return list(walk(app.routes))


def needs_of(route):
    """The rows of the table that a page declares, wherever in its dependencies."""

    def walk(dependant):
        if isinstance(dependant.call, Needs):
            yield dependant.call
        for sub in dependant.dependencies:
            yield from walk(sub)

    return list(walk(route.dependant)) if isinstance(route, APIRoute) else []


def test_every_address_has_exactly_one_row(shared_site):
    without, twice, seen = [], [], set()
    for method, path, route in routes_of(shared_site.app):
        rows = len({need.permission for need in needs_of(route)}) + (f"{method} {path}" in ADDRESSES)
        seen.add(f"{method} {path}")
        if rows == 0:
            without.append(f"{method} {path}")
        if rows > 1:
            twice.append(f"{method} {path}")
    assert not without, "declare Needs(Permission…) or a row in gateway/permissions.py"
    assert not twice
    assert set(ADDRESSES) <= seen, "rows of addresses that are not there"


def test_every_address_of_the_console_refuses_changes_that_another_site_started():
    for route in routes():
        assert isinstance(route, APIRoute), route
        assert same_origin in {sub.call for sub in route.dependant.dependencies}, route.path


def test_only_what_is_not_personal_is_open_to_anybody():
    personal = [a for a, door in ADDRESSES.items() if door is Door.ANYBODY and "/v1/" in a]
    assert personal == []
    assert all("/console" not in a for a, door in ADDRESSES.items() if door is Door.KEY)


def console_pages(app):
    return [(m, p, needs_of(r)[0]) for m, p, r in routes_of(app) if needs_of(r)]


SAMPLES = {
    "code": "IS",
    "account_id": "acct_none",
    "session_id": "sess_none",
    "key_id": "key_none",
    "month": "2026-11",
    "incident_id": "01a1f6e5-8780-700a-8e64-feebaf442ea9",
}
"""What stands for the parameters of a path; things that are not there answer 404 to whoever may look."""


def filled(path, **values):
    return re.sub(r"\{(\w+)(?::\w+)?\}", lambda m: values.get(m[1], SAMPLES.get(m[1], "none")), path)


def test_each_role_opens_what_the_table_says_and_nothing_else(shared_site):
    wrong = []
    for role, (method, path, need) in product(Role, console_pages(shared_site.app)):
        if path in {"/console/sign-out", "/console/account/sign-out-everywhere"}:
            continue  # every role may; done with each would end this test
        browser = shared_site.visit(role.value)
        answer = ask(shared_site, browser, method, filled(path))
        may = reach([role], need.permission) is not Reach.NOWHERE
        if may and need.unit and reach([role], need.permission) is Reach.DEPARTMENT and need.unit in path:
            may = False  # SAMPLES names another department
        if (answer.status_code != 403) != may or answer.status_code >= 500:
            wrong.append(f"{role}: {method} {path} ({need.permission}) -> {answer.status_code}")
    assert not wrong, "\n".join(wrong)


def ask(site, browser, method, path):
    data = {"csrf": csrf_token(site.parts, browser.token())} if method in UNSAFE else None
    return browser.client.request(method, path, data=data)


def test_nobody_opens_anything_without_signing_in(shared_site):
    stranger = shared_site.browser()
    for method, path, _ in console_pages(shared_site.app):
        answer = stranger.client.request(method, filled(path))
        if path.startswith("/api/"):
            assert answer.status_code == 401, (method, path)
            continue
        assert answer.status_code == 303, (method, path)
        assert answer.headers["location"].startswith("/console/sign-in")


def test_a_manager_reaches_their_own_department_and_the_units_below_it_only(shared_site):
    manager = shared_site.visit("manager")
    pages = [(m, p, n) for m, p, n in console_pages(shared_site.app) if n.unit and m == "GET"]
    assert pages, "no page names a unit"
    for method, path, need in pages:
        if reach([Role.MANAGER], need.permission) is not Reach.DEPARTMENT:
            continue
        for code, may in (
            ("CM", True),
            ("CM1", True),
            ("IS", False),
            ("HJ", False),
            ("SEOUL", False),
            ("NONE", False),
        ):
            there = filled(path, **{need.unit: code})
            if there == path or "{" not in path:
                there = f"{path}?{need.unit}={code}"
            answer = manager.client.request(method, there)
            assert (answer.status_code != 403) == may, (there, answer.status_code)


def test_a_refusal_is_written_to_the_trail(shared_site):
    shared_site.visit("staff").get("/console/audit")
    page = shared_site.visit("auditor").get("/console/audit?action=access.refused").text
    assert "audit.view" in page
    assert "staff" in page


# --- the table itself ------------------------------------------------------------------------------------


def test_every_permission_has_a_row_and_every_role_a_way_in():
    assert set(TABLE) == set(Permission)
    for role in Role:
        assert reach([role], Permission.START_VIEW) is Reach.OWN
        assert reach([role], Permission.ACCOUNT_OWN) is Reach.OWN


COST = {
    p
    for p in Permission
    if p.value.startswith(("budgets.", "prices.", "department.", "invoices.", "months."))
}


@pytest.mark.parametrize(
    ("role", "never"),
    [
        (Role.REVIEWER, COST),
        (Role.ADMINISTRATOR, COST),
        (
            Role.AUDITOR,
            set(Permission)
            - {
                Permission.START_VIEW,
                Permission.ACCOUNT_OWN,
                Permission.DESIGN_VIEW,
                Permission.AUDIT_VIEW,
                Permission.AUDIT_EXPORT,
                Permission.EVIDENCE_MAKE,
            },
        ),
        (Role.STAFF, COST | {Permission.ACCOUNTS_VIEW, Permission.AUDIT_VIEW, Permission.KEYS_VIEW}),
        (
            Role.FINANCE,
            {
                Permission.ACCOUNTS_CHANGE,
                Permission.KEYS_CHANGE,
                Permission.POLICIES_VIEW,
                Permission.AUDIT_VIEW,
            },
        ),
    ],
)
def test_duties_are_kept_apart(role, never):
    assert [p for p in never if reach([role], p) is not Reach.NOWHERE] == []


def test_the_farthest_role_counts():
    roles = {Role.MANAGER, Role.FINANCE}
    assert reach(roles, Permission.DEPARTMENT_USAGE) is Reach.EVERYWHERE
    assert reaches_unit({Role.MANAGER}, Permission.DEPARTMENT_USAGE, ("SEOUL", "CM", "CM1"), "CM")
    assert not reaches_unit({Role.MANAGER}, Permission.DEPARTMENT_USAGE, ("SEOUL", "IS"), "CM")
    assert not reaches_unit({Role.MANAGER}, Permission.DEPARTMENT_USAGE, ("SEOUL", "CM"), None)
    assert not reaches_unit({Role.STAFF}, Permission.DEPARTMENT_USAGE, ("SEOUL", "CM"), "CM")


def test_conflicting_duties_are_named_in_the_order_of_the_roles():
    assert conflicts({Role.STAFF, Role.MANAGER}) == []
    assert conflicts({Role.ADMINISTRATOR, Role.FINANCE}) == [(Role.FINANCE, Role.ADMINISTRATOR)]
    assert len(conflicts(set(Role))) == len(CONFLICTS)


def test_the_password_of_the_fixture_is_a_sound_one():
    from gateway.accounts import password_problem

    assert password_problem(PASSWORD, "staff") is None


def test_without_a_key_no_address_of_the_api_answers(shared_site):
    stranger = shared_site.browser().client
    answers = {}
    for address, door in ADDRESSES.items():
        method, path = address.split(" ")
        if door in {Door.KEY, Door.KEY_OR_SESSION}:
            answers[address] = stranger.request(method, filled(path)).status_code
    assert set(answers.values()) == {401}, answers


def test_a_session_of_the_console_opens_nothing_of_the_api(shared_site):
    browser = shared_site.visit("administrator")
    for address, door in ADDRESSES.items():
        method, path = address.split(" ")
        if door is Door.KEY:
            assert browser.client.request(method, filled(path)).status_code == 401, address


def test_what_takes_a_key_or_a_session_opens_to_roles_with_things_of_their_own(shared_site):
    shared = [address for address, door in ADDRESSES.items() if door is Door.KEY_OR_SESSION]
    assert shared
    for role, address in product(Role, shared):
        method, path = address.split(" ")
        client = shared_site.visit(role.value).client
        token = {"x-csrf-token": csrf_token(shared_site.parts, shared_site.visit(role.value).token())}
        may = reach([role], Permission.INCIDENTS_OWN) is not Reach.NOWHERE
        answer = client.request(method, filled(path), headers=token)
        assert (answer.status_code == 403) != may, (role, address)
        if method in UNSAFE:
            assert client.request(method, filled(path)).status_code == 403, "without the session's token"


def test_what_is_open_to_anybody_answers_anybody(shared_site):
    stranger = shared_site.browser().client
    for address, door in ADDRESSES.items():
        method, path = address.split(" ")
        if door is Door.ANYBODY and method == "GET" and path != "/console/sign-in/code":
            assert stranger.get(filled(path, name="haechi.svg")).status_code in {200, 303, 307, 503}, address
