"""Rate limits in the words and headers of each dialect: OpenAI's `x-ratelimit-*`, Anthropic's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from billing.periods import from_us
from gateway.errors import AboveRateLimit, RateLimited
from gateway.limits.rules import UNITS, Per, Unit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gateway.limits.limiter import LimitReached, Standing
    from gateway.limits.rules import Bucket

ANTHROPIC: Final = "messages"
"""The surface whose clients read Anthropic's headers."""

_WHO: Final[Mapping[Per, tuple[str, str]]] = {
    Per.KEY: ("키", "key"),
    Per.PERSON: ("사용자", "person"),
    Per.DEPARTMENT: ("부서", "department"),
    Per.MODEL: ("모델", "model"),
}
_UNITS: Final = {Unit.REQUESTS: "요청", Unit.TOKENS: "토큰"}


def headers(standings: Iterable[Standing], surface: str) -> dict[str, str]:
    """Return what clients read: of requests and of tokens the limit that is nearest to its end."""
    standings = list(standings)
    shown: dict[str, str] = {}
    for unit in UNITS:
        of_unit = [standing for standing in standings if standing.bucket.unit is unit]
        if of_unit:
            tightest = min(of_unit, key=lambda standing: standing.left / standing.bucket.limit)
            shown |= _anthropic(tightest) if surface == ANTHROPIC else _openai(tightest)
    return shown


def refusal(reached: LimitReached, surface: str) -> RateLimited:
    """Return the 429: whose limit, how much of it, when there is room again."""
    bucket = reached.standing.bucket
    korean, english = whose(bucket)
    details = {
        "limit": bucket.rule.name,
        "unit": bucket.unit,
        "per_min": bucket.limit,
        "left": reached.standing.left,
        "needed": reached.need,
        "subject": {str(per): who for per, who in bucket.subject},
    }
    shown = headers([reached.standing], surface)
    if reached.wait_us is None:
        return AboveRateLimit(
            f"요청 하나가 {korean}의 분당 한도 {bucket.limit:,}토큰보다 큽니다(최대 {reached.need:,}토큰)."
            " 출력 한도(max_tokens)나 본문을 줄이세요.",
            f"This request alone may use {reached.need:,} tokens, above the {bucket.limit:,} a minute of"
            f" {english}. Lower max_tokens or send less.",
            details=details,
            headers=shown,
        )
    wait_s = max(1, -(-reached.wait_us // 1_000_000))
    return RateLimited(
        f"{korean}의 분당 {_UNITS[bucket.unit]} 한도 {bucket.limit:,}에 이르렀습니다. {wait_s}초 뒤 다시"
        " 시도하세요.",
        f"The limit of {bucket.limit:,} {bucket.unit} a minute of {english} is reached."
        f" Try again in {wait_s} s.",
        retry_after_s=wait_s,
        details=details,
        headers=shown,
    )


def whose(bucket: Bucket) -> tuple[str, str]:
    """Return whose limit it is: `사용자 p1·모델 gpt` and `person p1, model gpt`."""
    if not bucket.subject:
        return f"모두가 나누는 '{bucket.rule.name}'", f"'{bucket.rule.name}', which all share"
    korean = "·".join(f"{_WHO[per][0]} {who}" for per, who in bucket.subject)
    english = ", ".join(f"{_WHO[per][1]} {who}" for per, who in bucket.subject)
    return korean, english


def _openai(standing: Standing) -> dict[str, str]:
    unit = standing.bucket.unit
    return {
        f"x-ratelimit-limit-{unit}": str(standing.bucket.limit),
        f"x-ratelimit-remaining-{unit}": str(standing.left),
        f"x-ratelimit-reset-{unit}": duration(standing.fresh_us),
    }


def _anthropic(standing: Standing) -> dict[str, str]:
    name = f"anthropic-ratelimit-{standing.bucket.unit}"
    reset = from_us(standing.at_us + standing.fresh_us)
    return {
        f"{name}-limit": str(standing.bucket.limit),
        f"{name}-remaining": str(standing.left),
        f"{name}-reset": reset.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def duration(us: int) -> str:
    """`1m26s`, `450ms`: as OpenAI writes them."""
    if us < 1_000_000:
        return f"{-(-us // 1000)}ms"
    minutes, seconds = divmod(-(-us // 1_000_000), 60)
    return f"{minutes}m{seconds}s" if minutes else f"{seconds}s"
