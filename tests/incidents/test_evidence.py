"""The evidence pack: what it says, what it leaves out, and that a changed one is noticed."""

import io
import json
import zipfile
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256

import pytest
from sqlalchemy import insert

from billing.periods import to_us
from billing.store import open_engine
from gateway.audit import Actor, AuditEvent
from gateway.config import parse
from gateway.incidents.evidence import Evidence
from gateway.incidents.evidence_digests import compared
from gateway.incidents.evidence_pack import FORMAT, as_json, check, packed, signing_key
from gateway.incidents.oversight import Period
from gateway.keyring import Keyring, Purpose, new_secret
from gateway.store.audit import Trail, audited
from gateway.store.database import migrate
from gateway.store.incident_tables import incident_exception
from tests.store.test_filter_sums import RRN, receipt_of, store
from tests.store.test_incident_statistics import finding_of, incident_of, write

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
MONTH = Period(date(2026, 11, 1), date(2026, 11, 30))
CONFIG = b"""
[invoices]
institution_name = "\xec\x84\x9c\xec\x9a\xb8\xed\x8a\xb9\xeb\xb3\x84\xec\x8b\x9c"

[[filter.policies]]
version = "2026-11"
effective_from = 2026-11-10
[filter.policies.allow]
phone_numbers = ["02-2133-4567"]
[[filter.policies.exceptions]]
until = 2027-01-01
rule = "person_title"
reason = "written by Park Geunhye"
approved_by = "kim.haechi"

[[filter.policies]]
version = "2027-01"
effective_from = 2027-01-01
"""
PERSONAL = [
    "S-77001",
    "reviewer.park",
    "10.20.30.40",
    "Because Hong Gildong asked",
    "02-2133-4567",
    "0221334567",
    "Park Geunhye",
    "kim.haechi",
    "hash-of-a-value",
]


@pytest.fixture
def keyring():
    return Keyring.of([new_secret()])


@pytest.fixture
def evidence(tmp_path, keyring):
    url = f"sqlite:///{tmp_path}/haechi.db"
    migrate(url)
    engine = audited(open_engine(url), lambda: keyring)
    yield Evidence(engine, keyring, parse(CONFIG, tmp_path / "haechi.toml", {}))
    engine.dispose()


@pytest.fixture
def pack(evidence):
    database = evidence.database
    store(
        database,
        receipt_of(1, action="block", findings=(RRN,), person_id="S-77001"),
        receipt_of(2, NOW - timedelta(days=60)),
    )
    write(
        database,
        [incident_of(1, resolution="false_positive", person="S-77001", resolved_by="reviewer.park")],
        [finding_of(1, value="hash-of-a-value")],
    )
    with database.begin() as connection:
        connection.execute(
            insert(incident_exception).values(
                id="e1",
                incident_id="req-1",
                type="KR_RRN",
                rule="kr_rrn",
                department_id="CM",
                value_hash="hash-of-a-value",
                finding_key_id="f1",
                reason="Because Hong Gildong asked",
                until_us=to_us(NOW + timedelta(days=5)),
                state="approved",
                proposed_by="reviewer.park",
                proposed_at_us=to_us(NOW),
                decided_by="reviewer.lee",
                decided_at_us=to_us(NOW),
            )
        )
    actor = Actor("reviewer.park", ("reviewer",), "10.20.30.40")
    trail = Trail(database)
    reason = "Because Hong Gildong asked"
    trail.record(
        AuditEvent(NOW, actor, "incident.reveal", "req-1", reason, details={"what": "span", "note": reason})
    )
    trail.record(AuditEvent(NOW, actor, "key.create", "S-77001"))
    trail.record(AuditEvent(NOW, Actor("admin"), "incident.view", "req-1"))
    return evidence.build(MONTH, NOW, actor)


def files_of(pack):
    with zipfile.ZipFile(io.BytesIO(pack)) as whole:
        return {name: whole.read(name) for name in whole.namelist()}


def test_a_pack_holds_what_an_audit_asks_for_and_checks(pack, keyring):
    checked = check(pack)
    assert checked.ok, checked.problems
    assert (checked.manifest["format"], checked.manifest["institution"]) == (FORMAT, "서울특별시")
    assert (checked.manifest["from"], checked.manifest["to"]) == ("2026-11-01", "2026-11-30")
    public = signing_key(keyring.current(Purpose.EVIDENCE).key).public_key().public_bytes_raw().hex()
    assert checked.public_key == public
    assert check(pack, public).ok


def test_a_pack_names_nobody_and_holds_nothing_that_somebody_wrote(pack):
    for name, content in files_of(pack).items():
        for personal in PERSONAL:
            assert personal not in content.decode(), (name, personal)


def test_a_pack_says_which_policies_were_in_force_and_what_they_decided(pack):
    files = files_of(pack)
    policies = json.loads(files["policies.json"])
    assert [one["version"] for one in policies["policies"]] == ["haechi-default-2026.11", "2026-11"]
    assert policies["policies"][1]["zones"]["external"]["allow"]["phone_numbers"] == 1
    assert policies["policies"][1]["exceptions"][0]["reason_given"]
    assert [one["requests"] for one in policies["used"]] == [1]
    counts = json.loads(files["counts.json"])
    assert counts["totals"]["refused"] == 1
    assert counts["coverage"]["ok"]
    assert counts["repeats"] == {"person": 0, "value": 0}
    rules = json.loads(files["rules.json"])
    assert rules["precision_from_verdicts"][0]["false_positive"] == 1
    exceptions = json.loads(files["exceptions.json"])
    assert (exceptions[0]["one_value"], exceptions[0]["by_a_second_person"]) == (True, True)


