"""From what was found to what may happen: `decide` judges findings, masks them and writes the receipt.

Detection is over when this runs, so one detection can be judged for several zones. Nothing here
reads a clock but to measure its own duration, and nothing keeps text beyond the verdict.
"""

from __future__ import annotations

import hashlib
import time
import unicodedata
from collections import Counter
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Final, NamedTuple

from filters import spans
from filters.errors import Unscannable
from filters.jsontext import Unescaped, literals, unescape
from filters.masking import (
    Cut,
    TokenBook,
    escape_look_alikes,
    escape_look_alikes_in_json,
    literal_cuts,
    masked,
    may_hold_look_alike,
)
from filters.policy import IN_HOUSE, digits_of
from filters.verdict import NOTHING, Action, Finding, Grade, Receipt, Verdict
from filters.walker import Kind, rewritten, written_path

if TYPE_CHECKING:
    from collections.abc import Iterable

    from filters.inspector import Detection
    from filters.jsontext import Literal
    from filters.policy import AllowList, ZonePolicy
    from filters.spans import Span
    from filters.verdict import JSON, Unread
    from filters.walker import Part, Where

UNIQUE_TYPES: Final = frozenset(
    {
        spans.KR_RRN,
        spans.KR_FRN,
        spans.KR_PASSPORT,
        spans.KR_DRIVER_LICENSE,
        spans.CREDIT_CARD,
        spans.SECRET,
        spans.US_SSN,
        spans.UK_NINO,
    }
)
"""Types whose value alone harms its owner: looked for in answers, and certain enough for id fields."""

_NOT_PERSONAL: Final = frozenset({spans.SECURITY_MARKING, spans.SECRET, spans.PERSON})
_NO_HASH: Final = b""
_SAFE_NAME: Final = 3
"""Syllables from which a name is hardly ever the beginning of another word."""

_PARTICLES: Final = frozenset("은는이가을를의에께와과도님씨")
_MOST_REPEATED: Final = 300
"""Distinct values looked for again. A text with more is a register, which density routes or blocks."""


class Found(NamedTuple):
    """One span of one part, as detection hands it over."""

    part: int
    span: Span


class _Judged(NamedTuple):
    found: Found
    action: Action
    cleared: bool
    """Allowed as nobody's personal data or by an exception, so it raises no grade."""
    exception: str = ""
    """The id of the exception that let it pass."""


def decide(detection: Detection, policy: ZonePolicy, hash_key: bytes = _NO_HASH) -> Verdict:
    """The verdict of `policy` over a detection. `hash_key` keys the hashes that correlate incidents.

    Raises Unscannable for parts that nobody read and that the policy does not open, unless the
    request is blocked anyway; also under simulation, which judges findings and opens nothing.
    """
    started = time.perf_counter_ns()
    judged = _judge_all(detection, policy, hash_key)
    action, reasons, before, after = _overall(detection, judged, policy)
    if action < Action.BLOCK:
        _refuse_unread(detection.unread, policy)
    body, findings, book = _mask_all(detection, judged, policy, hash_key)
    receipt = _receipt(detection, policy, action, findings, (before, after), reasons, started)
    if policy.simulate:
        return Verdict(Action.ALLOW, findings, detection.body, NOTHING, receipt, _known(detection, judged))
    return Verdict(action, findings, body, book.restorable, receipt, _known(detection, judged))


def finding_hash(key: bytes, type_: str, value: str) -> str:
    """A keyed hash of a value, equal for its renderings; 128 bits, as hex."""
    plain = normalised(value)
    return hashlib.blake2b(f"{type_}\x00{plain}".encode(), key=key[:64], digest_size=16).hexdigest()


