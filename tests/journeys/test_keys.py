"""Who may ask: keys of people, keys of shared chat clients, and how fast a key ends."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from billing.store import open_engine
from gateway.store.organisation import revoke_key
from tests.journeys.conftest import CONFIG, Gateway, Simulator, install, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

JWT_SECRET = "kP3vX9sT7qLm2Zr8Wc5Nb1Hy6Jd4Fg0a"
HELLO = {"model": "sim-large", "messages": [{"role": "user", "content": "안녕하세요"}]}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, simulator: Simulator) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("keys")
    (folder / "jwt.secret").write_text(JWT_SECRET)
    text = CONFIG.format(simulator=simulator.url, filter="", faulty="http://127.0.0.1:9")
    settings = install(folder, text + '\n[identity]\nopenwebui_jwt_secret_file = "jwt.secret"\n')
    made = Gateway("", folder, settings, simulator)
    made.issue("p1", person_id="p1")
    made.issue("expired", person_id="p1", expires_at=datetime.now(UTC) - timedelta(seconds=1))
    made.issue("openwebui", service="openwebui")
    made.issue("trusted", service="librechat", trusted=True)
    with serving(settings) as made.url:
        yield made


def refused(gateway: Gateway, authorization: str | None) -> Any:
    headers = {} if authorization is None else {"authorization": authorization}
    response = httpx.post(f"{gateway.url}/v1/chat/completions", json=HELLO, headers=headers)
    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Bearer")
    return response.json()["error"]["code"]


def test_each_kind_of_bad_key_is_told_apart(gateway: Gateway) -> None:
    good = gateway.keys["p1"]
    assert refused(gateway, None) == "missing_key"
    assert refused(gateway, "Bearer") == "missing_key"
    assert refused(gateway, "Bearer sk-something") == "malformed_key"
    assert refused(gateway, f"Bearer {good[:-1]}") == "malformed_key"
    assert refused(gateway, f"Bearer {gateway.keys['expired']}") == "expired_key"


def test_an_unknown_key_of_the_right_form_is_invalid(gateway: Gateway) -> None:
    from gateway.apikeys import mint

    assert refused(gateway, f"Bearer {mint().secret}") == "invalid_key"


def test_a_revoked_key_stops_within_a_second(gateway: Gateway) -> None:
    key_id = gateway.issue("brief", person_id="p2")
    gateway.wait_for_key("brief")
    engine = open_engine(gateway.settings.load_config().database_url)
    revoke_key(engine, key_id, at=datetime.now(UTC), actor="test")
    engine.dispose()
    revoked_at = time.monotonic()
    while gateway.post(HELLO, "brief").status_code == 200:
        assert time.monotonic() - revoked_at < 1.0
    assert gateway.post(HELLO, "brief").json()["error"]["code"] == "revoked_key"


def user_token(email: str, secret: str = JWT_SECRET, **claims: Any) -> str:
    now = int(time.time())
    payload = {"iss": "open-webui", "sub": "u1", "email": email, "iat": now, "exp": now + 300, **claims}
    return jwt.encode({"alg": "HS256"}, payload, OctKey.import_key(secret))


def test_a_chat_client_speaks_for_a_person_by_signed_token(gateway: Gateway) -> None:
    response = gateway.post(
        HELLO, "openwebui", headers={"x-openwebui-user-jwt": user_token("bada@seoul.example")}
    )
    assert response.status_code == 200, response.text
    charge = gateway.charges(response.headers["x-request-id"])[0]
    assert (charge["person_id"], charge["department_id"], charge["via_service"]) == ("p2", "hr", "openwebui")


@pytest.mark.parametrize(
    ("token", "status", "code"),
    [
        (lambda: user_token("nobody@seoul.example"), 403, "unknown_person"),
        (lambda: user_token("bada@seoul.example", "x" * 32), 401, "invalid_user_token"),
        (lambda: user_token("bada@seoul.example", iat=1, exp=301), 401, "invalid_user_token"),
        (lambda: user_token("bada@seoul.example", iss="someone-else"), 401, "invalid_user_token"),
    ],
    ids=["unknown person", "forged", "expired", "other issuer"],
)
def test_a_token_that_does_not_hold_is_refused(gateway: Gateway, token: Any, status: int, code: str) -> None:
    response = gateway.post(HELLO, "openwebui", headers={"x-openwebui-user-jwt": token()})
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)


def test_plain_user_headers_are_believed_only_of_a_trusted_key(gateway: Gateway) -> None:
    plain = {"x-openwebui-user-email": "bada@seoul.example"}
    trusted = gateway.post(HELLO, "trusted", headers=plain)
    assert trusted.status_code == 200
    assert gateway.charges(trusted.headers["x-request-id"])[0]["person_id"] == "p2"
    assert gateway.post(HELLO, "openwebui", headers=plain).status_code in (401, 403)
    own = gateway.post(HELLO, "p1", headers=plain)
    assert gateway.charges(own.headers["x-request-id"])[0]["person_id"] == "p1"
    stranger = gateway.post(HELLO, "trusted", headers={"x-openwebui-user-email": "nobody@seoul.example"})
    assert (stranger.status_code, stranger.json()["error"]["code"]) == (403, "unknown_person")
