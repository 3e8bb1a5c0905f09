"""Addresses and signatures of Bedrock. botocore signs (Signature Version 4) and never connects.

It reads the clock for that, which nothing else here does. Trap: the path is signed as it is sent, so a
model id is escaped once, and `:` not at all, since clients on the way undo an escape that is not needed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

from gateway.domain import UpstreamRequest

if TYPE_CHECKING:
    from gateway.catalogue import Deployment


def address(deployment: Deployment, verb: str) -> str:
    base = deployment.base_url.rstrip("/") or f"https://bedrock-runtime.{deployment.region}.amazonaws.com"
    return f"{base}/model/{quote(deployment.upstream_model, safe=':')}/{verb}"


def signed(deployment: Deployment, url: str, body: bytes, dropped: tuple[str, ...] = ()) -> UpstreamRequest:
    """Sign with the credential's keys, or show its Bedrock API key."""
    credential = deployment.credential
    headers = {"content-type": "application/json", **deployment.headers}
    if credential.access_key_id and credential.secret_access_key:
        # Imported by who calls Bedrock alone: a fifth of a second, and 10 MB.
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials

        keys = Credentials(credential.access_key_id, credential.secret_access_key, credential.session_token)
        request = AWSRequest("POST", url, headers=headers, data=body)
        SigV4Auth(keys, "bedrock", deployment.region or _region_of(url)).add_auth(request)
        headers = {name.lower(): value for name, value in request.headers.items()}
    elif credential.api_key:
        headers["authorization"] = f"Bearer {credential.api_key}"
    return UpstreamRequest("POST", url, headers, body, dropped)


def _region_of(url: str) -> str:
    match = re.search(r"\.([a-z]{2}(?:-[a-z]+)+-\d)\.", url)
    return match[1] if match else "us-east-1"
