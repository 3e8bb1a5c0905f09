"""Which form of the hot modules runs: as written, or compiled by mypyc. Nothing is compiled here.

`python -m filters.scripts.compile` puts compiled modules under `filters/_native/<digest>/`, where the
digest covers the sources of all of them and the interpreter. A folder whose digest is not that of the
sources as they are now is never looked at, so an edited source runs as written until it is compiled
again: the two cannot drift apart. `HAECHI_NATIVE=0` turns compiled modules off.
Why and how much it saves: docs/decisions/0062-hot-modules-are-compiled.md.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
FOLDER: Final = HERE / "_native"
MODULES: Final = (
    "checksums",
    "detector",
    "engine",
    "fold",
    "gate",
    "resolve",
    "walker",
    "lexicon/persons",
    "lexicon/sounds",
    "lexicon/table",
    "detectors/addresses",
    "detectors/candidates",
    "detectors/columns",
    "detectors/contacts",
    "detectors/documents",
    "detectors/labels",
    "detectors/latin_names",
    "detectors/name_rules",
    "detectors/names",
    "detectors/numbers",
    "detectors/person_features",
    "detectors/person_weights",
    "detectors/person_words",
    "detectors/phones",
)
"""Where the time goes that is not spent inside a regular expression; sources relative to this package."""


def digest() -> str:
    """What the sources say now, and which interpreter would run them."""
    state = hashlib.blake2b(str(sys.implementation.cache_tag).encode(), digest_size=8)
    for module in MODULES:
        state.update((HERE / f"{module}.py").read_bytes())
    return state.hexdigest()


def compiled() -> Path | None:
    """The folder of modules compiled from these very sources, if there is one."""
    if os.environ.get("HAECHI_NATIVE") == "0" or not FOLDER.is_dir():
        return None
    folder = FOLDER / digest()
    return folder if (folder / "complete").is_file() else None


def prefer_compiled(package: str, path: list[str]) -> None:
    """Let `package` look for its modules among the compiled ones first; `path` is its `__path__`."""
    if _COMPILED is not None:
        path.insert(0, str(_COMPILED.joinpath(*package.split("."))))


def _shared_library(folder: Path) -> None:
    """The one library that all compiled modules are parts of; they ask for it by its own name."""
    library = next(folder.glob("*__mypyc.*"))
    name = library.name.partition(".")[0]
    spec = importlib.util.spec_from_file_location(name, library)
    if spec is None or spec.loader is None:
        raise ImportError(f"{library.name}: cannot be loaded", name=name)
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)


_COMPILED: Final = compiled()
if _COMPILED is not None:
    _shared_library(_COMPILED)