def test_a_listed_number_cannot_be_guessed_from_a_pack(pack):
    """A telephone number has few possible values: whoever holds the pack tries them all."""
    allow = json.loads(files_of(pack)["policies.json"])["policies"][1]["zones"]["external"]["allow"]
    listed = {name: [] for name in ("business_numbers", "email_addresses", "phone_prefixes")}
    guesses = (f"02213345{last:02}" for last in range(100))
    plain = {sha256(as_json(listed | {"phone_numbers": [guess]})).hexdigest() for guess in guesses}
    assert not plain & set(map(str, allow.values()))


def test_whoever_holds_the_key_proves_that_lists_are_the_same(pack, evidence, keyring, tmp_path):
    places = ["2026-11 external", "2026-11 in_house"]
    same = dict(compared(pack, evidence.config, keyring))
    assert [same[place] for place in places] == [True, True]
    changed = parse(CONFIG.replace(b"4567", b"4568"), tmp_path / "haechi.toml", {})
    assert dict(compared(pack, changed, keyring))["2026-11 external"] is False
    rotated = Keyring((Keyring.of([new_secret()]).masters[0], *keyring.masters))
    assert all(dict(compared(pack, evidence.config, rotated)).values())
    stranger = Keyring.of([new_secret()])
    assert set(dict(compared(pack, evidence.config, stranger)).values()) == {None}


def test_the_access_log_numbers_people_and_keeps_the_chain(pack):
    files = files_of(pack)
    header, *lines = files["access-log.csv"].decode("utf-8-sig").splitlines()
    rows = [dict(zip(header.split(","), line.split(","), strict=True)) for line in lines]
    assert [(row["who"], row["action"], row["subject"]) for row in rows] == [
        ("actor-1", "incident.reveal", "req-1"),
        ("actor-1", "key.create", ""),
        ("actor-2", "incident.view", "req-1"),
    ]
    assert (rows[0]["reason_given"], rows[0]["details"]) == ("yes", "what=span")
    proof = json.loads(files["access-log.json"])
    assert proof["verified"]
    assert proof["head"] == f"3:{rows[-1]['mac']}"


def test_the_making_of_a_pack_is_in_the_access_audit(pack, evidence):
    from gateway.store.audit import AuditFilter, read_audit

    (event,) = read_audit(evidence.database, AuditFilter(action="evidence.make"))
    assert event.subject == "2026-11-01..2026-11-30"
    assert event.details["bytes"] == len(pack)


def repacked(files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as whole:
        for name, content in files.items():
            whole.writestr(name, content)
    return out.getvalue()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda files: files | {"counts.json": b"{}"}, "counts.json was changed"),
        (lambda files: {n: c for n, c in files.items() if n != "incidents.csv"}, "incidents.csv is missing"),
        (lambda files: files | {"more.txt": b"x"}, "more.txt was added"),
        (
            lambda files: (
                files | {"manifest.json": files["manifest.json"].replace(b"2026-11-30", b"2026-11-29")}
            ),
            "the signature of the manifest does not hold",
        ),
        (lambda files: files | {"manifest.sig": b"\xff\xfe"}, "the signature of the manifest does not hold"),
    ],
)
def test_a_changed_pack_is_noticed(pack, change, problem):
    assert problem in check(repacked(change(files_of(pack)))).problems


def test_a_pack_signed_by_somebody_else_is_noticed_by_who_knows_the_key(pack, keyring):
    files = {
        name: content
        for name, content in files_of(pack).items()
        if not name.startswith(("manifest", "public"))
    }
    forged = packed(files, {"from": "2026-11-01"}, NOW, b"x" * 32)
    assert check(forged).ok
    public = signing_key(keyring.current(Purpose.EVIDENCE).key).public_key().public_bytes_raw().hex()
    assert check(forged, public).problems == ("the signature of the manifest does not hold",)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04nonsense", b"x" * 1000])
def test_what_is_no_pack_is_said_to_be_none(data):
    assert not check(data).ok


def test_the_same_content_makes_the_same_bytes():
    made = [packed({"b": b"2", "a": b"1"}, {"from": "x"}, NOW, b"k" * 32) for _ in range(2)]
    assert made[0] == made[1]


def test_a_seal_that_does_not_hold_is_noticed():
    seal = {
        "number": 1,
        "sealed_at_us": 5,
        "reason": "hourly",
        "heads": [],
        "previous": "0" * 64,
        "key_version": 1,
        "signature": "00" * 64,
    }
    ledger = json.dumps({"seals": [seal], "public_keys": ["11" * 32]}).encode()
    checked = check(packed({"ledger.json": ledger}, {}, NOW, b"k" * 32))
    assert checked.seals == 1 or checked.problems
    assert any("seal" in problem or "ledger" in problem for problem in checked.problems)


def test_the_readme_says_how_to_check(pack):
    assert b"verify-evidence" in files_of(pack)["README.txt"]
