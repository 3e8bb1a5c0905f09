"""`[review.export]` of haechi.toml as values: where incidents are sent, how, how often it is tried."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.config_notices import Webhook, secret_bytes
from gateway.incidents.states import SEVERITIES, Severity

if TYPE_CHECKING:
    from gateway.config_notices import Sources
    from gateway.config_schema import ReviewExportTable, ReviewSyslogTable, ReviewWebhookTable
    from gateway.toml_lines import KeyPath


@dataclass(frozen=True, slots=True)
class SyslogTarget:
    """A server that takes syslog over TLS. `certificate` and `key`: files, for servers that ask."""

    name: str
    host: str
    port: int
    format: str
    least: Severity
    ca_bundle: str | None = None
    certificate: str | None = None
    key: str | None = None
    timeout_s: float = 10.0


@dataclass(frozen=True, slots=True)
class WebhookTarget:
    """Where incidents are posted one by one, signed by the Standard Webhooks specification."""

    hook: Webhook
    format: str
    least: Severity

    @property
    def name(self) -> str:
        return self.hook.name


Target = SyslogTarget | WebhookTarget


@dataclass(frozen=True, slots=True)
class ExportSettings:
    """`weekly_to`: addresses of the weekly report, by the server of `[notices.smtp]`."""

    targets: tuple[Target, ...] = ()
    check_s: float = 15.0
    tries: int = 12
    first_pause_s: float = 30.0
    dead_letters: Path = field(default_factory=lambda: Path("incident-dead-letters.jsonl"))
    weekly_to: tuple[str, ...] = ()

    def target(self, name: str) -> Target | None:
        return next((target for target in self.targets if target.name == name), None)


def export_settings(table: ReviewExportTable, sources: Sources, folder: Path) -> ExportSettings:
    """Return the settings; `folder` is what relative paths of data count from. Mistakes are added."""
    path: KeyPath = ("review", "export")
    names = [*(one.name for one in table.syslog), *(one.name for one in table.webhooks)]
    for name in sorted({name for name in names if names.count(name) > 1}):
        sources.mistakes.add(path, f"'{name}'이(가) 두 번 나옵니다.", f"'{name}' stands twice.")
    syslogs = (_syslog(one, (*path, "syslog", i), sources) for i, one in enumerate(table.syslog))
    hooks = (_webhook(one, (*path, "webhooks", i), sources) for i, one in enumerate(table.webhooks))
    return ExportSettings(
        targets=(*syslogs, *(hook for hook in hooks if hook is not None)),
        check_s=table.check_s,
        tries=table.tries,
        first_pause_s=table.first_pause_s,
        dead_letters=(folder / table.dead_letters).resolve(),
        weekly_to=tuple(table.weekly_to),
    )


def _syslog(table: ReviewSyslogTable, path: KeyPath, sources: Sources) -> SyslogTarget:
    if (table.certificate_file is None) != (table.key_file is None):
        sources.mistakes.add(
            path,
            "certificate_file과 key_file은 함께 있어야 합니다.",
            "certificate_file and key_file belong together.",
        )
    return SyslogTarget(
        name=table.name,
        host=table.host,
        port=table.port,
        format=table.format,
        least=SEVERITIES[table.severity],
        ca_bundle=sources.file(table.ca_bundle, (*path, "ca_bundle")),
        certificate=sources.file(table.certificate_file, (*path, "certificate_file")),
        key=sources.file(table.key_file, (*path, "key_file")),
        timeout_s=table.timeout_s,
    )


def _webhook(table: ReviewWebhookTable, path: KeyPath, sources: Sources) -> WebhookTarget | None:
    text = sources.secret(table.secret_env, table.secret_file, path, "secret")
    key = secret_bytes(text) if text else None
    if key is None:
        sources.mistakes.add(
            path,
            "서명 비밀키가 필요합니다(secret_env나 secret_file): `whsec_` 뒤에 24바이트 이상의 base64.",
            "It needs a signing secret (secret_env or secret_file): `whsec_` and base64 of 24 bytes or more.",
        )
        return None
    hook = Webhook(
        name=table.name,
        url=table.url,
        secret=key,
        ca_bundle=sources.file(table.ca_bundle, (*path, "ca_bundle")),
        timeout_s=table.timeout_s,
    )
    return WebhookTarget(hook, table.format, SEVERITIES[table.severity])
