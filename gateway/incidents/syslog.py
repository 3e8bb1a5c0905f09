"""Sends lines to a syslog server over TLS: RFC 5424 messages in the frames of RFC 5425.

Syslog has no receipts. What comes nearest: after the last message the connection is closed in TLS's own way,
and the server's side of that is waited for. A server that resets the connection instead has not taken
everything; then all of it is sent again, and a receiver knows second copies by the incident and its version.
"""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Final

from gateway.incidents.states import Severity
from gateway.notices.failures import DeliveryFailed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from gateway.config_review_export import SyslogTarget

LOG_AUDIT: Final = 13
"""Facility of audit messages (RFC 5424, table 1)."""
_SEVERITIES: Final = {
    Severity.LOW: 5,
    Severity.MEDIUM: 4,
    Severity.HIGH: 3,
    Severity.CRITICAL: 2,
}
"""Notice, warning, error, critical (RFC 5424, table 2)."""


@dataclass(frozen=True, slots=True)
class Message:
    at: datetime
    severity: Severity
    kind: str
    """MSGID: `incident.create`, `incident.update` or `incident.close`."""
    text: bytes
    """Printable ASCII."""


def send(target: SyslogTarget, messages: Sequence[Message]) -> None:
    """Send messages over one connection. Raises DeliveryFailed; none of them may count as sent then."""
    if not messages:
        return
    host = socket.gethostname()[:255] or "-"
    frames = b"".join(framed(message, host) for message in messages)
    try:
        with _connected(target) as connection:
            connection.sendall(frames)
            _close(connection)
    except ssl.SSLCertVerificationError as error:
        raise DeliveryFailed("certificate", is_unreachable=True) from error
    except (OSError, ValueError) as error:
        raise DeliveryFailed(type(error).__name__, is_unreachable=True) from error


def framed(message: Message, host: str) -> bytes:
    """Return a message as RFC 5425 frames it: its length in octets, a blank, the message."""
    priority = LOG_AUDIT * 8 + _SEVERITIES[message.severity]
    at = message.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    header = f"<{priority}>1 {at} {host} haechi - {message.kind} - ".encode("ascii", "replace")
    body = header + message.text
    return str(len(body)).encode() + b" " + body


def _connected(target: SyslogTarget) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=target.ca_bundle)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if target.certificate is not None:
        context.load_cert_chain(target.certificate, target.key)
    plain = socket.create_connection((target.host, target.port), timeout=target.timeout_s)
    try:
        return context.wrap_socket(plain, server_hostname=target.host)
    except BaseException:
        plain.close()
        raise


def _close(connection: ssl.SSLSocket) -> None:
    """Say that this was all, and wait until the server has said so too, or has closed."""
    try:
        connection.unwrap()
    except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
        return  # it closed after it had read everything, without a word
    except ssl.SSLError as error:
        if "APPLICATION_DATA_AFTER_CLOSE_NOTIFY" not in str(error):
            raise
