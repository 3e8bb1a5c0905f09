"""Compile the hot modules of the filter with mypyc; without a C compiler, say so and leave them as they are.

    python -m filters.scripts.compile [--required] [PACKAGE]

PACKAGE is an installed `filters` folder to put the result in, by default this one. `--required` makes a
missing compiler an error. What is compiled, and how it is found again: filters/native.py.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Final

from filters import native

SETUP: Final = """
from mypyc.build import mypycify
from setuptools import setup
setup(name="native", ext_modules=mypycify({arguments!r}, opt_level="3", debug_level="0"))
"""
FLAGS: Final = ("--python-version=3.11", "--follow-imports=skip", "--ignore-missing-imports")
"""mypy's; the sources are checked strictly elsewhere, and what they import is not read here."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Compile the hot modules of the filter.")
    parser.add_argument("--required", action="store_true", help="fail without a C compiler")
    parser.add_argument("package", nargs="?", type=Path, default=native.HERE)
    arguments = parser.parse_args()
    target = arguments.package / native.FOLDER.name / native.digest()
    if (target / "complete").is_file():
        return 0
    compiler = str(sysconfig.get_config_var("CC") or "cc").split()[0]
    if shutil.which(compiler) is None:
        print(f"== no C compiler ({compiler}): the filter runs as written, at about half the speed")
        return 1 if arguments.required else 0
    print("== compiling the hot modules of the filter (about half a minute)", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        built = compile_in(Path(folder))
        if built is None:
            return 1 if arguments.required else 0
        _put(built, target)
    return 0


def _put(built: Path, target: Path) -> None:
    """Replace what was compiled before; whoever starts meanwhile finds all of the new or none of it."""
    shutil.rmtree(target.parent, ignore_errors=True)
    shutil.copytree(built, target, dirs_exist_ok=True)
    (target / "complete").touch()


def compile_in(folder: Path) -> Path | None:
    """The folder of compiled modules, or None when the compiler failed; its last words are shown."""
    sources = [f"filters/{module}.py" for module in native.MODULES]
    for source in sources:
        copy = folder / source
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(native.HERE.parent / source, copy)
        (copy.parent / "__init__.py").touch()
    (folder / "setup.py").write_text(SETUP.format(arguments=[*FLAGS, *sources]), "utf-8")
    command = [sys.executable, "setup.py", "--quiet", "build_ext", "--build-lib", "built"]
    quiet = {**os.environ, "CFLAGS": "-w " + os.environ.get("CFLAGS", "")}
    done = subprocess.run(command, cwd=folder, env=quiet, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        print(done.stdout[-2000:], done.stderr[-2000:], sep="\n")
        print("== the filter could not be compiled and runs as written, at about half the speed")
        return None
    return folder / "built"


if __name__ == "__main__":
    sys.exit(main())
