import re
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.budgets import Scope
from gateway.config import anchored, load, parse, unpriced
from gateway.config_mistakes import ConfigError, parsed, written
from gateway.config_schema import (
    BudgetsTable,
    DatabaseTable,
    DeploymentTable,
    FilterTable,
    IdentityTable,
    LimitsTable,
    ModelTable,
    NoticesTable,
    ProviderTable,
    RateLimitsTable,
    RateRuleTable,
    ServerTable,
    SmtpTable,
    WebhookTable,
)
from gateway.cores import cores
from gateway.domain import Caller, Zone
from gateway.installation import DEFAULT_CONFIG
from gateway.settings import Settings

GOOD = """\
[server]
port = 9090

[filter]
in_house_model = "city"

[[providers]]
name = "openai"
profile = "openai"
base_url = "https://api.openai.com/v1/"
api_key_env = "OPENAI_API_KEY"
region = "us"
timeouts = { idle_s = 20 }

[[providers]]
name = "city-llm"
base_url = "http://10.0.0.20:8000/v1"
profile = "vllm"
zone = "in_house"

[[models]]
id = "gpt"
capabilities = ["tools", "vision"]
max_output_tokens = 8000

  [[models.deployments]]
  provider = "openai"
  upstream_model = "gpt-5.1"
  headers = { x-team = "haechi" }

[[models]]
id = "city"
deployments = [{ provider = "city-llm", price_key = "city", weight = 3 }]

[[prices]]
key = "openai/gpt-5.1"
from = 2026-01-01
currency = "USD"
input = "1.25"
output = "10"

[[prices]]
key = "city"
from = 2026-01-01
currency = "KRW"
input = "0"
output = "0"

[[fx]]
base = "USD"
date = 2026-11-20
rate = "1391.20"
"""
ENV = {"OPENAI_API_KEY": "sk-test"}
PATH = Path("/etc/haechi/haechi.toml")


def read(text=GOOD, env=ENV, path=PATH):
    return parse(text.encode(), path, env)


def mistakes(text, env=ENV, path=PATH):
    with pytest.raises(ConfigError) as failed:
        read(text, env, path)
    assert all(mistake.korean and mistake.english for mistake in failed.value.mistakes)
    return [(mistake.line, mistake.key, mistake.english) for mistake in failed.value.mistakes]


def only_mistake(text, env=ENV):
    (mistake,) = mistakes(text, env)
    return mistake


def test_a_deployment_takes_from_its_provider_what_it_does_not_say():
    deployment = read().catalogue.models["gpt"].deployments[0]
    assert deployment.id == "gpt@openai"
    assert deployment.base_url == "https://api.openai.com/v1"
    assert deployment.upstream_model == "gpt-5.1"
    assert deployment.price_key == "openai/gpt-5.1"
    assert deployment.credential.api_key == "sk-test"
    assert deployment.zone is Zone.EXTERNAL
    assert (deployment.timeouts.idle_s, deployment.timeouts.connect_s) == (20, 5)
    assert deployment.headers == {"x-team": "haechi"}
    assert "sk-test" not in repr(deployment)


def test_the_rest_of_the_file_is_ready_to_use():
    config = read()
    assert config.server.port == 9090
    assert config.in_house_model == "city"
    assert config.catalogue.models["city"].zones == {Zone.IN_HOUSE}
    assert config.database_url == "sqlite:////etc/haechi/haechi.db"
    assert config.journal_dir == Path("/etc/haechi/journal")
    quote = config.price_book.quote("openai/gpt-5.1", datetime(2026, 11, 22, tzinfo=UTC))
    assert quote.fx.rate == Decimal("1391.20")
    assert unpriced(config, datetime(2026, 11, 22, tzinfo=UTC)) == []
    assert unpriced(config, datetime(2025, 11, 22, tzinfo=UTC)) == [
        ("gpt@openai", "openai/gpt-5.1"),
        ("city@city-llm", "city"),
    ]


