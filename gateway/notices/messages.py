"""The words of notices: figures become a letter, Korean first, or the body of a webhook. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from billing.budgets import Measure, amount_text, amount_text_en
from billing.money import won
from billing.thresholds import FORECAST, USED_UP
from gateway.incidents import weekly

if TYPE_CHECKING:
    from collections.abc import Mapping

    from billing.store.notices import Notice
    from billing.thresholds import Occasion, Standing
    from gateway.price_watch import PriceDifference

BUDGET_EVENTS: Final = {FORECAST: "budget.forecast", str(USED_UP): "budget.used_up"}
ADOPTED: Final = "ledger.adopted"
PRICE_DIFFERS: Final = "price.differs"
TEST: Final = "test"
_EVERY: Final = {
    "month": ("월", "monthly"),
    "quarter": ("분기", "quarterly"),
    "year": ("연간", "yearly"),
    "once": ("전체", "one-time"),
}


@dataclass(frozen=True, slots=True)
class Letter:
    subject: str
    text: str


def document_of(standing: Standing, occasion: Occasion, name: str) -> dict[str, Any]:
    """Return what is said of a budget, as it is stored and posted. Won are exact, as text."""
    limit, spent = standing.limit, standing.spent
    return {
        "event": BUDGET_EVENTS.get(occasion.name, "budget.threshold"),
        "scope": ":".join(standing.scope),
        "name": _line(name),
        "every": str(standing.every),
        "period": standing.period,
        "measure": str(standing.measure),
        "hard": standing.hard,
        "threshold": None if occasion.name == FORECAST else int(occasion.name),
        "percent": standing.percent,
        "limit": _exact(standing.measure, limit),
        "spent": _exact(standing.measure, spent),
        "left": _exact(standing.measure, limit - spent),
        "shown": [amount_text(standing.measure, amount) for amount in (limit, spent, limit - spent)],
        "shown_en": [amount_text_en(standing.measure, amount) for amount in (limit, spent, limit - spent)],
        "refused": standing.refused,
        "runs_out_on": None if occasion.runs_out_on is None else occasion.runs_out_on.isoformat(),
    }


def adopted_document(writer: str, attempts: int) -> dict[str, Any]:
    """Return what is said of a writer that died and left attempts open."""
    return {"event": ADOPTED, "writer": writer, "attempts": attempts}


def price_document(difference: PriceDifference) -> dict[str, Any]:
    """Return what is said of a price that is not what the provider states. Won are exact, as text."""
    percent = difference.percent
    return {
        "event": PRICE_DIFFERS,
        "price_key": _line(difference.price_key),
        "price_version": difference.price_version,
        "provider": _line(difference.provider),
        "stated_krw": f"{won(difference.stated_nano_krw):f}",
        "computed_krw": f"{won(difference.computed_nano_krw):f}",
        "percent": None if percent is None else f"{percent:+}",
    }


def webhook_body(notice: Notice) -> bytes:
    """JSON in the shape of the Standard Webhooks specification: type, timestamp, data."""
    document = {key: value for key, value in notice.document.items() if not key.startswith("shown")}
    event = document.pop("event")
    data = {"id": notice.id, "budget_id": notice.budget_id or None, **document}
    return orjson.dumps({"type": event, "timestamp": notice.noted_at.isoformat(), "data": data})


def letter_of(document: Mapping[str, Any]) -> Letter:
    match document["event"]:
        case "ledger.adopted":
            return _adopted(document)
        case "price.differs":
            return _price(document)
        case "test":
            return _test()
        case weekly.WEEKLY:
            return Letter(weekly.subject_of(document), weekly.text_of(document))
        case _:
            return _budget(document)


def _budget(document: Mapping[str, Any]) -> Letter:
    korean, english = _headlines(document)
    limit, spent, left = document["shown"]
    limit_en, spent_en, left_en = document["shown_en"]
    percent = document["percent"]
    text = (
        f"{korean}\n\n"
        f"  예산현액  {limit}\n  집행액    {spent} ({percent}%)\n  잔액      {left}\n\n"
        f"{_what_next(document)}\n\n"
        f"--\n{english}\n\n"
        f"  limit  {limit_en}\n  spent  {spent_en} ({percent} %)\n  left   {left_en}\n\n"
        f"{_what_next_en(document)}\n"
    )
    return Letter(f"[해치] {_subject(document)}", text)


def _subject(document: Mapping[str, Any]) -> str:
    whose = f"{document['name']} {_EVERY[document['every']][0]} 예산"
    match document["event"]:
        case "budget.forecast":
            return f"{whose}: {document['runs_out_on']} 소진 예상"
        case "budget.used_up":
            return f"{whose} 소진"
        case _:
            return f"{whose} {document['threshold']}% 도달"


def _headlines(document: Mapping[str, Any]) -> tuple[str, str]:
    korean, english = _EVERY[document["every"]]
    period = f"({document['period']})" if document["period"] else ""
    whose = f"{document['name']}의 {korean} 예산{period}"
    whose_en = f"{document['name']}: the {english} budget {period}".rstrip()
    match document["event"]:
        case "budget.forecast":
            day = document["runs_out_on"]
            return (
                f"{whose}이 지금까지의 근무일 평균대로라면 {day}에 소진될 것으로 보입니다.",
                f"{whose_en} is forecast to run out on {day}, at the pace of its working days so far.",
            )
        case "budget.used_up":
            return f"{whose}이 소진되었습니다.", f"{whose_en} is used up."
        case _:
            threshold = document["threshold"]
            return f"{whose}을 {threshold}% 이상 썼습니다.", f"{whose_en} has reached {threshold} %."


def _what_next(document: Mapping[str, Any]) -> str:
    if not document["hard"]:
        return "경고용 예산이므로 요청은 계속 처리됩니다."
    if document["event"] == "budget.used_up":
        return (
            "남은 금액으로 감당할 수 없는 요청은 거절됩니다(429 budget_exhausted)."
            " 예산을 늘리거나(haechi budgets set) 다른 부서에서 옮길 수 있습니다(haechi budgets transfer)."
        )
    return "한도에 이르면 요청이 거절됩니다. 미리 예산을 조정하거나 다른 부서에서 옮길 수 있습니다."


def _what_next_en(document: Mapping[str, Any]) -> str:
    if not document["hard"]:
        return "It is a soft budget: requests go on."
    if document["event"] == "budget.used_up":
        return (
            "Requests that what is left does not cover are refused (429 budget_exhausted). Raise it"
            " (haechi budgets set) or move won from another department (haechi budgets transfer)."
        )
    return "At the limit requests are refused. Raise it in time, or move won from another department."


def _adopted(document: Mapping[str, Any]) -> Letter:
    writer, attempts = document["writer"], document["attempts"]
    return Letter(
        f"[해치] 중단된 프로세스의 요청 {attempts}건을 추정액으로 청구",
        f"기록자 {writer}이(가) 끝나지 않은 요청 {attempts}건을 남기고 중단되어,"
        " 각 요청을 한 번씩 추정액으로 청구했습니다(outcome = adopted, source = estimated).\n"
        "제공자의 청구서나 사용 내역이 오면 `haechi ledger reconcile 파일`로"
        " 실제 금액을 반영할 수 있습니다.\n\n"
        "--\n"
        f"Writer {writer} died and left {attempts} requests open; each was charged once, by estimate.\n"
        "When the provider's bill or usage export arrives, `haechi ledger reconcile FILE` applies it.\n",
    )


def _price(document: Mapping[str, Any]) -> Letter:
    key, version = document["price_key"], document["price_version"]
    stated, computed = document["stated_krw"], document["computed_krw"]
    percent = "" if document["percent"] is None else f" ({document['percent']}%)"
    return Letter(
        f"[해치] {key} 단가 확인 필요",
        f"{document['provider']}이(가) 한 요청의 금액을 {stated}원으로 알려 왔으나,"
        f" 우리 단가({version})로는 {computed}원입니다{percent}.\n"
        "청구는 제공자가 알려 준 금액으로 되었습니다. 단가가 바뀌었는지 확인하고"
        " `haechi prices import`나 재무 › 단가표에서 새 단가를 올리세요.\n"
        "이 단가에 대한 알림은 한 달에 한 번만 갑니다.\n\n"
        "--\n"
        f"{document['provider']} states KRW {stated} for a request that our price of {key} ({version}) makes"
        f" KRW {computed}{percent}.\n"
        "What the provider stated was charged. See whether the price has changed, and propose the new one"
        " with `haechi prices import` or on the finance pages. This is said once a month for a price.\n",
    )


def _test() -> Letter:
    return Letter(
        "[해치] 시험 알림",
        "이 주소로 예산 알림이 갑니다.\n\n--\nNotices of budgets reach this address.\n",
    )


def _exact(measure: Measure, amount: int) -> str | int:
    return f"{won(amount):f}" if measure is Measure.WON else amount


def _line(name: str) -> str:
    """One printable line: a name comes from a register and goes into a header."""
    return re.sub(r"\s+", " ", "".join(c if c.isprintable() else " " for c in name)).strip()[:120]