def normalised(value: str) -> str:
    """A value without what renderings change: width, case, separators."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", value))).casefold()


def value_of(part: Part, span: Span) -> str:
    """The text of a finding; inside a JSON text without its escapes."""
    raw = part.text[span.start : span.end]
    return unescape(raw).text if part.kind is Kind.JSON_TEXT else raw


# --- judging -------------------------------------------------------------------------------------


def _judge_all(detection: Detection, policy: ZonePolicy, hash_key: bytes) -> list[_Judged]:
    judged: list[_Judged] = []
    for found in detection.found:
        span = found.span
        rule = policy.rule(span.type)
        if span.score < rule.threshold:
            continue
        labelled = policy.labels.get((span.type, span.label)) if span.label else None
        action = rule.action if labelled is None else labelled
        cleared = labelled is Action.ALLOW
        exception = ""
        if action > Action.ALLOW:
            excuse = _excuse(detection.parts[found.part], span, policy, hash_key)
            if excuse is not None:
                action, cleared, exception = Action.ALLOW, True, excuse
        judged.append(_Judged(found, action, cleared, exception))
    return judged


def _excuse(part: Part, span: Span, policy: ZonePolicy, hash_key: bytes) -> str | None:
    """Why a finding may pass: the id of an exception, or empty for what is listed; None: it may not."""
    if span.type in (spans.PHONE_NUMBER, spans.EMAIL_ADDRESS, spans.KR_BRN) and _is_listed(
        span.type, value_of(part, span), policy.allow
    ):
        return ""
    for exception in policy.exceptions:
        if exception.type not in ("", span.type) or exception.rule not in ("", span.rule):
            continue
        if not exception.value_hash:
            return exception.id
        key = exception.hash_key or hash_key
        if key and exception.value_hash == finding_hash(key, span.type, value_of(part, span)):
            return exception.id
    return None


def _is_listed(type_: str, value: str, allow: AllowList) -> bool:
    if type_ == spans.EMAIL_ADDRESS:
        return _is_office_mail(value.lower(), allow)
    digits = digits_of(value)
    if type_ == spans.KR_BRN:
        return digits in allow.business_numbers
    return digits in allow.phone_numbers or (
        bool(allow.phone_prefixes) and digits.startswith(allow.phone_prefixes)
    )


def _is_office_mail(address: str, allow: AllowList) -> bool:
    if address in allow.email_addresses:
        return True
    mailbox, _, domain = address.rpartition("@")
    return mailbox in allow.office_mailboxes and any(_in_domain(domain, p) for p in allow.office_domains)


def _in_domain(domain: str, pattern: str) -> bool:
    return domain.endswith(pattern[1:]) if pattern.startswith("*.") else domain == pattern


def _overall(
    detection: Detection, judged: list[_Judged], policy: ZonePolicy
) -> tuple[Action, tuple[str, ...], Grade, Grade]:
    """The request's action, what raised it, and its grade as sent and as it would leave."""
    action, before, after = Action.ALLOW, Grade.O, Grade.O
    reasons: list[str] = []
    for found, own, cleared, _ in judged:
        action = max(action, own)
        if cleared:
            continue
        grade = policy.grade(found.span.type, found.span.label)
        before = max(before, grade)
        if _stays(found.span.type, own, policy):
            after = max(after, grade)
    if policy.density is not None and _is_dense(detection, judged, policy):
        action, before = max(action, policy.density.action), max(before, Grade.S)
        after = max(after, Grade.S)
        reasons.append("dense_personal_data")
    if after is Grade.C and action < Action.BLOCK:
        action = Action.BLOCK
        reasons.append("grade_C")
    return action, tuple(reasons), before, after


def _stays(type_: str, action: Action, policy: ZonePolicy) -> bool:
    """Whether a finding is still in what would leave: masks are gone, and a permission opens it."""
    if type_ == spans.SECURITY_MARKING:
        return action > Action.ALLOW or policy.zone == IN_HOUSE
    if action is Action.ALLOW:
        return policy.zone == IN_HOUSE
    return action is Action.ROUTE


