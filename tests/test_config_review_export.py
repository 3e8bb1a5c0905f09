"""`[review.export]` of haechi.toml: receivers of incidents, and every mistake in them."""

import pytest

from gateway.config import ConfigError, parse
from gateway.config_review_export import ExportSettings, SyslogTarget, WebhookTarget
from gateway.incidents.states import Severity

SECRET = "whsec_" + "A" * 43 + "="
WHOLE = """
[review.export]
check_s = 5
dead_letters = "dead/letters.jsonl"
weekly_to = ["security@seoul.example"]

[[review.export.syslog]]
name = "siem"
host = "siem.seoul.example"
format = "ocsf"
severity = "high"

[[review.export.webhooks]]
name = "soc"
url = "https://soc.seoul.example/hook"
secret_env = "SOC_SECRET"
"""


def read(text, tmp_path, **env):
    return parse(text.encode(), tmp_path / "haechi.toml", env).review_export


def test_receivers_are_read_with_their_formats_and_the_mildest_that_they_take(tmp_path):
    settings = read(WHOLE, tmp_path, SOC_SECRET=SECRET)
    siem, soc = settings.targets
    assert isinstance(siem, SyslogTarget)
    assert (siem.host, siem.port, siem.format, siem.least) == (
        "siem.seoul.example",
        6514,
        "ocsf",
        Severity.HIGH,
    )
    assert isinstance(soc, WebhookTarget)
    assert (soc.name, soc.format, soc.least) == ("soc", "json", Severity.LOW)
    assert settings.dead_letters == (tmp_path / "dead/letters.jsonl").resolve()
    assert settings.target("soc") is soc
    assert SECRET not in repr(settings)


def test_without_the_table_nothing_is_sent(tmp_path):
    assert read("", tmp_path).targets == ExportSettings().targets == ()


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        (WHOLE, "signing secret"),
        (WHOLE.replace('name = "soc"', 'name = "siem"'), "stands twice"),
        (WHOLE.replace('format = "ocsf"', 'certificate_file = "a.pem"'), "belong together"),
        (WHOLE.replace('format = "ocsf"', 'format = "leef"'), "format"),
        (WHOLE.replace('severity = "high"', 'severity = "huge"'), "severity"),
    ],
)
def test_each_mistake_is_named(tmp_path, text, mistake):
    env = {} if mistake == "signing secret" else {"SOC_SECRET": SECRET}
    (tmp_path / "a.pem").write_text("x")
    with pytest.raises(ConfigError) as refused:
        read(text, tmp_path, **env)
    assert any(mistake in str(one) for one in refused.value.mistakes)
