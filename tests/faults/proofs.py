"""Results of full-size proofs: a JSON line each, with the code they ran on, so that a proof can be resumed.

`HAECHI_PROOFS` names the file (`make prove` sets docs/proofs/ledger.jsonl); without it nothing is written.
"""

from __future__ import annotations

import json
import os
import subprocess
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
LEDGER = (
    *(
        f"billing/{name}.py"
        for name in ("budgets", "disk", "early", "journal", "late", "leases", "ledger", "money", "movements")
    ),
    *(f"billing/{name}.py" for name in ("periods", "quotes", "seals", "segments", "submissions", "tables")),
    *(f"billing/{name}.py" for name in ("usage", "usage_sums")),
    *(
        f"billing/store/{name}.py"
        for name in ("accounts", "adoption", "away", "corrections", "engine", "leases")
    ),
    *(
        f"billing/store/{name}.py"
        for name in ("locked_months", "plans", "rollups", "rows", "sealing", "sink")
    ),
    *(f"billing/store/{name}.py" for name in ("slots", "statements")),
)
"""What writes and settles rows: a proof holds as long as these files are those it ran on. Invoices, prices and
reports read what is written and are not among them."""


def record(proof: str, database: str, **figures: Any) -> None:
    """Append a result; also printed."""
    line = {"proof": proof, "database": database, **figures, **_code(), "at": _now(), "load": _load()}
    print(json.dumps(line, ensure_ascii=False))
    file = _file()
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", encoding="utf-8") as out:
            out.write(json.dumps(line, ensure_ascii=False) + "\n")


def done(proof: str, database: str) -> int:
    """Rounds that are recorded of this proof with the ledger's code as it stands."""
    file = _file()
    if file is None or not file.exists():
        return 0
    lines = map(json.loads, file.read_text(encoding="utf-8").splitlines())
    ours = (one for one in lines if (one["proof"], one["database"]) == (proof, database))
    return sum(one["rounds"] for one in ours if _ledger_code(one["commit"]) == _ledger_code("HEAD"))


def _code() -> dict[str, str]:
    """The commit; `+` where files of the ledger were changed since."""
    changed = _git("status", "--porcelain", "--", *LEDGER)
    return {"commit": _git("rev-parse", "--short=12", "HEAD") + ("+" if changed else "")}


@cache
def _ledger_code(commit: str) -> str:
    """The blobs of the ledger's files in a commit; of a changed tree (`+`) or an unknown commit none match."""
    return _git("ls-tree", "-r", commit, "--", *LEDGER) or f"no {commit}"


def _git(*arguments: str) -> str:
    ran = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    return ran.stdout.strip() if ran.returncode == 0 else "unknown"


def _file() -> Path | None:
    name = os.environ.get("HAECHI_PROOFS")
    return ROOT / name if name else None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _load() -> float:
    """How busy the machine was: figures of time are to be read with it."""
    return round(os.getloadavg()[0], 1)