def _is_dense(detection: Detection, judged: list[_Judged], policy: ZonePolicy) -> bool:
    density = policy.density
    if density is None or len(judged) < min(
        density.people + density.identifiers, density.people_alone, density.identifiers_alone
    ):
        return False
    people: set[str] = set()
    identifiers: set[str] = set()
    for found, _, cleared, _ in judged:
        if cleared:
            continue
        if found.span.type == spans.PERSON:
            people.add(value_of(detection.parts[found.part], found.span))
        elif found.span.type not in _NOT_PERSONAL:
            identifiers.add(normalised(value_of(detection.parts[found.part], found.span)))
    return (
        (len(people) >= density.people and len(identifiers) >= density.identifiers)
        or len(people) >= density.people_alone
        or len(identifiers) >= density.identifiers_alone
    )


def _refuse_unread(unread: Iterable[Unread], policy: ZonePolicy) -> None:
    shut = [part for part in unread if part.kind not in policy.open_parts]
    if any(part.kind == "unknown" for part in shut):
        raise Unscannable("unknown_part", shut)
    if shut:
        raise Unscannable("unreadable_part", shut)


def _known(detection: Detection, judged: list[_Judged]) -> frozenset[str]:
    return frozenset(
        normalised(value_of(detection.parts[found.part], found.span))
        for found, *_ in judged
        if found.span.type in UNIQUE_TYPES
    )


# --- masking -------------------------------------------------------------------------------------


def _mask_all(
    detection: Detection, judged: list[_Judged], policy: ZonePolicy, hash_key: bytes
) -> tuple[JSON, tuple[Finding, ...], TokenBook]:
    """Give every finding to be masked its token, then rewrite the strings that hold one."""
    parts = detection.parts
    book = TokenBook(policy.never_restored)
    if any(_is_masked(found.span, action) for found, action, _, _ in judged):
        judged = [*judged, *_repeats(parts, judged)]
    judged = sorted(judged, key=lambda one: (one.found.part, one.found.span.start, -one.found.span.end))
    findings: list[Finding] = []
    cuts: dict[int, list[Cut]] = {}
    for index, of_part in groupby(judged, key=lambda one: one.found.part):
        part = parts[index]
        path = written_path(part.where)
        inside = literals(part.text) if part.kind is Kind.JSON_TEXT else []
        made: list[Cut] = []
        for found, action, _, exception in of_part:
            token = ""
            if _is_masked(found.span, action):
                made += _cuts(found.span, part, inside, book, after=made[-1].end if made else 0)
                token = made[-1].token if made else ""
            digest = finding_hash(hash_key, found.span.type, value_of(part, found.span)) if hash_key else ""
            findings.append(Finding(path, found.span, action, token, digest, exception))
        if made:
            cuts[index] = made
    if not cuts:
        return detection.body, tuple(findings), book
    return _rewrite(detection, cuts, book), tuple(findings), book


def _is_masked(span: Span, action: Action) -> bool:
    """What is blocked is masked as well: that is the version that could be sent instead."""
    return span.type != spans.SECURITY_MARKING and action > Action.ALLOW


def _cuts(span: Span, part: Part, inside: list[Literal], book: TokenBook, after: int) -> list[Cut]:
    """What to cut for a span: all of it that lies past `after`, where the cut before it ends."""
    if part.kind is Kind.NUMBER:
        return [] if after else [Cut(0, len(part.text), book.token(span.type, part.text))]
    if part.kind is Kind.JSON_TEXT:
        return [
            Cut(start, end, book.token(span.type, unescape(part.text[start:end]).text), is_number)
            for start, end, is_number in literal_cuts(span.start, span.end, inside, after)
            if start < end
        ]
    start = max(span.start, after)
    return (
        [Cut(start, span.end, book.token(span.type, part.text[start : span.end]))] if start < span.end else []
    )


