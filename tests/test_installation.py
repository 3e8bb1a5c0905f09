import stat

import pytest

from gateway.config_mistakes import ConfigError
from gateway.installation import AlreadyThere, initialise
from gateway.keyring import SecretError
from gateway.settings import Settings
from gateway.store.database import opened, revisions


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    for name in Settings.model_fields:
        monkeypatch.delenv(f"HAECHI_{name.upper()}", raising=False)


def test_a_fresh_folder_gets_everything_a_gateway_needs(tmp_path):
    done = initialise(tmp_path / "site")
    assert [path.name for path in done.created] == ["haechi.toml", "haechi.secret"]
    assert list(done.migrations) == revisions()
    assert stat.S_IMODE(done.settings.secret_path.stat().st_mode) == 0o600
    assert done.settings.keyring()
    with opened(done.settings.load_config().database_url):
        pass


def test_a_configuration_is_never_overwritten_and_a_strong_secret_is_kept(tmp_path):
    first = initialise(tmp_path)
    with pytest.raises(AlreadyThere):
        initialise(tmp_path)
    first.settings.config.unlink()
    again = initialise(tmp_path)
    assert [path.name for path in again.created] == ["haechi.toml"]
    assert again.settings.keyring().masters == first.settings.keyring().masters


def test_a_weak_secret_that_is_there_already_stops_before_anything_is_written(tmp_path):
    secret = tmp_path / "haechi.secret"
    secret.write_text("changeme\n")
    secret.chmod(0o600)
    with pytest.raises(SecretError):
        initialise(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["haechi.secret"]


def test_a_configuration_with_mistakes_is_not_written(tmp_path):
    with pytest.raises(ConfigError):
        initialise(tmp_path, config_text="[sever]\n")
    assert not (tmp_path / "haechi.toml").exists()
