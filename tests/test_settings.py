from pathlib import Path

import pytest
from pydantic import ValidationError

from gateway.cores import cores
from gateway.keyring import Purpose, SecretError, new_secret, new_secret_file
from gateway.settings import Settings


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch, tmp_path):
    for name in Settings.model_fields:
        monkeypatch.delenv(f"HAECHI_{name.upper()}", raising=False)
    monkeypatch.chdir(tmp_path)


def test_the_secret_file_lies_beside_the_configuration_unless_it_is_said_where():
    assert Settings(config=Path("/etc/haechi/haechi.toml")).secret_path == Path("/etc/haechi/haechi.secret")
    assert Settings(secret_file=Path("/run/secrets/haechi")).secret_path == Path("/run/secrets/haechi")


def test_several_secrets_in_the_environment_are_the_newest_first(monkeypatch):
    newest, oldest = new_secret(), new_secret()
    monkeypatch.setenv("HAECHI_SECRET_KEY", f"{newest}, {oldest}")
    ring = Settings().keyring()
    assert len(ring.masters) == 2
    monkeypatch.setenv("HAECHI_SECRET_KEY", newest)
    assert Settings().keyring().current(Purpose.SESSION) == ring.current(Purpose.SESSION)


def test_the_file_is_read_when_the_environment_holds_no_secret(tmp_path):
    with pytest.raises(SecretError):
        Settings().keyring()
    new_secret_file(tmp_path / "haechi.secret")
    assert len(Settings().keyring().masters) == 1


def test_another_process_reads_the_same_settings_from_what_this_one_hands_on(monkeypatch, tmp_path):
    settings = Settings(
        config=Path("site/haechi.toml"),
        database_url="sqlite:///x.db",
        data_dir=Path("data"),
        log_level="warning",
    )
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir("/")
    again = Settings()
    assert again.config == tmp_path / "site/haechi.toml"
    assert again.data_dir == tmp_path / "data"
    assert (again.database_url, again.log_level) == ("sqlite:///x.db", "warning")


def test_a_secret_is_not_printed():
    secret = new_secret()
    assert secret not in repr(Settings(secret_key=secret))


def test_a_level_of_logging_that_does_not_exist_is_refused():
    with pytest.raises(ValidationError):
        Settings(log_level="loud")


def test_the_number_of_workers_in_the_environment_goes_before_the_file(monkeypatch, tmp_path):
    (tmp_path / "haechi.toml").write_text("[server]\nworkers = 3\n")
    assert Settings().load_config().server.workers == 3
    monkeypatch.setenv("HAECHI_WORKERS", "5")
    assert Settings().load_config().server.workers == 5
    assert Settings().environment()["HAECHI_WORKERS"] == "5"
    monkeypatch.setenv("HAECHI_WORKERS", "auto")
    assert Settings().load_config().server.workers == cores()
    monkeypatch.setenv("HAECHI_WORKERS", "0")
    with pytest.raises(ValidationError):
        Settings()
