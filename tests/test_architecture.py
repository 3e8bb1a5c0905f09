"""The import rules hold, and would notice if they did not."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("gateway", "filters", "billing", "migrations", "simulator")
LINT = Path(sys.executable).with_name("lint-imports")


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(LINT), "--no-cache"], cwd=folder, capture_output=True, text=True, env={"PYTHONPATH": str(folder)}
    )


@pytest.mark.parametrize(
    ("file", "violation"),
    [
        ("filters/spans.py", "import gateway.domain"),
        ("billing/money.py", "import filters.spans"),
        ("gateway/domain.py", "import gateway.pipeline"),
        ("gateway/providers/openai.py", "import gateway.providers.anthropic"),
        ("gateway/surfaces/chat.py", "import httpx"),
        ("gateway/pipeline.py", "import sqlalchemy"),
        ("simulator/ledger.py", "import billing.money"),
    ],
)
def test_a_planted_violation_fails(tmp_path: Path, file: str, violation: str) -> None:
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__", "*.db")
        )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / file).open("a") as source:
        source.write(f"\n{violation}  # noqa\n")

    checked = lint(tmp_path)

    assert checked.returncode == 1, checked.stdout
    assert "BROKEN" in checked.stdout


def test_the_tree_itself_keeps_every_contract() -> None:
    checked = lint(ROOT)
    assert checked.returncode == 0, checked.stdout


def test_only_upstream_opens_connections_to_providers() -> None:
    """No other module of the gateway imports an HTTP client but the command line's own health checks.

    Webhooks go to the institution's own address, from a thread of their own, and never hold a prompt.
    """
    allowed = {"gateway/proxied.py", "gateway/notices/webhooks.py"}
    ways = {"gateway.connections", "gateway.proxied"}
    for path in (ROOT / "gateway").rglob("*.py"):
        name = str(path.relative_to(ROOT))
        assert not _imports(path) & ways or name in {"gateway/upstream.py", "gateway/proxied.py"}, name
        if name in allowed or name.startswith(("gateway/cli/", "gateway/demo/")):
            continue
        assert not _imports(path) & {"httpx", "aiohttp", "httpx_aiohttp", "requests", "urllib.request"}, name


def test_every_module_says_what_lives_in_it() -> None:
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            text = path.read_text()
            if text.strip() and "versions" not in path.parts:
                assert ast.get_docstring(ast.parse(text)), path


def _imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return {name for full in found for name in (full, full.split(".")[0])}
