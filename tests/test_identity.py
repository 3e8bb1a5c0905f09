import base64
import json
import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from gateway import apikeys
from gateway.errors import Forbidden, Unauthenticated, UnknownPerson
from gateway.identity import Directory
from gateway.keyring import DerivedKey
from gateway.organisation import Grant, Key, Organisation, Person, Unit

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
START = date(2026, 1, 1)
HASH = DerivedKey("now", b"n" * 32)
OLD_HASH = DerivedKey("old", b"o" * 32)
JWT_SECRET = "a-shared-secret-of-at-least-32-characters"

UNITS = (
    Unit("SEOUL", "서울특별시", "institution", None, START),
    Unit("HJ", "행정국", "bureau", "SEOUL", START),
    Unit("CM", "총무과", "division", "HJ", START),
    Unit("CM1", "총무팀", "team", "CM", START),
    Unit("IS", "인사과", "division", "HJ", START),
)
KIM = Person("S1", "김해치", "kim@seoul.example", "CM1", START)


def key_for(grant, hash_key=HASH, **changes):
    minted = apikeys.mint()
    digest = apikeys.digest(minted.secret, hash_key.key)
    key = Key("key_1", minted.prefix, digest, hash_key.key_id, NOW - timedelta(days=1), grant)
    return replace(key, **changes), minted.secret


def directory(*keys, people=(KIM,), units=UNITS, now=NOW, jwt_secrets=(JWT_SECRET,)):
    return Directory.of(Organisation(units, people, keys), (HASH, OLD_HASH), now, jwt_secrets)


def bearer(secret):
    return {"authorization": f"Bearer {secret}"}


PERSONAL = Grant("시험", person_id="S1", allowed_models=frozenset({"gpt"}))
SERVICE = Grant("챗", service="Open WebUI")
TRUSTED = Grant("챗", service="Open WebUI", trusted=True)


def user_jwt(secret=JWT_SECRET, now=NOW, **changes):
    at = int(now.timestamp())
    claims = {"sub": "u-1", "email": "kim@seoul.example", "iss": "open-webui", "iat": at, "exp": at + 300}
    return jwt.encode({"alg": "HS256"}, claims | changes, OctKey.import_key(secret))


