"""`[notices]` of haechi.toml as values: who is told of budgets, by which servers, how often it is tried."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from billing.thresholds import Rules

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gateway.config_mistakes import Mistakes
    from gateway.config_schema import NoticesTable, SmtpTable, WebhookTable
    from gateway.toml_lines import KeyPath

LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
LEAST_SECRET_BYTES: Final = 24
"""The least that the Standard Webhooks specification allows."""


@dataclass(frozen=True, slots=True)
class Smtp:
    """A server that takes e-mail. `security`: `starttls`, `tls` or `none` (loopback only)."""

    host: str
    port: int
    security: str
    sender: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_bundle: str | None = None
    timeout_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where signed JSON is posted. `scopes` (`unit:총무과`) narrow it; empty: everything."""

    name: str
    url: str
    secret: bytes = field(repr=False)
    scopes: frozenset[str] = frozenset()
    ca_bundle: str | None = None
    timeout_s: float = 10.0


@dataclass(frozen=True, slots=True)
class NoticeSettings:
    """`emails`: who is told of budgets that have no contacts of their own, and of dead writers."""

    rules: Rules = field(default_factory=Rules)
    check_s: float = 30.0
    tries: int = 12
    first_pause_s: float = 30.0
    emails: tuple[str, ...] = ()
    smtp: Smtp | None = None
    webhooks: tuple[Webhook, ...] = ()

    @property
    def is_on(self) -> bool:
        """Whether there is any way to reach anybody."""
        return self.smtp is not None or bool(self.webhooks)

    def webhook(self, name: str) -> Webhook | None:
        return next((hook for hook in self.webhooks if hook.name == name), None)


@dataclass(frozen=True, slots=True)
class Sources:
    """How a table's secrets and files are read: by the names that stand in it."""

    secret: Callable[[str | None, str | None, KeyPath, str], str | None]
    file: Callable[[str | None, KeyPath], str | None]
    mistakes: Mistakes


def settings_of(table: NoticesTable, sources: Sources) -> NoticeSettings:
    """Return the settings; what is wrong in them is added to the mistakes."""
    mistakes = sources.mistakes
    if table.emails and table.smtp is None:
        mistakes.add(
            ("notices", "emails"),
            "전자우편을 보낼 서버가 없습니다. [notices.smtp]를 더하세요.",
            "There is no server to send e-mail with; add [notices.smtp].",
        )
    names = [hook.name for hook in table.webhooks]
    for index, name in enumerate(names):
        if name in names[:index]:
            mistakes.add(
                ("notices", "webhooks", index, "name"),
                f"'{name}'이(가) 두 번 나옵니다.",
                f"'{name}' stands twice.",
            )
    hooks = (_webhook(hook, ("notices", "webhooks", i), sources) for i, hook in enumerate(table.webhooks))
    return NoticeSettings(
        rules=Rules(tuple(sorted(set(table.thresholds))), table.forecast),
        check_s=table.check_s,
        tries=table.tries,
        first_pause_s=table.first_pause_s,
        emails=tuple(table.emails),
        smtp=None if table.smtp is None else _smtp(table.smtp, sources),
        webhooks=tuple(hook for hook in hooks if hook is not None),
    )


def secret_bytes(text: str) -> bytes | None:
    """Return the key of a Standard Webhooks secret, `whsec_` and base64; None for anything else."""
    try:
        key = base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if len(key) >= LEAST_SECRET_BYTES else None


def _smtp(table: SmtpTable, sources: Sources) -> Smtp:
    path: KeyPath = ("notices", "smtp")
    if table.security == "none" and table.host not in LOOPBACK:
        sources.mistakes.add(
            (*path, "security"),
            "암호화하지 않은 연결은 같은 기기의 서버에만 쓸 수 있습니다. starttls나 tls를 쓰세요.",
            "Without encryption only a server on this machine is used; write starttls or tls.",
        )
    return Smtp(
        host=table.host,
        port=table.port or _PORTS[table.security],
        security=table.security,
        sender=table.sender,
        username=table.username,
        password=sources.secret(table.password_env, table.password_file, path, "password"),
        ca_bundle=sources.file(table.ca_bundle, (*path, "ca_bundle")),
        timeout_s=table.timeout_s,
    )


def _webhook(table: WebhookTable, path: KeyPath, sources: Sources) -> Webhook | None:
    text = sources.secret(table.secret_env, table.secret_file, path, "secret")
    key = secret_bytes(text) if text else None
    if key is None:
        sources.mistakes.add(
            path,
            "서명 비밀키가 필요합니다(secret_env나 secret_file): `whsec_` 뒤에 24바이트 이상의 base64."
            " `openssl rand -base64 32`로 만드세요.",
            "It needs a signing secret (secret_env or secret_file): `whsec_` and base64 of 24 bytes or more;"
            " make one with `openssl rand -base64 32`.",
        )
        return None
    return Webhook(
        name=table.name,
        url=table.url,
        secret=key,
        scopes=frozenset(table.scopes),
        ca_bundle=sources.file(table.ca_bundle, (*path, "ca_bundle")),
        timeout_s=table.timeout_s,
    )


_PORTS: Final[Mapping[str, int]] = {"starttls": 587, "tls": 465, "none": 25}
