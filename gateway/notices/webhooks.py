"""Posts signed JSON by the Standard Webhooks specification 1.0.0 (https://www.standardwebhooks.com).

webhook-id         the notice's id, the same at every try: by it a receiver knows a second copy
webhook-timestamp  Unix seconds of this try; receivers refuse old ones
webhook-signature  v1,base64(HMAC-SHA256(secret, "id.timestamp.body"))
"""

from __future__ import annotations

import base64
import hmac
import ssl
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import httpx

from gateway.notices.failures import DeliveryFailed

if TYPE_CHECKING:
    from gateway.config_notices import Webhook


def post(hook: Webhook, body: bytes, notice_id: str, now: datetime | None = None) -> None:
    """Post once; any 2xx is taken as received. Raises DeliveryFailed."""
    seconds = str(int((now or datetime.now(UTC)).timestamp()))
    headers = {
        "content-type": "application/json",
        "user-agent": "haechi",
        "webhook-id": notice_id,
        "webhook-timestamp": seconds,
        "webhook-signature": signature(hook.secret, notice_id, seconds, body),
    }
    try:
        context = ssl.create_default_context(cafile=hook.ca_bundle)
        # No redirects: the address was chosen by the operator, and the signature is for it alone.
        with httpx.Client(timeout=hook.timeout_s, verify=context, trust_env=False) as client:
            status = client.post(hook.url, content=body, headers=headers).status_code
    except (httpx.HTTPError, OSError, ValueError) as error:
        raise DeliveryFailed(type(error).__name__, is_unreachable=True) from error
    if not 200 <= status < 300:
        raise DeliveryFailed(f"http {status}", is_final=status == 410)


def signature(secret: bytes, notice_id: str, seconds: str, body: bytes) -> str:
    signed = hmac.digest(secret, b"%b.%b.%b" % (notice_id.encode(), seconds.encode(), body), "sha256")
    return f"v1,{base64.b64encode(signed).decode()}"
