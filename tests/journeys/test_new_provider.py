"""The lines of docs/providers.md, put into a haechi.toml as they stand, open a provider; a policy sees its country."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from openai import APIStatusError

from tests.journeys.conftest import CONFIG, Gateway, Simulator, install, serving
from tests.providers.test_profiles import examples

if TYPE_CHECKING:
    from collections.abc import Iterator

POLICY = """
[[filter.policies]]
version = "in-korea"
effective_from = 2026-01-01
[filter.policies.external]
countries = ["KR"]
"""


@pytest.fixture(scope="module")
def gateway(
    tmp_path_factory: pytest.TempPathFactory, simulator: Simulator, monkeypatch_module: pytest.MonkeyPatch
) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("new-provider")
    lines, price, *_ = examples()
    text = CONFIG.format(simulator=simulator.url, filter="", faulty="http://127.0.0.1:9")
    text += f"{POLICY}\n{lines}\n{price}"
    text = text.replace("https://api.new-provider.example/v1", f"{simulator.url}/new/v1")
    monkeypatch_module.setenv("NEW_PROVIDER_API_KEY", "sk-new")
    settings = install(folder, text.replace('"sqlite:///haechi.db"', f'"sqlite:///{folder}/haechi.db"'))
    made = Gateway("", folder, settings, simulator)
    made.issue("p1", person_id="p1")
    with serving(settings) as made.url:
        yield made


@pytest.fixture(scope="module")
def monkeypatch_module() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


def test_the_lines_of_the_documentation_answer_and_charge(gateway: Gateway) -> None:
    with gateway.client() as client:
        assert "new-model" in [model.id for model in client.models.list().data]
        raw = client.chat.completions.with_raw_response.create(
            model="new-model", messages=[{"role": "user", "content": "도로 점용 허가 절차를 설명해 주세요."}]
        )
        usage = raw.parse().usage
    assert usage is not None
    (charge,) = gateway.charges(raw.headers["x-request-id"])
    lines = gateway.rows(
        "SELECT * FROM ledger_charge_line WHERE charge_id = :c AND token_class = 'output'",
        c=charge["charge_id"],
    )
    assert [line["amount_nano_krw"] for line in lines] == [
        charge["output"] * 2100 * 1000
    ]  # 2,100 won a million


def test_a_policy_keeps_requests_in_the_countries_it_names(gateway: Gateway) -> None:
    """`sim-large` says nothing of where it stands, so it may be anywhere."""
    before = sum(row.get("model") == "sim-large" for row in gateway.simulator.ledger())
    with gateway.client() as client, pytest.raises(APIStatusError) as refused:
        client.chat.completions.create(
            model="sim-large", messages=[{"role": "user", "content": "안녕하세요"}]
        )
    assert refused.value.code == "no_deployment"
    assert sum(row.get("model") == "sim-large" for row in gateway.simulator.ledger()) == before
