"""A chat from the real `openai` client to the provider and back, and what it leaves in the books."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.journeys.conftest import Gateway

QUESTION = [{"role": "user", "content": "도로 점용 허가 절차를 두 문장으로 설명해 주세요."}]


def test_a_prompt_is_answered_and_charged_to_the_department_of_its_author(gateway: Gateway) -> None:
    answer = gateway.client("p1").chat.completions.with_raw_response.create(model="sim-large", messages=QUESTION)
    completion = answer.parse()

    assert completion.choices[0].message.content
    assert completion.model == "sim-large"
    charge = one(gateway.charges(answer.headers["x-request-id"]))
    assert charge["department_id"] == "general"
    assert charge["unit_path"] == "seoul/admin/general"
    assert charge["outcome"] == "success"
    assert charge["source"] == "reported"
    seen = one([row for row in gateway.simulator.ledger() if row["attempt_id"] == charge["attempt_id"]])
    assert completion.usage.prompt_tokens == (charge["input"] or 0) + (charge["cache_read"] or 0)
    assert completion.usage.completion_tokens == (charge["output"] or 0) + (charge["reasoning"] or 0)
    assert seen


def one(rows: list) -> dict:
    assert len(rows) == 1, rows
    return rows[0]
