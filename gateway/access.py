"""Access tokens that must be bought before a provider is asked: Vertex AI with a service account.

One token for each account, shared by all requests, renewed before it ends; of requests that come
together, one buys and the others wait. What fails here has proven that no prompt was sent.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from gateway.errors import UpstreamError
from gateway.providers import failures, google, google_tokens
from gateway.upstream import UpstreamNotSent

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from gateway.catalogue import Deployment
    from gateway.domain import UpstreamRequest
    from gateway.upstream import Upstream

ANSWER_BYTES: Final = 64 * 1024


class Access:
    def __init__(self, upstream: Upstream, now: Callable[[], datetime]) -> None:
        self._upstream = upstream
        self._now = now
        self._tokens: dict[str, google_tokens.AccessToken] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def proven(self, request: UpstreamRequest, deployment: Deployment) -> UpstreamRequest:
        """Return the request as it may be sent. Raises UpstreamNotSent if no token is to be had."""
        account = deployment.credential.service_account
        if account is None or not google.is_vertex(deployment):
            return request
        token = self._tokens.get(account)
        if token is None or not token.is_fresh(self._now()):
            token = await self._bought(account, deployment)
        return replace(request, headers={**request.headers, "authorization": f"Bearer {token.value}"})

    async def _bought(self, account: str, deployment: Deployment) -> google_tokens.AccessToken:
        async with self._locks.setdefault(account, asyncio.Lock()):
            token = self._tokens.get(account)
            if token is None or not token.is_fresh(self._now()):
                token = self._tokens[account] = await self._buy(account, deployment)
            return token

    async def _buy(self, account: str, deployment: Deployment) -> google_tokens.AccessToken:
        try:
            question = google_tokens.request(account, self._now())
            answer = await self._upstream.open(question, deployment, "")
            try:
                body = await answer.read(ANSWER_BYTES)
            finally:
                await answer.aclose()
            if answer.status != 200:
                raise failures.from_response(answer.status, body, answer.headers)
            return google_tokens.read(body, self._now())
        except (google_tokens.BadServiceAccount, UpstreamError) as cause:
            raise _no_token(cause) from cause


def _no_token(cause: Exception) -> UpstreamNotSent:
    return UpstreamNotSent(
        "Google 서비스 계정의 접근 토큰을 받지 못했습니다. 관리자에게 알리거나 다른 모델을 선택하세요.",
        "No access token for the Google service account. Tell the administrator or choose another model.",
        upstream_status=cause.upstream_status if isinstance(cause, UpstreamError) else None,
        upstream_code=cause.upstream_code if isinstance(cause, UpstreamError) else None,
    )
