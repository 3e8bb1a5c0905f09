"""The words for what this gateway itself cannot do now, in Korean and English, with what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from billing.budgets import Measure
from billing.money import won
from gateway.errors import (
    BudgetExhausted,
    LedgerUnavailable,
    Overloaded,
    RecordRefused,
    ServiceUnavailable,
    UnknownModel,
)

if TYPE_CHECKING:
    from billing.budgets import BudgetExceeded


def unknown_model(model_id: str) -> UnknownModel:
    shown = "".join(c if c.isprintable() else "?" for c in model_id[:80])
    return UnknownModel(
        f"'{shown}' 모델은 없습니다. 쓸 수 있는 모델: GET /v1/models",
        f"There is no model '{shown}'. GET /v1/models lists what you may use.",
        param="model",
    )


def no_deployment(model_id: str) -> ServiceUnavailable:
    return ServiceUnavailable(
        f"'{model_id}' 모델에 지금 쓸 수 있는 배포가 없습니다. 다른 모델을 고르거나 관리자에게 알리세요.",
        f"'{model_id}' has no deployment that may answer now. Choose another model or ask the administrator.",
        code="no_deployment",
    )


def resting(model_id: str, retry_after_s: int) -> ServiceUnavailable:
    """Every deployment has failed lately and is left alone for a moment."""
    return ServiceUnavailable(
        f"'{model_id}' 모델의 제공자가 계속 실패해 잠시 쉬게 했습니다."
        f" {retry_after_s}초 뒤 다시 시도하거나 다른 모델을 고르세요.",
        f"The providers of '{model_id}' keep failing and are left alone for a moment."
        f" Try again in {retry_after_s} s or choose another model.",
        code="model_resting",
        retry_after_s=retry_after_s,
    )


def overloaded(model_id: str, retry_after_s: int) -> Overloaded:
    return Overloaded(
        f"'{model_id}' 모델을 쓰려는 요청이 너무 많습니다."
        f" {retry_after_s}초 뒤 다시 시도하거나 다른 모델을 고르세요.",
        f"Too many requests want '{model_id}' now. Try again in {retry_after_s} s or choose another model.",
        retry_after_s=retry_after_s,
    )


def shutting_down() -> ServiceUnavailable:
    return ServiceUnavailable(
        "게이트웨이가 다시 시작하는 중이어서 답변을 끝내지 못했습니다. 잠시 뒤 다시 시도하세요.",
        "The gateway is restarting and could not finish this answer. Try again shortly.",
        code="shutting_down",
        retry_after_s=5,
    )


def budget_exhausted(refusal: BudgetExceeded, contact: str = "") -> BudgetExhausted:
    """`contact` is whom the configuration names for the budget; without one, whoever manages it."""
    key, measure, resets_on = refusal.account.key, refusal.measure, refusal.resets_on
    unit = "krw" if measure is Measure.WON else measure
    left, needed = (won(n) if measure is Measure.WON else n for n in (refusal.left, refusal.needed))
    return BudgetExhausted(
        f"{refusal.korean} {contact or '예산 담당자'}에게 문의하세요.",
        f"{refusal.english} ask {contact or 'whoever manages the budget'}.",
        details={
            "scope": key.scope_kind,
            "scope_id": key.scope_id,
            "period": key.period,
            "measure": measure,
            f"left_{unit}": str(left),
            f"needed_{unit}": str(needed),
            "resets_at": f"{resets_on}T00:00:00+09:00" if resets_on else None,
            "contact": contact or None,
        },
    )


def ledger_unavailable() -> LedgerUnavailable:
    return LedgerUnavailable(
        "사용 기록을 저장할 수 없어 요청을 보내지 않았습니다. 잠시 뒤 다시 시도하세요.",
        "Usage cannot be recorded now, so nothing was sent. Try again shortly.",
        retry_after_s=5,
    )


def database_unavailable() -> ServiceUnavailable:
    return ServiceUnavailable(
        "지금은 데이터베이스를 읽을 수 없습니다. 잠시 뒤 다시 시도하세요.",
        "The database cannot be read now. Try again shortly.",
        code="database_unavailable",
        retry_after_s=5,
    )


def record_refused() -> RecordRefused:
    """One row that the database does not take: a defect of ours, which repeating does not mend."""
    return RecordRefused(
        "이 요청의 사용 기록을 장부에 쓸 수 없어 멈췄습니다. x-request-id와 함께 관리자에게 알려 주세요.",
        "The usage of this request cannot be written to the ledger, so it was stopped. Give the administrator"
        " the x-request-id.",
    )
