"""`.demo/`: made anew by every run, so that its books hold one run and nothing else.

A run deletes only what is in a folder that carries its mark. While one demo is up its folder is
locked; a second one uses a temporary folder that goes away with it.
"""

from __future__ import annotations

import fcntl
import shutil
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from gateway.installation import initialise
from gateway.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFAULT = Path(".demo")
MARK = "haechi-demo.lock"


@dataclass(frozen=True, slots=True)
class DemoFolder:
    path: Path

    @classmethod
    @contextmanager
    def fresh(cls, wanted: Path = DEFAULT) -> Iterator[Self]:
        """Yield an empty, locked folder: `wanted`, or a passing one if that is another's or in use."""
        with ExitStack() as held:
            path = wanted
            if not _take(path, held):
                path = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="haechi-demo-")))
            _empty(path)
            yield cls(path)

    @property
    def config(self) -> Path:
        return self.path / "haechi.toml"

    @property
    def database(self) -> Path:
        return self.path / "haechi.db"

    def initialise(self, catalogue: str, host: str, port: int) -> Settings:
        """Lay down configuration, secrets and database, the way `haechi init` does."""
        initialise(self.path, config_text=_head(host, port) + catalogue, settings=self.settings())
        return self.settings()

    def settings(self) -> Settings:
        """Return the settings of this folder, whatever HAECHI_… the shell has set."""
        return Settings(
            config=self.config,
            secret_file=self.path / "haechi.secret",
            database_url=None,
            secret_key=None,
        )


def _head(host: str, port: int) -> str:
    return f"""# 시연용 설정: `haechi demo`가 만들었고 다음 실행 때 새로 만듭니다.
# Made by `haechi demo`; the next run makes it anew.

[server]
host = "{host}"
port = {port}

[database]
url = "sqlite:///haechi.db"

[filter]
in_house_model = "haechi-local"

[review]
store_text = true

"""


def _take(path: Path, held: ExitStack) -> bool:
    """Lock the folder for as long as `held` lives; False if it is in use or holds what is not ours."""
    path.mkdir(exist_ok=True)
    if any(path.iterdir()) and not (path / MARK).exists():
        return False
    lock = held.enter_context((path / MARK).open("a"))
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _empty(path: Path) -> None:
    for entry in path.iterdir():
        if entry.name == MARK:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