def test_the_shipped_default_is_valid_with_and_without_its_examples():
    assert read(DEFAULT_CONFIG).catalogue.models == {}
    lines = DEFAULT_CONFIG.split("# --- 제공자")[1].splitlines()[1:]
    examples = "\n".join(
        line.removeprefix("# ").removeprefix("#") for line in lines if not line.startswith("# ---")
    )
    assert set(read(examples).catalogue.models) == {"gpt-5.1"}


def test_every_mistake_comes_at_once_in_the_order_of_the_lines():
    text = GOOD.replace("port = 9090", "prot = 9090\nworkers = 0")
    text = text.replace('zone = "in_house"', 'zone = "inhouse"').replace(
        'provider = "openai"', 'provider = "opanai"'
    )
    found = mistakes(text)
    assert [line for line, _, _ in found] == sorted(line for line, _, _ in found)
    assert [key for _, key, _ in found][:2] == ["server.prot", "server.workers"]
    assert {key for _, key, _ in found} >= {"providers[1].zone", "models[0].deployments[0].provider"}


def test_workers_may_be_one_for_each_core():
    assert read(GOOD.replace("port = 9090", 'port = 9090\nworkers = "auto"')).server.workers == cores()


WRONG = [
    ("port = 9090", 'workers = "many"', "server.workers", 'a whole number or "auto"'),
    # what stands in the file, what it becomes, the key at fault, part of the English words
    ("port = 9090", "prot = 9090", "server.prot", "Did you mean 'port'?"),
    ("[server]", "[sever]", "sever", "Did you mean 'server'?"),
    ("port = 9090", 'port = "9090"', "server.port", "valid integer"),
    ("port = 9090", "port = 90900", "server.port", "less than or equal to 65535"),
    ('["tools", "vision"]', '["tools", "vison"]', "models[0].capabilities[1]", "Did you mean 'vision'?"),
    ('zone = "in_house"', 'zone = "in_hose"', "providers[1].zone", "Did you mean 'in_house'?"),
    ('profile = "vllm"', 'profile = "vlm"', "providers[1].profile", "Did you mean 'vllm'?"),
    (
        'price_key = "city"',
        'price_key = "ctiy"',
        "models[1].deployments[0].price_key",
        "Did you mean 'city'?",
    ),
    (
        'provider = "openai"',
        'provider = "opnai"',
        "models[0].deployments[0].provider",
        "Did you mean 'openai'?",
    ),
    ('input = "1.25"', "input = 1.25", "prices[0].input", "write amounts as text"),
    ('currency = "KRW"', 'currency = "EUR"', "prices[1].currency", 'base = "EUR"'),
    ('in_house_model = "city"', 'in_house_model = "gpt"', "filter.in_house_model", "city"),
    ('base_url = "http://10', 'base_url = "ftp://10', "providers[1].base_url", "pattern"),
    ("port = 9090", 'trusted_proxies = ["proxy"]', "server.trusted_proxies[0]", "address or network"),
    ("port = 9090", 'cors_origins = ["*"]', "server.cors_origins[0]", "pattern"),
    ("weight = 3", "weight = -1", "models[1].deployments[0].weight", "greater than or equal to 0"),
]


@pytest.mark.parametrize(("old", "new", "key", "english"), WRONG)
def test_a_wrong_key_or_value_is_named_with_its_line_and_a_suggestion(old, new, key, english):
    text = GOOD.replace(old, new, 1)
    line = text[: text.index(new)].count("\n") + 1
    found = mistakes(text)
    assert any((at, name) == (line, key) and english in words for at, name, words in found), found


def test_what_is_missing_or_stands_twice_is_named_on_the_line_of_its_table():
    found = mistakes(GOOD.replace('base_url = "https://api.openai.com/v1/"\n', ""))
    assert found == [(7, "providers[0].base_url", "Field required.")]
    line = GOOD[: GOOD.index('id = "city"')].count("\n")
    assert (line, "models[1]", "'gpt' already stands in models[0].") in mistakes(
        GOOD.replace('id = "city"', 'id = "gpt"')
    )


