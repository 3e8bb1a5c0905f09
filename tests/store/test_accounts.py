"""Accounts, sessions and throttling on both databases."""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from gateway.accounts import PER_ACCOUNT, PER_ADDRESS, Session, SessionRules
from gateway.audit import Actor, Deed
from gateway.keyring import Keyring, new_secret
from gateway.permissions import Role
from gateway.store import accounts as store
from gateway.store import sessions
from gateway.store.audit import AuditFilter, audited, read_audit, verify_audit
from tests.interleaving import meanwhile

NOW = datetime(2026, 11, 22, 3, tzinfo=UTC)
KEYS = Keyring.of([new_secret()])
DEED = Deed(NOW, Actor("admin", ("administrator",), "10.0.0.1"), "시험")
RULES = SessionRules()


@pytest.fixture
def database(engine):
    return audited(engine, lambda: KEYS)


def make(database, login="kim", *roles, person=None, name="김해치"):
    new = store.NewAccount(login, name, frozenset(roles or {Role.STAFF}), person, "hash")
    return store.create_account(database, new, deed=DEED)


def open_session(database, who, token=b"t" * 32, at=NOW, stage="open", **options):
    """Open a session of an account as it stands; `proved` opens one of the account as it was."""
    proved(database, store.find_account(database, who.id), token, at, stage, **options)


def proved(database, who, token=b"t" * 32, at=NOW, stage="open", **options):
    expires = at + (RULES.absolute if stage == "open" else RULES.code)
    fresh = Session(f"sess_{token.hex()[:8]}", who, stage, at, at, expires, "10.0.0.2", "Firefox/1 Linux")
    sessions.open_session(database, fresh, token, **options)


def find(database, token=b"t" * 32, at=NOW):
    return sessions.find_session(database, [token], RULES, at)


def actions(database):
    return [row.action for row in read_audit(database, AuditFilter(), oldest_first=True)]


def test_what_is_made_is_found_by_id_and_login(database):
    made = make(database, "kim", Role.STAFF, Role.MANAGER, person="S1")
    assert store.find_account(database, made.id) == made == store.find_login(database, "kim")
    assert (made.roles, made.must_change, made.version) == ({Role.STAFF, Role.MANAGER}, True, 1)
    assert store.login_known(database, "kim")
    assert not store.login_known(database, "lee")
    assert store.credentials(database, "lee") is None
    assert actions(database) == ["account.create"]


def test_a_login_and_a_person_have_one_account_even_at_once(database):
    outcomes = []

    def work():
        try:
            outcomes.append(make(database, "kim", person="S1").login)
        except store.LoginTaken:
            outcomes.append("told")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["kim", "told", "told", "told"]
    with pytest.raises(store.PersonTaken):
        make(database, "other", person="S1")
    assert verify_audit(database, KEYS).problems == ()


def test_the_second_of_two_changes_is_told(database):
    made = make(database)
    change = {"seen": made.version, "name": "이", "roles": {Role.STAFF}, "deed": DEED}
    assert store.change_account(database, made.id, **change).version == 2
    with pytest.raises(store.ChangedMeanwhile) as told:
        store.change_account(database, made.id, **change | {"name": "박"})
    assert told.value.now.name == "이"
    assert store.change_account(database, made.id, **change).version == 2, "the same again is no change"


def test_of_many_changes_at_once_one_is_made(database):
    made, outcomes = make(database), []

    def work(number):
        try:
            store.change_account(
                database, made.id, seen=1, name=f"이름{number}", roles={Role.STAFF}, deed=DEED
            )
            outcomes.append("changed")
        except store.ChangedMeanwhile:
            outcomes.append("told")

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["changed", *["told"] * 5]
    assert actions(database) == ["account.create", "role.change"]


def test_somebody_can_always_administer(database):
    first, second = make(database, "a", Role.ADMINISTRATOR), make(database, "b", Role.ADMINISTRATOR)
    store.disable_account(database, first.id, seen=None, deed=DEED)
    with pytest.raises(store.LastAdministrator):
        store.disable_account(database, second.id, seen=None, deed=DEED)
    with pytest.raises(store.LastAdministrator):
        store.change_account(database, second.id, seen=1, name="b", roles={Role.STAFF}, deed=DEED)
    assert store.find_account(database, second.id).roles == {Role.ADMINISTRATOR}
    store.enable_account(database, first.id, seen=None, deed=DEED)
    store.disable_account(database, second.id, seen=None, deed=DEED)


