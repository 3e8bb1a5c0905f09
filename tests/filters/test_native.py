"""The compiled form of the filter: it finds the same, and an edited source never runs stale."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from filters import native
from filters.detector import DetectorError
from filters.evaluate import read
from tests.filters.generate import harmless
from tests.filters.honest import HONEST_LINES
from tests.filters.renderings import RENDERINGS

READ = """
import json, sys
from filters import native
from filters.detector import DetectorError
from filters.engine import Engine
engine = Engine()
def read(text):
    try:
        return engine.detect(text)
    except DetectorError as error:
        return [error.detector, error.reason]
print(json.dumps([native.compiled() is not None, [read(text) for text in json.load(sys.stdin)]]))
"""
WHERE = "import filters.resolve; print(filters.resolve.__file__)"


def needs_compiled() -> None:
    if os.environ.get("HAECHI_NATIVE") == "0":
        pytest.skip("this run tests the filter as written")
    if native.compiled() is None:
        message = "the filter is not compiled here (`python -m filters.scripts.compile`, `make venv`)"
        if os.environ.get("HAECHI_CI") and shutil.which("cc"):
            pytest.fail(message)
        pytest.skip(message)


def python(code: str, folder: Path, given: str = "", **env: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(folder), **env}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        input=given,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def texts() -> list[str]:
    labelled = Path(__file__).parent / "data" / "labelled.jsonl"
    hidden = [render(["901010", "1234567"], "-") for render in RENDERINGS.values()]
    generated = [sample.text for sample in harmless(Random(8), 200)]
    return [*(d.text for d in read(labelled)), *HONEST_LINES, *hidden, *generated, "1 " * 90_000, "홍 ", ""]


def test_compiled_and_as_written_find_the_same():
    needs_compiled()
    given, here = json.dumps(texts()), native.HERE.parent
    is_compiled, fast = json.loads(python(READ, here, given, HAECHI_NATIVE="1"))
    was_compiled, plain = json.loads(python(READ, here, given, HAECHI_NATIVE="0"))
    assert is_compiled
    assert not was_compiled
    for text, one, other in zip(texts(), fast, plain, strict=True):
        assert one == other, text[:200]


def test_an_edited_source_runs_as_written(tmp_path):
    needs_compiled()
    shutil.copytree(native.HERE, tmp_path / "filters", ignore=shutil.ignore_patterns("__pycache__"))
    assert python(WHERE, tmp_path).strip().endswith(".so")
    with (tmp_path / "filters" / "resolve.py").open("a") as source:
        source.write("# edited\n")
    assert python(WHERE, tmp_path).strip().endswith("resolve.py")


def test_compiled_modules_can_be_turned_off(monkeypatch):
    monkeypatch.setenv("HAECHI_NATIVE", "0")
    assert native.compiled() is None


def test_half_a_compilation_is_none(tmp_path, monkeypatch):
    monkeypatch.setattr(native, "FOLDER", tmp_path)
    (tmp_path / native.digest()).mkdir()
    assert native.compiled() is None


def test_errors_of_compiled_detectors_are_the_same(engine):
    with pytest.raises(DetectorError, match="TooMany"):
        engine.detect("마이클 " * 100_000)