def segment(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


UNSIGNED = f"{segment({'alg': 'none'})}.{user_jwt().split('.')[1]}."


def test_the_line_of_a_person_is_the_units_above_and_below_but_not_the_whole_institution():
    chief = replace(KIM, employee_id="S2", unit_code="HJ")
    found = directory(people=(KIM, chief))
    assert found.line_of("S1", NOW) == {"HJ", "CM", "CM1"}
    assert found.line_of("S2", NOW) == {"HJ", "CM", "CM1", "IS"}
    mayor = replace(chief, unit_code="SEOUL")
    assert directory(people=(mayor,)).line_of("S2", NOW) == frozenset()
    assert found.line_of(None, NOW) == frozenset()


# --- a person's own key --------------------------------------------------------------------------


@pytest.mark.parametrize("header", ["authorization", "x-api-key", "api-key"])
def test_a_key_names_its_person_with_the_units_that_pay(header):
    key, secret = key_for(PERSONAL)
    value = f"Bearer {secret}" if header == "authorization" else secret
    caller = directory(key).identify({header: value}, NOW)
    assert caller.person_id == "S1"
    assert caller.unit_path == ("SEOUL", "HJ", "CM", "CM1")
    assert caller.department_id == "CM"
    assert caller.allowed_models == {"gpt"}
    assert caller.via_service is None


def test_user_headers_beside_a_persons_key_are_ignored():
    key, secret = key_for(PERSONAL)
    someone = replace(KIM, employee_id="S2", email="lee@seoul.example")
    spoofed = bearer(secret) | {"x-openwebui-user-email": "lee@seoul.example", "x-openwebui-user-jwt": "x"}
    assert directory(key, people=(KIM, someone)).identify(spoofed, NOW).person_id == "S1"


def test_a_key_hashed_with_an_older_secret_still_works():
    key, secret = key_for(PERSONAL, OLD_HASH)
    assert directory(key).identify(bearer(secret), NOW).person_id == "S1"


def refused(found, headers, error, now=NOW):
    with pytest.raises(error) as raised:
        found.identify(headers, now)
    assert raised.value.korean
    assert raised.value.english
    return raised.value.code


def test_each_way_a_key_can_be_wrong_has_its_own_code():
    active, secret = key_for(PERSONAL)
    expired, expired_secret = key_for(replace(PERSONAL, expires_at=NOW))
    revoked, revoked_secret = key_for(PERSONAL, revoked_at=NOW + timedelta(hours=1))
    found = directory(active, expired, revoked)
    assert refused(found, {}, Unauthenticated) == "missing_key"
    assert refused(found, {"authorization": "Basic eDp5"}, Unauthenticated) == "missing_key"
    assert refused(found, bearer(secret[:-1]), Unauthenticated) == "malformed_key"
    assert refused(found, bearer("sk-" + "a" * 48), Unauthenticated) == "malformed_key"
    assert refused(found, bearer("키"), Unauthenticated) == "malformed_key"
    assert refused(found, bearer(apikeys.mint().secret), Unauthenticated) == "invalid_key"
    assert refused(found, bearer(expired_secret), Unauthenticated) == "expired_key"
    assert refused(found, bearer(revoked_secret), Unauthenticated) == "revoked_key"


def test_the_key_of_somebody_who_left_stops_with_the_end_of_their_last_day_in_seoul():
    key, secret = key_for(PERSONAL)
    leaving = replace(KIM, valid_to=date(2026, 11, 23))
    found = directory(key, people=(leaving,))
    last_second = datetime(2026, 11, 22, 14, 59, 59, tzinfo=UTC)
    assert found.identify(bearer(secret), last_second).person_id == "S1"
    assert refused(found, bearer(secret), Forbidden, last_second + timedelta(seconds=1)) == "inactive_person"


def test_a_transfer_takes_effect_at_midnight_in_seoul_and_not_with_the_next_snapshot():
    key, secret = key_for(PERSONAL)
    day = date(2026, 11, 23)
    moving = (replace(KIM, valid_to=day), replace(KIM, unit_code="IS", valid_from=day))
    found = directory(key, people=moving)
    midnight = datetime(2026, 11, 22, 15, 0, tzinfo=UTC)
    assert found.identify(bearer(secret), midnight - timedelta(microseconds=1)).department_id == "CM"
    assert found.identify(bearer(secret), midnight).department_id == "IS"


def test_somebody_whose_unit_is_gone_is_refused_rather_than_charged_to_nobody():
    key, secret = key_for(PERSONAL)
    found = directory(key, units=UNITS[:2])
    assert refused(found, bearer(secret), Forbidden) == "inactive_person"


def test_somebody_seated_above_the_divisions_is_charged_to_their_own_unit():
    key, secret = key_for(PERSONAL)
    chief = replace(KIM, unit_code="HJ")
    assert directory(key, people=(chief,)).identify(bearer(secret), NOW).department_id == "HJ"


# --- a shared chat client ------------------------------------------------------------------------


def test_a_service_speaks_for_the_person_of_its_signed_token():
    key, secret = key_for(SERVICE)
    caller = directory(key).identify(bearer(secret) | {"x-openwebui-user-jwt": user_jwt()}, NOW)
    assert caller.person_id == "S1"
    assert caller.via_service == "Open WebUI"


@pytest.mark.parametrize(
    "token",
    [
        "",
        "not.a.token",
        "x" * 9000,
        user_jwt(secret="another-secret-of-at-least-32-characters"),
        user_jwt(iss="somebody-else"),
        user_jwt(exp=int(NOW.timestamp()) + 3600),
        user_jwt(now=NOW - timedelta(minutes=10)),
        user_jwt(now=NOW + timedelta(minutes=10)),
        user_jwt(exp="soon"),
        UNSIGNED,
    ],
    ids=[
        "empty",
        "garbage",
        "huge",
        "other-secret",
        "other-issuer",
        "too-long",
        "old",
        "early",
        "no-expiry",
        "none",
    ],
)
def test_a_token_that_cannot_be_verified_is_refused(token):
    key, secret = key_for(SERVICE)
    headers = bearer(secret) | {"x-openwebui-user-jwt": token}
    assert refused(directory(key), headers, Unauthenticated) == "invalid_user_token"


def test_a_bad_token_is_not_rescued_by_plain_headers_beside_it():
    key, secret = key_for(TRUSTED)
    headers = bearer(secret) | {"x-openwebui-user-jwt": "x", "x-openwebui-user-email": KIM.email}
    assert refused(directory(key), headers, Unauthenticated) == "invalid_user_token"


def test_plain_user_headers_count_only_for_a_trusted_key():
    trusted, trusted_secret = key_for(TRUSTED)
    plain, plain_secret = key_for(SERVICE)
    found = directory(trusted, plain)
    named = {"x-openwebui-user-email": "Kim%40Seoul.example", "x-openwebui-user-name": "%EA%B9%80"}
    assert found.identify(bearer(trusted_secret) | named, NOW).person_id == "S1"
    assert found.identify(bearer(trusted_secret) | {"x-openwebui-user-id": "S1"}, NOW).person_id == "S1"
    assert refused(found, bearer(plain_secret) | named, Forbidden) == "untrusted_user_headers"


def test_an_unknown_person_is_refused():
    key, secret = key_for(TRUSTED)
    headers = bearer(secret) | {"x-openwebui-user-email": "stranger@seoul.example"}
    assert refused(directory(key), headers, UnknownPerson) == "unknown_person"
    signed = bearer(secret) | {"x-openwebui-user-jwt": user_jwt(email="stranger@seoul.example")}
    assert refused(directory(key), signed, UnknownPerson) == "unknown_person"


def test_a_service_that_names_nobody_is_refused_unless_a_department_pays_for_it():
    key, secret = key_for(SERVICE)
    paid, paid_secret = key_for(replace(SERVICE, unit_code="CM1"), id="key_2")
    found = directory(key, paid)
    assert refused(found, bearer(secret), UnknownPerson) == "missing_person"
    caller = found.identify(bearer(paid_secret), NOW)
    assert (caller.person_id, caller.department_id) == ("service:key_2", "CM")


def test_no_refusal_repeats_what_was_sent():
    key, secret = key_for(TRUSTED)
    for headers in (bearer("hk-very-private"), bearer(secret) | {"x-openwebui-user-email": "private@x.kr"}):
        with pytest.raises((Unauthenticated, UnknownPerson)) as raised:
            directory(key).identify(headers, NOW)
        assert "private" not in raised.value.korean + raised.value.english


def test_a_grant_belongs_to_a_person_or_a_service():
    for wrong in ({}, {"person_id": "S1", "service": "x"}, {"person_id": "S1", "trusted": True}):
        with pytest.raises(ValueError, match="key"):
            Grant("x", **wrong)


def test_identifying_costs_microseconds():
    key, secret = key_for(PERSONAL)
    others = [key_for(PERSONAL)[0] for _ in range(1000)]
    found, headers = directory(key, *others), bearer(secret)
    best = min(_timed(found, headers) for _ in range(5))
    assert best < 50e-6, f"{best * 1e6:.1f} µs"


def _timed(found, headers, rounds=500):
    began = time.perf_counter()
    for _ in range(rounds):
        found.identify(headers, NOW)
    return (time.perf_counter() - began) / rounds