def _repeats(parts: tuple[Part, ...], judged: list[_Judged]) -> list[_Judged]:
    """A value that is masked in one place is found wherever else it stands, also without context."""
    values: dict[str, _Judged] = {}
    for one in judged:
        value = value_of(parts[one.found.part], one.found.span)
        if _is_masked(one.found.span, one.action) and len(value) >= _shortest_repeat(one.found.span.type):
            values.setdefault(value, one)
    if len(values) > _MOST_REPEATED:
        return []
    spans_of: dict[int, list[Span]] = {}
    for one in judged:
        spans_of.setdefault(one.found.part, []).append(one.found.span)
    repeats: list[_Judged] = []
    for index, part in enumerate(parts):
        plain = unescape(part.text) if part.kind is Kind.JSON_TEXT else Unescaped(part.text, None)
        standing = [(value, one) for value, one in values.items() if value in plain.text]
        taken = bytearray(len(part.text)) if standing else bytearray()
        for span in spans_of.get(index, ()) if standing else ():
            _take(taken, span)
        for value, one in standing:
            fresh = _occurrences(plain, value, one.found.span, taken)
            repeats += [_Judged(Found(index, span), one.action, cleared=False) for span in fresh]
    return repeats


def _shortest_repeat(type_: str) -> int:
    """A short number may be anything."""
    return 2 if type_ == spans.PERSON else 6


def _occurrences(plain: Unescaped, value: str, like: Span, taken: bytearray) -> list[Span]:
    """Where `value` stands on characters that are not taken yet; takes them."""
    found: list[Span] = []
    at = plain.text.find(value)
    while at >= 0:
        start, end = plain.origin(at, at + len(value))
        glued = like.type == spans.PERSON and _is_part_of_a_word(plain.text, at, at + len(value))
        if not glued and not any(taken[start:end]):
            found.append(like._replace(start=start, end=end, rule="repeat"))
            _take(taken, found[-1])
        at = plain.text.find(value, at + len(value))
    return found


def _is_part_of_a_word(text: str, start: int, end: int) -> bool:
    """Whether a name here is more likely a piece of a longer word, as 이수 in 이수하다."""
    if start and text[start - 1].isalpha():
        return True
    return end - start < _SAFE_NAME and text[end : end + 1].isalpha() and text[end] not in _PARTICLES


def _take(taken: bytearray, span: Span) -> None:
    taken[span.start : span.end] = b"\x01" * (span.end - span.start)


def _rewrite(detection: Detection, cuts: dict[int, list[Cut]], book: TokenBook) -> JSON:
    texts: dict[Where, str] = {}
    keys: dict[Where, str] = {}
    for index, part in enumerate(detection.parts):
        if index not in cuts and not may_hold_look_alike(part.text):
            continue
        escape = escape_look_alikes_in_json if part.kind is Kind.JSON_TEXT else escape_look_alikes
        new = masked(part.text, cuts.get(index, []), partial(escape, book=book))
        if new != part.text:
            (keys if part.kind is Kind.KEY else texts)[part.where] = new
    return rewritten(detection.body, texts, keys)


# --- the receipt ---------------------------------------------------------------------------------


def _receipt(
    detection: Detection,
    policy: ZonePolicy,
    action: Action,
    findings: tuple[Finding, ...],
    grades: tuple[Grade, Grade],
    reasons: tuple[str, ...],
    started_ns: int,
) -> Receipt:
    decided_us = (time.perf_counter_ns() - started_ns) // 1000
    return Receipt(
        rules_version=detection.rules_version,
        policy_version=policy.version,
        parts_seen=detection.parts_seen,
        characters_seen=detection.characters,
        unscanned=tuple(part.path for part in detection.unread),
        action=action,
        counts=Counter(found.span.type for found in findings) if findings else NOTHING,
        grade=grades[1].name,
        elapsed_us=detection.elapsed_us + decided_us,
        degraded=detection.degraded,
        findings=findings,
        grade_before=grades[0].name,
        zone=policy.zone,
        simulated=policy.simulate,
        reasons=reasons,
        actions=Counter(found.action.word for found in findings) if findings else NOTHING,
        stages_us={**detection.stages_us, "decide": decided_us},
    )