def test_a_missing_secret_is_named_and_its_value_never_is():
    line, key, english = only_mistake(GOOD, env={})
    assert (line, key) == (11, "providers[0].api_key_env")
    assert "OPENAI_API_KEY is not set" in english


def test_what_is_switched_off_needs_no_secret():
    text = GOOD.replace('profile = "openai"', 'profile = "openai"\nenabled = false', 1)
    assert set(read(text, env={}).catalogue.models) == {"city"}


def test_a_secret_may_come_from_a_file_beside_the_configuration(tmp_path):
    (tmp_path / "key").write_text("sk-file\n")
    text = GOOD.replace('api_key_env = "OPENAI_API_KEY"', 'api_key_file = "key"')
    config = read(text, {}, tmp_path / "haechi.toml")
    assert config.catalogue.models["gpt"].deployments[0].credential.api_key == "sk-file"
    (tmp_path / "key").unlink()
    assert mistakes(text, {}, tmp_path / "haechi.toml")[0][1] == "providers[0].api_key_file"


def test_a_short_signing_secret_of_the_chat_server_is_refused():
    text = '[identity]\nopenwebui_jwt_secret_env = "JWT"\n'
    assert "32" in only_mistake(text, {"JWT": "short"})[2]
    assert read(text, {"JWT": "x" * 40}).jwt_secrets == ("x" * 40,)
    assert "xxxx" not in repr(read(text, {"JWT": "x" * 40}))


def test_a_policy_mistake_is_found_on_its_line():
    text = (
        GOOD
        + '[[filter.policies]]\nversion = "v2"\neffective_from = 2026-12-01\n[filter.policies.external.types]\nKR_RRN = "blok"\n'
    )
    line, key, english = only_mistake(text)
    assert (line, key) == (GOOD.count("\n") + 5, "filter.policies[0].external.types.KR_RRN")
    assert "blok" in english


RULE = '[[filter.rules]]\nname = "staff"\ntype = "EMPLOYEE_NUMBER"\npatterns = ["S26[0-9]{4}"]\n'


def test_an_institutions_rule_must_find_its_examples_and_spare_its_counterexamples():
    rules = read(GOOD + RULE + 'examples = ["사번 S260001"]\n').custom_rules
    assert [rule.type for rule in rules] == ["EMPLOYEE_NUMBER"]
    line = GOOD.count("\n") + 1
    for wrong in ('examples = ["S270001"]', 'counterexamples = ["S260001"]'):
        assert only_mistake(f"{GOOD}{RULE}{wrong}\n")[:2] == (line, "filter.rules[0]")
    misspelt = mistakes(GOOD + RULE.replace("patterns", "pattern"))
    assert (line + 3, "filter.rules[0].pattern", "Unknown key. Did you mean 'patterns'?") in misspelt


def test_text_that_is_no_toml_is_named_with_its_line():
    assert only_mistake("[server]\nport = = 1\n")[0] == 2
    with pytest.raises(ConfigError) as failed:
        parse("[server]\n# 한글\n".encode("cp949"), PATH, {})
    assert failed.value.mistakes[0].line == 2


def test_the_environment_goes_before_the_file_for_the_database():
    assert read(env=ENV | {"HAECHI_DATABASE_URL": "postgresql://db/h"}).database_url == "postgresql://db/h"


def test_data_may_live_apart_from_the_configuration():
    config = read(env=ENV | {"HAECHI_DATA_DIR": "/var/lib/haechi"})
    assert config.database_url == "sqlite:////var/lib/haechi/haechi.db"
    assert config.journal_dir == Path("/var/lib/haechi/journal")


