"""What comes from the environment: where the file is, where the secrets are, how to log. HAECHI_… only.

    HAECHI_CONFIG         path of haechi.toml (default: haechi.toml in the working folder)
    HAECHI_DATABASE_URL   goes before [database] url
    HAECHI_DATA_DIR       what relative paths in [database] count from (default: the folder of the config)
    HAECHI_SECRET_FILE    file of master secrets, mode 0600 (default: haechi.secret beside the config)
    HAECHI_SECRET_KEY     the master secret itself; several, newest first, separated by commas
    HAECHI_WORKERS        goes before [server] workers; `haechi serve --workers` goes before both
    HAECHI_LOG_LEVEL      debug, info (default), warning, error
    HAECHI_LOG_FORMAT     json (default where the output is no terminal), console

Everything else stands in haechi.toml. Secrets print as asterisks.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from gateway import config as toml
from gateway.cores import MOST_WORKERS, workers_of
from gateway.keyring import Keyring

SECRET_FILE = "haechi.secret"  # noqa: S105 - a file name


class Settings(BaseSettings):
    """Read by `Settings()`; a test or the demo hands values in by name instead."""

    model_config = SettingsConfigDict(env_prefix="HAECHI_", frozen=True, extra="forbid")

    config: Path = Path("haechi.toml")
    database_url: str | None = None
    data_dir: Path | None = None
    secret_file: Path | None = None
    secret_key: SecretStr | None = None
    workers: Annotated[int, Field(ge=1, le=MOST_WORKERS), BeforeValidator(workers_of)] | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] | None = None

    def load_config(self) -> toml.Config:
        """Read haechi.toml. Raises config.ConfigError or FileNotFoundError."""
        config = toml.load(self.config, self.variables())
        if self.workers is None:
            return config
        return replace(config, server=config.server.model_copy(update={"workers": self.workers}))

    def variables(self) -> dict[str, str]:
        """Return the variables that haechi.toml may name, these settings among them."""
        return {**os.environ, **self.environment()}

    def keyring(self) -> Keyring:
        """Return the master secrets. Raises keyring.SecretError on a missing, weak or exposed one."""
        if self.secret_key is not None:
            texts = self.secret_key.get_secret_value().split(",")
            return Keyring.of(text.strip() for text in texts)
        return Keyring.read(self.secret_path)

    @property
    def secret_path(self) -> Path:
        return self.secret_file or self.config.parent / SECRET_FILE

    def environment(self) -> dict[str, str]:
        """Return the variables that make another process read the same settings (workers, subprocesses)."""
        values = {
            "HAECHI_CONFIG": str(self.config.resolve()),
            "HAECHI_DATABASE_URL": self.database_url,
            "HAECHI_DATA_DIR": str(self.data_dir.resolve()) if self.data_dir else None,
            "HAECHI_SECRET_FILE": str(self.secret_file.resolve()) if self.secret_file else None,
            "HAECHI_SECRET_KEY": self.secret_key.get_secret_value() if self.secret_key else None,
            "HAECHI_WORKERS": None if self.workers is None else str(self.workers),
            "HAECHI_LOG_LEVEL": self.log_level,
            "HAECHI_LOG_FORMAT": self.log_format,
        }
        return {name: value for name, value in values.items() if value is not None}
