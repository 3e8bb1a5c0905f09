"""The evidence pack of a period, for an audit (국감 자료): collects, leaves out what names a person, signs.

What is in it: policies in force, versions and figures of rules, counts, incidents, exceptions, the log of
who looked at what, and the proofs that neither that log nor the ledger was changed. What is not: names,
numbers of staff, logins, addresses, prompts, found values or hashes of them, and free text that somebody
wrote. People who act in the log are numbered by their first appearance in this pack.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from billing.seals import public_key
from billing.store import export_seals
from billing.store.verification import verify as verify_ledger
from filters.engine import RULES_VERSION
from gateway.audit import AuditEvent
from gateway.incidents.evidence_digests import LISTS, digest_of_list, digest_of_rule
from gateway.incidents.evidence_pack import LEDGER, as_json, packed
from gateway.incidents.exporting import PRODUCT_VERSION
from gateway.keyring import Purpose
from gateway.spreadsheets import write_csv
from gateway.store.audit import AuditFilter, Trail, export_audit, verify_audit
from gateway.store.evidence import INCIDENT_COLUMNS, exceptions_in, incident_rows, versions_used
from gateway.store.incident_statistics import count_everything, overview

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from filters.policy import AllowList, Policy, ZonePolicy
    from gateway.audit import Actor
    from gateway.config import Config
    from gateway.incidents.oversight import Oversight, Period
    from gateway.keyring import DerivedKey, Keyring
    from gateway.store.audit import AuditRow
    from gateway.store.database import Database

_SHOWN_AREAS: Final = ("incident", "exception", "evidence")
"""Areas of the access audit whose subjects are incidents and packs; others may name people."""
_SHOWN_DETAILS: Final = frozenset({"near", "what", "span", "minutes", "resolution", "state"})
_LOG_COLUMNS: Final = (
    "seq",
    "at",
    "who",
    "roles",
    "action",
    "subject",
    "reason_given",
    "outcome",
    "details",
    "mac",
)


@dataclass(frozen=True, slots=True)
class Evidence:
    database: Database
    """Carries the key of the access audit."""
    keyring: Keyring
    config: Config

    def build(self, period: Period, now: datetime, actor: Actor) -> bytes:
        """Return the signed ZIP of a period, and write to the access audit that it was made."""
        count_everything(self.database, now)
        files = self.files(period, now)
        about = {
            "institution": self.config.invoices.institution_name,
            "haechi": PRODUCT_VERSION,
            "from": period.first.isoformat(),
            "to": period.last.isoformat(),
        }
        pack = packed(files, about, now, self.keyring.current(Purpose.EVIDENCE).key)
        details = {"sha256": hashlib.sha256(pack).hexdigest(), "bytes": len(pack)}
        subject = f"{period.first}..{period.last}"
        Trail(self.database).record(AuditEvent(now, actor, "evidence.make", subject, details=details))
        return pack

    def files(self, period: Period, now: datetime) -> dict[str, bytes]:
        """Return every file of the pack but the manifest and its signature."""
        seen = overview(self.database, period, now)
        return {
            "README.txt": README.format(first=period.first, last=period.last).encode(),
            "policies.json": as_json(self._policies(period)),
            "rules.json": as_json(self._rules(period, seen)),
            "counts.json": as_json(counts_of(seen)),
            "incidents.csv": _csv(INCIDENT_COLUMNS, incident_rows(self.database, period)),
            "exceptions.json": as_json(exceptions_in(self.database, period)),
            "access-log.csv": _csv(_LOG_COLUMNS, self._log(period)),
            "access-log.json": as_json(self._log_proof(period)),
            LEDGER: as_json(self._ledger(period)),
        }

    def _policies(self, period: Period) -> dict[str, Any]:
        """Return the policies of haechi.toml that were in force at some time of the period."""
        versions = sorted(self.config.policies.versions, key=lambda one: one.effective_from)
        in_force = [
            policy
            for policy, following in zip(versions, [*versions[1:], None], strict=True)
            if policy.effective_from < period.end
            and (following is None or following.effective_from > period.start)
        ]
        return {
            "policies": [policy_record(policy, self._digest_key) for policy in in_force],
            "used": versions_used(self.database, period),
            "in_house_model": self.config.in_house_model,
        }

    @property
    def _digest_key(self) -> DerivedKey:
        return self.keyring.current(Purpose.EVIDENCE_DIGEST)

    def _rules(self, period: Period, seen: Oversight) -> dict[str, Any]:
        used = versions_used(self.database, period)
        return {
            "rules_version_now": RULES_VERSION,
            "rules_versions_used": sorted({one["rules_version"] for one in used}),
            "institution_rules": [
                {"name": rule.name, "type": rule.type, **digest_of_rule(rule, self._digest_key)}
                for rule in self.config.custom_rules
            ],
            "figures": [asdict(one) for one in seen.rules],
            "precision_from_verdicts": [one.as_record() for one in seen.precision],
        }

    def _events(self, period: Period) -> Iterator[AuditRow]:
        yield from export_audit(self.database, AuditFilter(since=period.start, until=period.end))

    def _log(self, period: Period) -> Iterator[tuple[object, ...]]:
        """Yield a line for each event: who is a number, and what may name a person is left out."""
        numbers: dict[str, int] = {}
        for event in self._events(period):
            number = numbers.setdefault(event.actor, len(numbers) + 1)
            shown = event.action.partition(".")[0] in _SHOWN_AREAS
            details = {name: value for name, value in event.details.items() if name in _SHOWN_DETAILS}
            yield (
                event.seq,
                event.at.isoformat(),
                f"actor-{number}",
                " ".join(event.roles),
                event.action,
                event.subject if shown else "",
                "yes" if event.reason else "no",
                event.outcome,
                " ".join(f"{name}={details[name]}" for name in sorted(details)) if shown else "",
                event.mac,
            )

    def _log_proof(self, period: Period) -> dict[str, Any]:
        verdict = verify_audit(self.database, self.keyring)
        actions: dict[str, int] = {}
        for event in self._events(period):
            actions[event.action] = actions.get(event.action, 0) + 1
        return {
            "verified": not verdict.problems,
            "problems": list(verdict.problems),
            "rows": verdict.rows,
            "first": verdict.first,
            "head": f"{verdict.last}:{verdict.head_mac}",
            "events_of_the_period": dict(sorted(actions.items())),
        }

    def _ledger(self, period: Period) -> dict[str, Any]:
        """Return what a verification of the whole ledger says, and the seals of the period."""
        keys = self.keyring.by_version(Purpose.LEDGER_CHAIN)
        report = verify_ledger(self.database, keys)
        first, last = (int(at.timestamp() * 1_000_000) for at in (period.start, period.end))
        seals = [seal for seal in export_seals(self.database) if first <= seal.sealed_at_us < last]
        return {
            "verified": report.ok,
            "problems": len(report.problems),
            "rows": report.rows,
            "writers": report.slots,
            "charges": report.charges,
            "root": report.root,
            "seals": [{**seal.as_json(), "root": seal.root} for seal in seals],
            "public_keys": [public_key(key).hex() for _, key in sorted(keys.items())],
        }


def counts_of(seen: Oversight) -> dict[str, Any]:
    """Return the oversight of a period without people and values: of repeats only how many there are."""
    record = seen.as_record(lambda _person: "")
    record["repeats"] = {kind: sum(one.kind == kind for one in seen.repeats) for kind in ("person", "value")}
    return record


# --- policies without what somebody wrote --------------------------------------------------------------


def policy_record(policy: Policy, key: DerivedKey) -> dict[str, Any]:
    return {
        "version": policy.version,
        "effective_from": policy.effective_from.isoformat(),
        "zones": {name: _zone_record(zone, key) for name, zone in policy.zones.items()},
        "departments": {
            f"{department}/{zone}": _zone_record(own, key)
            for (department, zone), own in sorted(policy.departments.items())
        },
        "exceptions": [
            {
                "until": one.until.isoformat(),
                "type": one.type,
                "rule": one.rule,
                "department": one.department,
                "one_value": bool(one.value_hash),
                "reason_given": bool(one.reason),
                "approved": bool(one.approved_by),
            }
            for one in policy.exceptions
        ],
    }


def _zone_record(zone: ZonePolicy, key: DerivedKey) -> dict[str, Any]:
    density = zone.density
    return {
        "types": {
            name: {"action": rule.action.word, "threshold": rule.threshold}
            for name, rule in sorted(zone.rules.items())
        },
        "default": {"action": zone.default.action.word, "threshold": zone.default.threshold},
        "labels": {f"{of}:{label}": action.word for (of, label), action in sorted(zone.labels.items())},
        "grades": {name: grade.name for name, grade in sorted(zone.grades.items())},
        "dense": None if density is None else {**asdict(density), "action": density.action.word},
        "open_parts": sorted(zone.open_parts),
        "never_restored": sorted(zone.never_restored),
        "countries": None if zone.countries is None else sorted(zone.countries),
        "simulate": zone.simulate,
        "allow": _allow_record(zone.allow, key),
    }


def _allow_record(allow: AllowList, key: DerivedKey) -> dict[str, Any]:
    """Return how many values are listed, and one keyed digest of them."""
    return {
        **{name: len(getattr(allow, name)) for name in LISTS},
        "office_domains": sorted(allow.office_domains),
        "office_mailboxes": sorted(allow.office_mailboxes),
        **digest_of_list(allow, key),
    }


def _csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    out = io.StringIO(newline="")
    write_csv(out, header, rows)
    return out.getvalue().encode()


README: Final = """\
해치(Haechi) 생성형 AI 이용 감사 자료  {first} ~ {last}

