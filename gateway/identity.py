"""Who is asking: headers -> Caller, by look-ups in a frozen snapshot. Pure; costs a few microseconds.

A person's key speaks for that person only; user headers beside it are ignored. A service key speaks for
the people of a shared chat client: through the signed `X-OpenWebUI-User-Jwt` (HS256, issuer open-webui,
300 s; Open WebUI's FORWARD_USER_INFO_HEADER_JWT_SECRET), or through the plain `X-OpenWebUI-User-Email`
where the key is marked trusted. Nothing here reads a database, and no message repeats what was sent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import unquote

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from billing.periods import billing_day, day_start
from gateway import apikeys
from gateway.domain import Caller
from gateway.errors import Forbidden, Unauthenticated, UnknownPerson
from gateway.organisation import Place, places, valid_on

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime

    from gateway.keyring import DerivedKey
    from gateway.organisation import Key, Organisation, Person

JWT_LIFETIME_S = 300
JWT_LEEWAY_S = 30
JWT_MAX_CHARS = 8192


@dataclass(frozen=True, slots=True)
class _Seat:
    """One person on one day, ready to become a Caller."""

    person_id: str
    place: Place


@dataclass(frozen=True, slots=True)
class _Day:
    """The organisation resolved for one day in Asia/Seoul."""

    seats: Mapping[str, _Seat]
    by_email: Mapping[str, _Seat]
    places: Mapping[str, Place]


@dataclass(frozen=True, slots=True)
class Directory:
    """A frozen snapshot of everybody who may ask, for one day and the next.

    Two days, so that a transfer takes effect at midnight exactly, whenever the snapshot was taken.
    """

    hash_keys: tuple[DerivedKey, ...]
    keys: Mapping[bytes, Key]
    today: _Day
    tomorrow: _Day
    midnight: datetime
    """The start of `tomorrow`."""
    jwt_keys: tuple[OctKey, ...] = field(default=(), repr=False)

    @classmethod
    def of(
        cls,
        organisation: Organisation,
        hash_keys: Sequence[DerivedKey],
        now: datetime,
        jwt_secrets: Sequence[str] = (),
    ) -> Directory:
        """Resolve `organisation` around `now` (aware). `hash_keys`: every version, newest first."""
        today = billing_day(now)
        tomorrow = today + timedelta(days=1)
        return cls(
            hash_keys=tuple(hash_keys),
            keys=MappingProxyType({key.digest: key for key in organisation.keys}),
            today=_resolve(organisation, today),
            tomorrow=_resolve(organisation, tomorrow),
            midnight=day_start(tomorrow),
            jwt_keys=tuple(OctKey.import_key(secret) for secret in jwt_secrets),
        )

    def identify(self, headers: Mapping[str, str], now: datetime) -> Caller:
        """Return who asks. `headers` are looked up by lower-case name.

        Raises Unauthenticated (missing_key, malformed_key, invalid_key, expired_key, revoked_key,
        invalid_user_token), UnknownPerson or Forbidden (inactive_person).
        """
        key = self._key(_presented(headers), now)
        day = self._day(now)
        if key.grant.person_id is not None:
            seat = day.seats.get(key.grant.person_id) or _inactive()
            return _caller(key, seat.person_id, seat.place)
        return self._spoken_for(key, headers, day, now)

    def place_of(self, unit_code: str, now: datetime) -> Place | None:
        """Return where a unit of today stands in the tree; None for one that is not there today."""
        return self._day(now).places.get(unit_code)

    def place_of_person(self, employee_id: str | None, now: datetime) -> Place | None:
        """Return where a person sits today; None for one who is not active."""
        seat = self._day(now).seats.get(employee_id or "")
        return None if seat is None else seat.place

    def line_of(self, employee_id: str | None, now: datetime) -> frozenset[str]:
        """Return the units that a person belongs to or leads today: theirs, those above and those below it.

        Not the institution, which everybody belongs to.
        """
        place = self.place_of_person(employee_id, now)
        if place is None or len(place.path) < 2:
            return frozenset()
        own = place.department_id
        below = (code for code, one in self._day(now).places.items() if own in one.path)
        return frozenset((*place.path[1:], *below))

    def _day(self, now: datetime) -> _Day:
        return self.today if now < self.midnight else self.tomorrow

    def _key(self, secret: str, now: datetime) -> Key:
        for hash_key in self.hash_keys:
            key = self.keys.get(apikeys.digest(secret, hash_key.key))
            if key is not None:
                return _refuse_ended(key, now)
        if not apikeys.well_formed(secret):
            raise Unauthenticated(
                "API 키의 형식이 올바르지 않습니다. 'hk-'로 시작하는 키 전체를 다시 복사해 넣으세요.",
                "The API key is malformed. Copy the whole key again; it starts with 'hk-'.",
                code="malformed_key",
            )
        raise Unauthenticated(
            "등록되지 않은 API 키입니다. 전산 담당자에게 새 키를 요청하세요.",
            "This API key is not known here. Ask your administrator for a new one.",
            code="invalid_key",
        )

    def _spoken_for(self, key: Key, headers: Mapping[str, str], day: _Day, now: datetime) -> Caller:
        named = self._named_person(key, headers, now)
        if named is None:
            place = day.places.get(key.grant.unit_code or "")
            if place is None:
                _nobody_named()
            return _caller(key, f"service:{key.id}", place)
        email, employee_id = named
        seat = day.by_email.get(email.casefold()) if email else day.seats.get(employee_id)
        if seat is None:
            raise UnknownPerson(
                "이 사용자는 직원 명부에 없습니다. 전산 담당자에게 등록을 요청하세요.",
                "This user is not in the staff register. Ask your administrator to add them.",
                code="unknown_person",
            )
        return _caller(key, seat.person_id, seat.place)

    def _named_person(self, key: Key, headers: Mapping[str, str], now: datetime) -> tuple[str, str] | None:
        """Return (e-mail, id) of whom the service speaks for; None if it names nobody."""
        token = headers.get("x-openwebui-user-jwt")
        if token is not None and (self.jwt_keys or not key.grant.trusted):
            claims = self._claims(token, now)
            return str(claims.get("email") or ""), str(claims.get("sub") or "")
        email = unquote(headers.get("x-openwebui-user-email") or "").strip()
        employee_id = (headers.get("x-openwebui-user-id") or "").strip()
        if not (email or employee_id):
            return None
        if not key.grant.trusted:
            raise Forbidden(
                "이 서비스 키는 서명 없는 사용자 헤더를 쓸 수 없습니다. 서명된 X-OpenWebUI-User-Jwt를"
                " 보내거나, 관리자가 키를 신뢰 키로 만들어야 합니다.",
                "This service key may not use unsigned user headers. Send the signed X-OpenWebUI-User-Jwt,"
                " or have an administrator create the key as trusted.",
                code="untrusted_user_headers",
            )
        return email, employee_id

    def _claims(self, token: str, now: datetime) -> dict[str, Any]:
        """Return the verified claims. Every failure looks the same from outside."""
        for jwt_key in self.jwt_keys:
            try:
                if len(token) > JWT_MAX_CHARS:
                    break
                claims = jwt.decode(token, jwt_key, algorithms=["HS256"]).claims
            except (JoseError, ValueError):
                continue
            if _fresh(claims, now.timestamp()):
                return claims
            break
        raise Unauthenticated(
            "사용자 토큰(X-OpenWebUI-User-Jwt)을 확인할 수 없습니다. 채팅 서버의 비밀키와 시각을 확인하세요.",
            "The user token (X-OpenWebUI-User-Jwt) could not be verified. Check the chat server's secret and"
            " clock.",
            code="invalid_user_token",
        )


def _presented(headers: Mapping[str, str]) -> str:
    """Return the key from `Authorization: Bearer`, `x-api-key` or `api-key`, in this order."""
    scheme, _, token = (headers.get("authorization") or "").partition(" ")
    token = token.strip() if scheme.lower() == "bearer" else ""
    secret = token or headers.get("x-api-key") or headers.get("api-key") or ""
    if not secret:
        raise Unauthenticated(
            "API 키가 없습니다. 'Authorization: Bearer hk-…' 헤더를 보내세요.",
            "No API key was sent. Send the header 'Authorization: Bearer hk-…'.",
            code="missing_key",
        )
    return secret.strip()


def _refuse_ended(key: Key, now: datetime) -> Key:
    if key.revoked_at is not None:  # whatever the clocks say: another host's may run ahead
        raise Unauthenticated(
            "폐기된 API 키입니다. 전산 담당자에게 새 키를 요청하세요.",
            "This API key was revoked. Ask your administrator for a new one.",
            code="revoked_key",
        )
    if key.grant.expires_at is not None and key.grant.expires_at <= now:
        raise Unauthenticated(
            "유효 기간이 지난 API 키입니다. 전산 담당자에게 새 키를 요청하세요.",
            "This API key has expired. Ask your administrator for a new one.",
            code="expired_key",
        )
    return key


def _caller(key: Key, person_id: str, place: Place) -> Caller:
    return Caller(
        person_id=person_id,
        key_id=key.id,
        department_id=place.department_id,
        unit_path=place.path,
        allowed_models=key.grant.allowed_models,
        via_service=key.grant.service,
        requests_per_min=key.grant.requests_per_min,
        tokens_per_min=key.grant.tokens_per_min,
    )


def _fresh(claims: Mapping[str, Any], now_s: float) -> bool:
    issued, expires = claims.get("iat"), claims.get("exp")
    if not isinstance(issued, int | float) or not isinstance(expires, int | float):
        return False
    return (
        claims.get("iss") == "open-webui"
        and issued - JWT_LEEWAY_S <= now_s < expires + JWT_LEEWAY_S
        and expires - issued <= JWT_LIFETIME_S
    )


def _resolve(organisation: Organisation, day: date) -> _Day:
    where = places(organisation.units, day)
    seats: dict[str, _Seat] = {}
    by_email: dict[str, _Seat] = {}
    for person in valid_on(organisation.people, day):
        _seat(person, where, seats, by_email)
    return _Day(MappingProxyType(seats), MappingProxyType(by_email), MappingProxyType(where))


def _seat(
    person: Person, where: Mapping[str, Place], seats: dict[str, _Seat], by_email: dict[str, _Seat]
) -> None:
    place = where.get(person.unit_code)
    if place is None:
        return
    seat = _Seat(person.employee_id, place)
    seats[person.employee_id] = seat
    if person.email:
        by_email[person.email.casefold()] = seat


def _inactive() -> NoReturn:
    raise Forbidden(
        "이 키의 직원은 현재 재직 중이 아니거나 소속 부서가 없습니다. 인사 정보를 확인해 달라고 요청하세요.",
        "The person of this key is not active or has no unit today. Ask for the staff record to be checked.",
        code="inactive_person",
    )


def _nobody_named() -> NoReturn:
    raise UnknownPerson(
        "서비스 키로는 누구의 요청인지 함께 보내야 합니다(X-OpenWebUI-User-Jwt 또는 X-OpenWebUI-User-Email).",
        "A service key must say whom it speaks for (X-OpenWebUI-User-Jwt or X-OpenWebUI-User-Email).",
        code="missing_person",
    )