@pytest.mark.parametrize("how", ["disabled", "demoted", "imported"])
def test_of_the_last_two_administrators_one_stays_whoever_comes_in_between(database, how):
    def attempt(who):
        before = store.find_account(database, who.id)
        try:
            if how == "disabled":
                store.disable_account(database, who.id, seen=None, deed=DEED)
            elif how == "demoted":
                more = {"name": before.name, "roles": {Role.STAFF}, "deed": DEED}
                store.change_account(database, who.id, seen=before.version, **more)
            else:
                change = store.AccountChange(before, before.name, frozenset({Role.STAFF}))
                store.import_accounts(database, [], [change], deed=DEED)
        except store.LastAdministrator:
            return False
        return True

    pair = make(database, "a", Role.ADMINISTRATOR), make(database, "b", Role.ADMINISTRATOR)
    for statement in count():
        with meanwhile(database, statement, attempt, pair[1]) as other:
            mine = attempt(pair[0])
        if not other:
            break
        assert {mine, other[0].result()} == {True, False}
        for one in pair:
            store.enable_account(database, one.id, seen=None, deed=DEED)
            roles = {Role.ADMINISTRATOR}
            now = store.find_account(database, one.id)
            store.change_account(database, one.id, seen=now.version, name=now.name, roles=roles, deed=DEED)
    assert statement > 3


def test_lists_are_searched_filtered_and_ordered(database):
    make(database, "kim", Role.STAFF, person="S1")
    make(database, "lee_100%", Role.FINANCE, name="이광화")
    gone = make(database, "park", Role.STAFF)
    store.disable_account(database, gone.id, seen=None, deed=DEED)

    def logins(order="login", **wanted):
        return [
            one.login for one in store.list_accounts(database, store.AccountFilter(**wanted), order=order)
        ]

    assert logins() == ["kim", "lee_100%", "park"]
    assert logins("-login") == ["park", "lee_100%", "kim"]
    assert logins(search="S1") == logins(search="KIM") == ["kim"]
    assert logins(search="0%") == ["lee_100%"]
    assert logins(search="_") == ["lee_100%"]
    assert logins(role=Role.FINANCE) == ["lee_100%"]
    assert logins(disabled=True) == ["park"]
    assert store.count_accounts(database, store.AccountFilter(disabled=False)) == 2


# --- sessions ---------------------------------------------------------------------------------------------


def test_a_session_lives_until_it_idles_or_its_time_is_over(database):
    open_session(database, make(database))
    assert find(database).account.login == "kim"
    assert find(database, b"x" * 32) is None
    assert find(database, at=NOW + timedelta(minutes=29, seconds=59)) is not None
    assert find(database, at=NOW + timedelta(minutes=30)) is None
    for hour in range(10):
        sessions.touch_session(database, find(database).id, NOW + timedelta(hours=hour, minutes=50))
    assert find(database, at=NOW + timedelta(hours=9, minutes=59)) is not None
    assert find(database, at=NOW + timedelta(hours=10)) is None


def test_a_sign_in_ends_what_the_browser_came_with_and_clears_what_is_over(database):
    who = make(database)
    open_session(database, who, b"a" * 32)
    open_session(database, who, b"b" * 32, instead_of=[b"a" * 32])
    assert find(database, b"a" * 32) is None
    assert len(sessions.list_sessions(database, who, RULES, NOW)) == 1
    open_session(database, who, b"c" * 32, at=NOW + timedelta(days=1))
    sessions.forget_old(database, NOW + timedelta(days=3))
    assert find(database, b"c" * 32, at=NOW + timedelta(days=1)) is None


def test_shutting_out_resetting_and_new_power_end_sessions_less_power_does_not(database):
    who = make(database, "kim", Role.STAFF, Role.MANAGER)
    open_session(database, who)
    who = store.change_account(database, who.id, seen=1, name="kim", roles={Role.STAFF}, deed=DEED)
    assert find(database).account.roles == {Role.STAFF}
    store.change_account(database, who.id, seen=2, name="kim", roles={Role.STAFF, Role.FINANCE}, deed=DEED)
    assert find(database) is None
    open_session(database, who)
    store.reset_account(database, who.id, "other hash", deed=DEED)
    assert find(database) is None
    open_session(database, who)
    store.disable_account(database, who.id, seen=None, deed=DEED)
    assert find(database) is None


