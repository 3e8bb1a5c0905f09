"""Profiles are data: the documentation shows them as they are, and a new provider needs no code."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING

import pytest

from billing.price_tables import read_prices
from gateway.config import parse
from gateway.providers import WIRES, adapter
from gateway.providers.profiles import PROFILES, Profile, of
from tests.conftest import ROOT
from tests.providers.exchanges import ask, deployment, sent

if TYPE_CHECKING:
    from pathlib import Path

DOCUMENT = ROOT / "docs" / "providers.md"


def table() -> str:
    rows = ["| profile | limit is called | drops | refuses | also |", "|---|---|---|---|---|"]
    return "\n".join(rows + [_row(profile) for profile in PROFILES.values()])


def _row(profile: Profile) -> str:
    notes = [
        "developer role" * profile.developer_role,
        "`store: false`" * profile.store,
        "usage comes unasked" * (not profile.stream_options),
        "usage in every chunk" * profile.continuous_usage,
        f"reasoning back as `{profile.reasoning_history}`" * bool(profile.reasoning_history),
        "reasoning models: no sampling" * (profile.reasoning_models is not None),
    ]
    cells = (
        f"`{profile.name}`",
        f"`{profile.max_tokens}`",
        ", ".join(sorted(profile.lacks)) or "—",
        ", ".join(sorted(profile.refuses)) or "—",
        "; ".join(note for note in notes if note) or "—",
    )
    return f"| {' | '.join(cells)} |"


def test_the_documentation_shows_the_profiles_as_they_are() -> None:
    """To renew it: python -c "from tests.providers.test_profiles import renew; renew()"."""
    shown = re.search(
        r"<!-- profiles -->\n(.*?)\n?<!-- /profiles -->", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL
    )
    assert shown is not None
    assert shown[1] == table()


def renew() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    start, end = text.index("<!-- profiles -->"), text.index("<!-- /profiles -->")
    DOCUMENT.write_text(f"{text[:start]}<!-- profiles -->\n{table()}\n{text[end:]}", encoding="utf-8")


def examples() -> list[str]:
    """Return the TOML of the documentation, block by block."""
    return re.findall(r"```toml\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)


def test_the_prices_by_size_of_the_documentation_are_read() -> None:
    (price,) = read_prices(tomllib.loads(examples()[2])["prices"])["our-images"]
    assert price.variants.keys() == {"1024x1536/high", "*/low"}


def test_the_ten_lines_of_the_documentation_open_a_provider(tmp_path: Path) -> None:
    lines, price, *_ = examples()
    assert len(lines.splitlines()) <= 10
    text = f"{lines}\n{price}"
    config = parse(text.encode(), tmp_path / "haechi.toml", {"NEW_PROVIDER_API_KEY": "sk-new"})
    model = config.catalogue.get("new-model")
    assert model is not None
    request = adapter(model.deployments[0].wire).request(ask(), model.deployments[0])
    assert request.url == "https://api.new-provider.example/v1/chat/completions"
    assert request.headers["authorization"] == "Bearer sk-new"


def test_every_provider_the_institution_was_promised_has_a_profile() -> None:
    promised = {
        *(
            "openai",
            "azure",
            "vllm",
            "llamacpp",
            "ollama",
            "upstage",
            "clova",
            "friendli",
            "skt",
            "kt",
            "xai",
        ),
        *(
            "deepseek",
            "mistral",
            "groq",
            "perplexity",
            "openrouter",
            "together",
            "cerebras",
            "zai",
            "huggingface",
        ),
    }
    assert promised <= PROFILES.keys()


def test_a_deployment_adds_to_its_profile() -> None:
    options = {"lacks": ["seed"], "refuses": ["n"], "max_tokens": "max_new", "body": {"top_a": 1}}
    profile = of(deployment(profile="generic", options=options))
    assert (profile.lacks, profile.refuses, profile.max_tokens) == ({"seed"}, {"n"}, "max_new")
    body = sent(ask(seed=1, max_output_tokens=5), deployment(profile="generic", options=options))
    assert "seed" not in body
    assert (body["max_new"], body["top_a"]) == (5, 1)


def test_an_unknown_profile_speaks_the_plain_format() -> None:
    assert of(deployment(profile="unheard-of")) == PROFILES["generic"]


def test_a_wire_format_that_does_not_exist_is_named_with_those_that_do() -> None:
    with pytest.raises(KeyError, match="anthropic"):
        adapter("telegraph")


@pytest.mark.parametrize("wire", WIRES)
def test_every_adapter_has_the_names_of_the_contract(wire: str) -> None:
    module = adapter(wire)
    assert callable(module.request)
    assert callable(module.Decoder)
    assert callable(module.error)
