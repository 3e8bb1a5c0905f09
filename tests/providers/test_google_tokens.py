"""A service account buys tokens that only its key could have asked for."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from gateway.errors import UpstreamProtocolError
from gateway.providers import google_tokens

NOW = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)
KEY = RSAKey.generate_key(2048)
ACCOUNT = json.dumps(
    {
        "client_email": "haechi@seoul.iam.gserviceaccount.com",
        "private_key": KEY.as_pem(private=True).decode(),
        "private_key_id": "k1",
        "token_uri": "https://oauth2.googleapis.com/token",
    }
)


def test_the_request_is_proven_by_the_account_s_key() -> None:
    request = google_tokens.request(ACCOUNT, NOW)
    assert request.url == "https://oauth2.googleapis.com/token"
    form = parse_qs(request.body.decode())
    assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    token = jwt.decode(form["assertion"][0], KEY)
    assert token.header == {"alg": "RS256", "typ": "JWT", "kid": "k1"}
    assert token.claims == {
        "iss": "haechi@seoul.iam.gserviceaccount.com",
        "scope": "https://www.googleapis.com/auth/cloud-platform",
        "aud": "https://oauth2.googleapis.com/token",
        "iat": int(NOW.timestamp()),
        "exp": int(NOW.timestamp()) + 3600,
    }


def test_a_token_is_renewed_five_minutes_before_its_end() -> None:
    token = google_tokens.read(b'{"access_token":"ya29","expires_in":3599}', NOW)
    assert token.value == "ya29"
    assert "ya29" not in repr(token)
    assert token.is_fresh(NOW + timedelta(seconds=3298))
    assert not token.is_fresh(NOW + timedelta(seconds=3299))


@pytest.mark.parametrize("account", ["", "{}", "[]", '{"client_email":"a","private_key":"nonsense"}'])
def test_what_is_no_service_account_is_refused_without_quoting_it(account: str) -> None:
    with pytest.raises(google_tokens.BadServiceAccount) as refused:
        google_tokens.request(account, NOW)
    assert "nonsense" not in str(refused.value)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"error":"invalid_grant"}'])
def test_an_answer_without_a_token_is_a_protocol_error(body: bytes) -> None:
    with pytest.raises(UpstreamProtocolError):
        google_tokens.read(body, NOW)
