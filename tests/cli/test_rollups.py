"""`haechi ledger rollups`: sums against the ledger they were made from."""

from sqlalchemy import text

from billing.store import open_engine
from tests.cli import test_reports

used = test_reports.used  # the same ledger, written through the real journal


def test_sums_are_the_ledgers_and_a_changed_one_is_named(haechi, used, tmp_path):
    report = haechi("ledger", "rollups", "verify", "--json").ok().json
    assert (report["ok"], report["behind"], report["differences"]) == (True, 0, [])
    assert report["sums"] > 0
    engine = open_engine(f"sqlite:///{tmp_path}/haechi.db")
    with engine.begin() as connection:
        connection.execute(text("UPDATE usage_unit_day SET won = won + 1"))
    engine.dispose()
    ran = haechi("ledger", "rollups", "verify", "--json")
    assert ran.code == 1
    assert {difference.partition(",")[0] for difference in ran.json["differences"]} == {"usage_unit_day"}
    assert "원" in haechi("ledger", "rollups", "rebuild").ok().out
    assert haechi("ledger", "rollups", "verify", "--json").ok().json["ok"] is True
