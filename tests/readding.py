"""Adds a ledger up again from its raw charges, with nothing of Haechi's: `python tests/readding.py FILE`.

Reads `ledger_charge` of a SQLite file row by row, in whole numbers, and prints what reports say of the same:
nano-won of each month, department and person, people who used anything, and seats for them.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from collections import defaultdict
from contextlib import closing

NANO = 10**9
SEAT_KRW = 30_000


def readded(file: str, seat_krw: int = SEAT_KRW) -> dict[str, object]:
    by_month: dict[str, int] = defaultdict(int)
    by_department: dict[str, int] = defaultdict(int)
    by_person: dict[str, int] = defaultdict(int)
    active: set[tuple[str, str]] = set()
    query = "SELECT billing_period, department_id, person_id, amount_nano_krw FROM ledger_charge"
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        for month, department, person, nano in connection.execute(query):
            by_month[month] += nano
            by_department[department] += nano
            by_person[person] += nano
            active.add((month, person))
    metered = sum(by_month.values())
    seats = len(by_person) * len(by_month) * seat_krw
    return {
        "months": dict(by_month),
        "departments": dict(by_department),
        "persons": dict(by_person),
        "metered_nano_krw": metered,
        "person_months": len(active),
        "seats_krw": seats,
        "seats_of_active_krw": len(active) * seat_krw,
        "saved_nano_krw": seats * NANO - metered,
    }


if __name__ == "__main__":
    json.dump(readded(sys.argv[1]), sys.stdout, ensure_ascii=False)
