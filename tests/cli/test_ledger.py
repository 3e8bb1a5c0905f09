"""`haechi ledger`: what is verified, and what is exported."""

import json

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


def test_a_months_root_can_be_published_and_checked_without_the_database(haechi, used, tmp_path):
    assert haechi("ledger", "root", "--month", "2026-12").code == 4
    assert haechi("ledger", "root", "--month", "December").code == 2
    exported = tmp_path / "seals.jsonl"
    exported.write_text(haechi("ledger", "seals").ok().out)
    (seal,) = [json.loads(line) for line in exported.read_text().splitlines()]
    published = haechi("ledger", "root", "--month", "2026-10", "--json").ok().json
    assert published["root"] == seal["root"]
    assert seal["root"] in haechi("ledger", "root", "--month", "2026-10").ok().out
    public = published["public_key"]
    haechi("ledger", "check-seals", exported, "--public-key", "00" * 32, "--public-key", public).ok()
    assert haechi("ledger", "check-seals", exported, "--public-key", "00" * 32).code == 1
    assert haechi("ledger", "check-seals", exported, "--public-key", "zz").code == 2
    exported.write_text(json.dumps(seal | {"sealed_at_us": 1}))
    assert haechi("ledger", "check-seals", exported, "--public-key", public).code == 1