이 묶음에는 개인정보가 없습니다: 이름, 직원번호, 로그인, IP 주소, 입력한 글,
찾아낸 값과 그 해시, 사람이 쓴 사유를 넣지 않았습니다.
기록에 나오는 사람은 이 묶음 안에서만 쓰는 번호(actor-1)로 적었습니다.

  policies.json     기간 중 시행된 정책과, 정책·규칙 버전별 처리 건수
  rules.json        규칙 버전, 규칙별 검출 건수, 검토자 판정으로 잰 정확도
  counts.json       요청·차단·마스킹 건수, 부서와 종류별 건수, 처리 시간, 검사하지 않고 나간 요청(0이어야 함)
  incidents.csv     사건 목록
  exceptions.json   승인된 예외
  access-log.csv    누가(번호) 무엇을 보았고 무엇을 했는지. mac은 기록을 잇는 값입니다
  access-log.json   열람 기록 전체의 검증 결과와 끝 값(번호:mac)
  ledger.json       장부 전체의 검증 결과, 기간의 봉인(루트와 서명)
  manifest.json     파일마다의 SHA-256. manifest.sig는 그 서명(Ed25519), public-key.txt는 공개키

확인: haechi incidents verify-evidence 파일.zip --public-key 기관이_공개한_키
hmac_sha256은 이 묶음에 넣지 않은 내용(허용한 번호, 기관 규칙)의 키 있는 해시입니다. 값이 몇 가지뿐이라
키 없는 해시는 맞혀 볼 수 있기 때문입니다. 비밀키를 가진 기관이 지금 설정과 같은지 확인합니다:
  haechi incidents compare-evidence 파일.zip

--
Audit evidence of the use of generative AI, {first} to {last}. It holds no personal data: no names,
staff numbers, logins, addresses, prompts, found values or hashes of them, and no free text. People in
the log are numbered within this pack only. `haechi incidents verify-evidence FILE --public-key KEY`
checks signature, digests and seals; so do sha256sum and any implementation of Ed25519. hmac_sha256 stands
for what is left out (allowed numbers, the institution's rules): with the institution's secret,
`haechi incidents compare-evidence FILE` says whether it is what haechi.toml holds.
"""