def test_one_browser_or_all_are_signed_out(database):
    who = make(database)
    for token in (b"a" * 32, b"b" * 32, b"c" * 32):
        open_session(database, who, token)
    one = find(database, b"a" * 32)
    sessions.end_session(database, one, at=NOW, actor=DEED.actor)
    assert sessions.end_sessions(database, who, at=NOW, actor=DEED.actor, only="sess_of_somebody_else") == 0
    assert sessions.end_sessions(database, who, at=NOW, actor=DEED.actor) == 2
    assert sessions.list_sessions(database, who, RULES, NOW) == []


CHANGES = {
    "password": lambda database, who: store.set_password(database, who.id, "new hash", deed=DEED),
    "reset": lambda database, who: store.reset_account(database, who.id, "new hash", deed=DEED),
    "disabled": lambda database, who: store.disable_account(database, who.id, seen=None, deed=DEED),
    "factor": lambda database, who: store.set_totp(database, who.id, b"b", "k", [b"1"], step=1, deed=DEED),
    "roles": lambda database, who: store.change_account(
        database, who.id, seen=who.version, name=who.name, roles={Role.FINANCE}, deed=DEED
    ),
}


@pytest.mark.parametrize("stage", ["open", "code"])
@pytest.mark.parametrize("change", CHANGES)
def test_an_account_that_changed_since_it_was_proved_is_not_signed_in(database, change, stage):
    who = make(database)
    CHANGES[change](database, who)
    with pytest.raises(store.ChangedMeanwhile):
        proved(database, who, stage=stage)
    assert find(database) is None


def test_a_password_that_changes_while_the_old_one_signs_in_leaves_no_session(database):
    who = make(database)
    for statement in count():
        token = statement.to_bytes(32)
        with meanwhile(database, statement, CHANGES["password"], database, who) as other:
            try:
                proved(database, who, token)
            except store.ChangedMeanwhile:
                assert other, "nobody changed it yet"
        if not other:
            break
        other[0].result()
        assert find(database, token) is None
        who = store.find_account(database, who.id)
    assert statement > 3


def test_a_session_that_waits_for_its_code_is_neither_listed_nor_a_sign_in(database):
    who = make(database)
    open_session(database, who, stage="code")
    assert find(database).stage == "code"
    assert sessions.list_sessions(database, who, RULES, NOW) == []
    assert find(database, at=NOW + timedelta(minutes=6)) is None
    assert "session.sign_in" not in actions(database)


# --- second factor and throttling ---------------------------------------------------------------------------


def test_a_step_and_a_recovery_code_open_once_even_at_once(database):
    who = make(database)
    store.set_totp(database, who.id, b"box", "key", [b"1" * 32, b"2" * 32], step=100, deed=DEED)
    assert store.find_account(database, who.id).totp
    assert not store.take_step(database, who.id, 100)
    taken = []

    def work():
        taken.append(
            (store.take_step(database, who.id, 101), store.take_recovery_code(database, who.id, [b"1" * 32]))
        )

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(step for step, _ in taken) == sum(code for _, code in taken) == 1
    assert store.count_recovery_codes(database, who.id) == 1
    store.clear_totp(database, who.id, deed=replace(DEED, reason=""))
    assert not store.find_account(database, who.id).totp
    assert store.count_recovery_codes(database, who.id) == 0


def test_attempts_are_counted_before_they_are_judged_whoever_comes_at_once(database):
    limits, free = {"login": PER_ACCOUNT, "address": PER_ADDRESS}, []

    def work():
        free.append(sessions.take_attempt(database, limits, NOW) == 0)

    threads = [threading.Thread(target=work) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(free) == PER_ACCOUNT.free
    assert sessions.take_attempt(database, limits, NOW + timedelta(seconds=4)) == 1
    assert sessions.take_attempt(database, limits, NOW + timedelta(seconds=5)) == 0
    sessions.forgive(database, "login", "address")
    assert sessions.take_attempt(database, limits, NOW + timedelta(seconds=5)) == 0


def test_old_failures_count_no_more(database):
    limits = {"login": PER_ACCOUNT}
    for _ in range(PER_ACCOUNT.free):
        sessions.take_attempt(database, limits, NOW)
    later = NOW + timedelta(hours=2)
    for _ in range(PER_ACCOUNT.free):
        assert sessions.take_attempt(database, limits, later) == 0
    assert sessions.take_attempt(database, limits, later) > 0
