"""Fill a folder with an institution's months of use; see gateway/demo/seed.py.

    python -m benchmarks.seed --folder /tmp/big [--people 10000 --months 3 --charges 1000000] [--database URL]

Makes what `haechi init` makes, with the demo's catalogue, then writes, counts the daily sums and prints
how long each took. On SQLite nothing waits for the disk while seeding: a power cut means starting over.
"""

from __future__ import annotations

import argparse
import time
from datetime import UTC, datetime
from pathlib import Path

from billing.store import rollups
from billing.store.usage_queries import totals
from gateway.demo import data
from gateway.demo.seed import Scale, backdated, seed
from gateway.installation import initialise
from gateway.settings import Settings
from gateway.store.database import migrate, opened, unsynced


def main() -> None:
    scale, folder, url = _arguments()
    settings = furnish(folder, url)
    config = settings.load_config()
    migrate(config.database_url)
    with opened(config.database_url) as database:
        unsynced(database)
        started = time.perf_counter()
        seed(database, config, settings.keyring(), scale, datetime.now(UTC), _tell)
        written = time.perf_counter()
        rollups.bring_up_to_date(database)
        counted = time.perf_counter()
        found = totals(database)
    print(
        f"\n{found.attempts:,} charges, {found.cost_won:,.0f} won: written in {written - started:.0f} s,"
        f" counted in {counted - written:.0f} s"
    )


def furnish(folder: Path, url: str | None = None) -> Settings:
    """Initialise a folder with the demo's catalogue; return its settings."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = initialise(folder, settings=Settings()).settings
    text = backdated(data.catalogue(data.SIMULATOR_URL, data.LOCAL_LLM_URL))
    settings.config.write_text(text, encoding="utf-8")
    return settings.model_copy(update={"database_url": url}) if url else settings


def _arguments() -> tuple[Scale, Path, str | None]:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--database", help="SQLite in the folder unless given")
    parser.add_argument("--people", type=int, default=Scale().people)
    parser.add_argument("--months", type=int, default=Scale().months)
    parser.add_argument("--charges", type=int, default=Scale().charges)
    chosen = parser.parse_args()
    return Scale(chosen.people, chosen.months, chosen.charges), chosen.folder, chosen.database


def _tell(done: int) -> None:
    if done % 100_000 < 2_500:
        print(f"\r{done:,} submissions", end="", flush=True)


if __name__ == "__main__":
    main()
