"""Access tokens for Vertex AI from a service account: the request that buys one, and its answer. Pure.

Source: https://developers.google.com/identity/protocols/oauth2/service-account#httprest (RFC 7523). Who
opens the connection puts the token into `Credential.api_key` before the adapter is asked.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

import orjson
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from gateway.domain import UpstreamRequest
from gateway.providers import failures

if TYPE_CHECKING:
    from datetime import datetime

SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
LIFETIME_S: Final = 3600
MARGIN_S: Final = 300
"""A token is bought anew this long before it ends, so that none ends on its way."""


class BadServiceAccount(ValueError):
    """The JSON of a service account lacks what proves it; never quotes the key."""


@dataclass(frozen=True, slots=True)
class AccessToken:
    value: str = field(repr=False)
    renew_at: datetime

    def is_fresh(self, now: datetime) -> bool:
        return now < self.renew_at


def request(service_account: str, now: datetime) -> UpstreamRequest:
    """Write the request that buys a token. Raises BadServiceAccount."""
    try:
        account = orjson.loads(service_account)
        key = RSAKey.import_key(account["private_key"])
        address = str(account.get("token_uri") or "https://oauth2.googleapis.com/token")
        issued = int(now.timestamp())
        claims = {"iss": account["client_email"], "scope": SCOPE, "aud": address, "iat": issued}
        header = {"alg": "RS256", "typ": "JWT", "kid": account.get("private_key_id") or ""}
        proof = jwt.encode(header, claims | {"exp": issued + LIFETIME_S}, key)
    except (ValueError, TypeError, KeyError, JoseError) as e:
        raise BadServiceAccount("not the JSON of a service account with an RSA key") from e
    form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": proof}
    headers = {"content-type": "application/x-www-form-urlencoded"}
    return UpstreamRequest("POST", address, headers, urlencode(form).encode())


def read(body: bytes, now: datetime) -> AccessToken:
    """Read the answer. Raises UpstreamError."""
    try:
        answer = orjson.loads(body)
        value, lifetime = answer["access_token"], int(answer.get("expires_in") or LIFETIME_S)
    except (ValueError, TypeError, KeyError) as e:
        raise failures.broken("no access token") from e
    return AccessToken(value, now + timedelta(seconds=max(0, lifetime - MARGIN_S)))
