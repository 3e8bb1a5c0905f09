"""`haechi ledger`: what is verified, and what is exported."""

from tests.cli import test_reports

used = test_reports.used  # the same ledger, written through the real journal


def test_an_untouched_ledger_verifies_with_the_seals_kept_elsewhere(haechi, used, tmp_path):
    exported = tmp_path / "seals.jsonl"
    exported.write_text(haechi("ledger", "seals").ok().out)
    report = haechi("ledger", "verify", "--seals", exported, "--json").ok().json
    assert report["ok"] is True
    assert report["seals"] == len(exported.read_text().splitlines()) == 1


def test_a_seal_of_another_ledger_is_named(haechi, used, tmp_path):
    foreign = tmp_path / "seals.jsonl"
    foreign.write_text(
        '{"number":1,"sealed_at_us":1,"reason":"hourly","heads":[[1,9,"ab"]],"root":"",'
        '"previous":"0","key_version":1,"signature":"00"}'
    )
    ran = haechi("ledger", "verify", "--seals", foreign, "--json")
    assert ran.code == 1
    assert {problem["what"] for problem in ran.json["problems"]} == {"seal"}


def test_a_file_that_holds_no_seals_is_refused(haechi, used, tmp_path):
    wrong = tmp_path / "seals.jsonl"
    wrong.write_text("hello")
    assert haechi("ledger", "verify", "--seals", wrong).code == 4
