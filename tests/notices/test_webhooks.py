from __future__ import annotations

import base64
import dataclasses
import hashlib
import hmac
import socket
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from gateway.config_notices import secret_bytes
from gateway.notices import webhooks
from gateway.notices.failures import DeliveryFailed
from tests.notices.conftest import SECRET

if TYPE_CHECKING:
    from gateway.config_notices import Webhook
    from tests.notices.conftest import Receiver

NOW = datetime(2026, 11, 22, 1, tzinfo=UTC)


def test_a_post_is_signed_so_that_the_receiver_can_check_it(hook: Webhook, receiver: Receiver) -> None:
    webhooks.post(hook, b'{"type":"test"}', "n1", NOW)
    ((headers, body),) = receiver.posted
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == ("n1", "1795309200")
    expected = hmac.new(SECRET, b"n1.1795309200." + body, hashlib.sha256).digest()
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(expected).decode()}"
    assert headers["content-type"] == "application/json"


def test_the_signature_is_the_one_of_the_specification() -> None:
    """The example of the Standard Webhooks libraries' own tests."""
    secret = secret_bytes("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    assert secret is not None
    signed = webhooks.signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(("status", "is_final"), [(500, False), (404, False), (410, True), (302, False)])
def test_anything_but_2xx_is_a_failure_and_no_redirect_is_followed(
    hook: Webhook, receiver: Receiver, status: int, is_final: bool
) -> None:
    receiver.status = status
    with pytest.raises(DeliveryFailed, match=f"http {status}") as failed:
        webhooks.post(hook, b"{}", "n1", NOW)
    assert failed.value.is_final is is_final
    assert len(receiver.posted) == 1


def test_a_receiver_that_is_away_is_unreachable(hook: Webhook) -> None:
    with pytest.raises(DeliveryFailed, match="ConnectError") as failed:
        webhooks.post(dataclasses.replace(hook, url="http://127.0.0.1:9/"), b"{}", "n1", NOW)
    assert failed.value.is_unreachable


def test_a_receiver_that_does_not_answer_is_given_up(hook: Webhook) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        with pytest.raises(DeliveryFailed, match="ReadTimeout"):
            webhooks.post(dataclasses.replace(hook, url=url, timeout_s=0.2), b"{}", "n1", NOW)


@pytest.mark.parametrize("text", ["", "whsec_", "too short", "whsec_c2hvcnQ=", "한글"])
def test_a_weak_or_unreadable_secret_is_none(text: str) -> None:
    assert secret_bytes(text) is None