def test_relative_sqlite_paths_count_from_the_folder_of_the_file(tmp_path):
    assert anchored("sqlite:///x.db", tmp_path) == f"sqlite:///{tmp_path.resolve()}/x.db"
    for url in ("sqlite:////abs/x.db", "sqlite:///:memory:", "sqlite://", "postgresql://u@h/x"):
        assert anchored(url, tmp_path) == url


def test_plain_http_to_an_external_provider_is_warned_about_and_loopback_is_not():
    assert read().warnings == ()
    external = GOOD.replace("https://api.openai.com", "http://api.openai.com")
    assert "openai" in read(external).warnings[0][1]
    assert read(GOOD.replace("https://api.openai.com", "http://127.0.0.1:9")).warnings == ()


def test_a_missing_file_is_the_operating_systems_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none.toml", {})


@given(
    st.lists(st.integers(0, 99) | st.text("abc_-", min_size=1), min_size=1).filter(
        lambda p: isinstance(p[0], str)
    )
)
def test_paths_are_written_and_read_alike(path):
    assert parsed(written(tuple(path))) == tuple(path)


@given(st.binary(max_size=200))
def test_no_bytes_bring_the_reader_down(data):
    with suppress(ConfigError):
        parse(data, PATH, {})


RATE = '[[rate_limits.rules]]\nname = "a"\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (RATE, "requests_per_min"),
        (f"{RATE}requests_per_min = 1\n{RATE}tokens_per_min = 1\n", "twice"),
        (RATE.replace('"a"', '"@a"') + "requests_per_min = 1\n", "@"),
        ('[rate_limits]\nvalkey_url = "127.0.0.1:6379"\n', "valkey://"),
        ('[rate_limits]\nvalkey_url = "valkey://:geheim@db:6379/0"\n', "valkey_url_env"),
        ('[rate_limits]\nvalkey_url_env = "NOWHERE"\n', "NOWHERE"),
        (f'{RATE}requests_per_min = 1\nper = ["team"]\n', "per"),
    ],
)
def test_a_rate_limit_that_cannot_be_counted_is_a_mistake(text, words):
    with pytest.raises(ConfigError) as error:
        read(text)
    assert words in str(error.value)


def test_rate_limits_and_contacts_are_read():
    text = f'{RATE}per = ["person", "model"]\nrequests_per_min = 3\ndepartments = ["x"]\n'
    config = read(text + '[budgets]\ncontact = "가"\n[budgets.contacts]\nb = "나"\n')
    (rule,) = config.rate_limits.rules
    assert (rule.per, rule.requests_per_min, rule.departments) == (("person", "model"), 3, {"x"})
    caller = Caller("p", "k", "c", ("a", "b", "c"))
    scopes = [Scope("unit", "c"), Scope("unit", "a"), Scope("person", "p")]
    assert [config.contacts.of(scope, caller) for scope in scopes] == ["나", "가", "나"]


def test_the_examples_of_the_documentation_are_valid():
    text = (Path(__file__).parent.parent / "docs/configuration.md").read_text()
    first, second = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    config = read(first + second, env={})
    assert set(config.catalogue.models) == {"city-llm"}
    assert config.in_house_model == "city-llm"
    assert len(config.policies.versions) == 2
    assert unpriced(config, datetime(2026, 11, 22, tzinfo=UTC)) == []


def test_the_documentation_names_every_key_and_variable():
    text = (Path(__file__).parent.parent / "docs/configuration.md").read_text()
    tables = (
        ServerTable,
        DatabaseTable,
        IdentityTable,
        LimitsTable,
        BudgetsTable,
        RateLimitsTable,
        RateRuleTable,
        NoticesTable,
        SmtpTable,
        WebhookTable,
        FilterTable,
        ProviderTable,
        DeploymentTable,
        ModelTable,
    )
    undocumented = {key for table in tables for key in table.model_fields if key not in text}
    undocumented |= {
        f"HAECHI_{name.upper()}" for name in Settings.model_fields if f"HAECHI_{name.upper()}" not in text
    }
    assert undocumented == set()
