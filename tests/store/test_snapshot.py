import subprocess
import sys
import time
from datetime import UTC, datetime

import pytest

from gateway.directory import directory_snapshot
from gateway.errors import ServiceUnavailable, Unauthenticated
from gateway.imports import read_people, read_units
from gateway.installation import initialise
from gateway.keyring import Purpose
from gateway.organisation import Grant
from gateway.settings import Settings
from gateway.store import organisation as store
from gateway.store.database import opened
from gateway.store.snapshot import Snapshot


class Source:
    """A revision and a value that a test moves, and that can be away."""

    def __init__(self):
        self.revision = 1
        self.value = "first"
        self.loads = 0
        self.away = False

    def read_revision(self):
        if self.away:
            raise OSError("away")
        return self.revision

    def load(self):
        self.loads += 1
        return self.value

    def snapshot(self, **options):
        return Snapshot("test", self.read_revision, self.load, poll_s=0.01, **options)


def eventually(condition, within_s=2.0):
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.005)


@pytest.fixture
def source():
    return Source()


@pytest.fixture
def started(source):
    running = []

    def start(**options):
        snapshot = source.snapshot(**options)
        snapshot.start()
        running.append(snapshot)
        return snapshot

    yield start
    for snapshot in running:
        snapshot.stop()


def test_it_loads_again_only_when_the_revision_moved(source, started):
    snapshot = started()
    time.sleep(0.1)
    assert (snapshot.current(), source.loads) == ("first", 1)
    source.value, source.revision = "second", 2
    eventually(lambda: snapshot.current() == "second")
    assert source.loads == 2


def test_it_serves_the_last_value_while_the_source_is_away_and_then_refuses(source, started):
    snapshot = started(max_stale_s=0.6)
    source.away = True
    assert snapshot.current() == "first"
    eventually(lambda: snapshot.age_s > 0.6)
    with pytest.raises(ServiceUnavailable) as refused:
        snapshot.current()
    assert refused.value.code == "directory_stale"
    source.away = False
    eventually(lambda: snapshot.age_s < 0.3)
    assert snapshot.current() == "first"


def test_a_load_that_fails_is_tried_again_and_does_not_count_as_confirmed(source, started):
    snapshot = started(max_stale_s=0.6)
    snapshot._load = lambda: 1 / 0
    source.revision = 2
    eventually(lambda: snapshot.age_s > 0.6)
    with pytest.raises(ServiceUnavailable):
        snapshot.current()
    snapshot._load = lambda: "mended"
    eventually(lambda: snapshot.age_s < 0.3)
    assert snapshot.current() == "mended"


def test_a_value_that_depends_on_the_day_is_loaded_again_after_a_while(source, started):
    started(reload_s=0.05)
    eventually(lambda: source.loads >= 3)


def test_a_source_that_is_away_at_the_start_stops_the_start(source):
    source.away = True
    with pytest.raises(OSError, match="away"):
        source.snapshot().start()


def test_nothing_is_served_before_the_first_load(source):
    with pytest.raises(ServiceUnavailable):
        source.snapshot().current()


def refusal(snapshot, headers, now):
    try:
        snapshot.current().identify(headers, now)
    except Unauthenticated as refused:
        return refused.code


def test_a_key_revoked_by_another_process_stops_within_a_second(tmp_path):
    done = initialise(tmp_path, settings=Settings(secret_key=None, secret_file=None, database_url=None))
    settings, now = done.settings, datetime.now(UTC)
    units = b"code,name,kind,parent_code\nA,Seoul,institution,\n"
    people = b"employee_id,name,email,department_code\nS1,Kim,kim@seoul.example,A\n"
    with opened(settings.load_config().database_url) as engine:
        store.import_units(engine, read_units(units, now.date()), at=now, actor="test")
        store.import_people(engine, read_people(people, now.date()), at=now, actor="test")
        hash_key = settings.keyring().current(Purpose.API_KEY_HASH)
        key, secret = store.create_key(engine, hash_key, Grant("x", person_id="S1"), at=now, actor="test")
        snapshot = directory_snapshot(engine, settings.keyring())
        snapshot.start()
        headers = {"authorization": f"Bearer {secret}"}
        try:
            assert snapshot.current().identify(headers, now).person_id == "S1"
            command = [sys.executable, "-c", "from gateway.cli import main; main()"]
            subprocess.run(
                [*command, "keys", "revoke", key.id, "--config", str(settings.config)],
                check=True,
                capture_output=True,
            )
            revoked_at = time.monotonic()
            eventually(lambda: refusal(snapshot, headers, now) == "revoked_key")
            assert time.monotonic() - revoked_at < 1.0
        finally:
            snapshot.stop()
