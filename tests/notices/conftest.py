"""A real SMTP server with TLS and passwords, a real web server, and a board between them."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from billing.store import open_engine
from billing.tables import metadata as ledger_metadata
from gateway.config_notices import NoticeSettings, Smtp, Webhook
from gateway.notices.board import NoticeBoard
from gateway.store.tables import metadata as gateway_metadata
from tests.billing.conftest import Maker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import EmailMessage
    from pathlib import Path

    from sqlalchemy import Engine

SECRET = b"s" * 32


@dataclass
class Mailbox:
    """What the SMTP server took, and how it answers: `codes` by addressee."""

    port: int = 0
    letters: list[tuple[str, EmailMessage]] = field(default_factory=list)
    codes: dict[str, str] = field(default_factory=dict)
    logins: list[str] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, to: str, _options: Any) -> str:  # noqa: N802
        if to in self.codes:
            return self.codes[to]
        envelope.rcpt_tos.append(to)
        return "250 OK"

    async def handle_DATA(self, _server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.encrypted.append(session.ssl is not None)
        letter = message_from_bytes(envelope.content, policy=policy.default)
        self.letters.extend((to, letter) for to in envelope.rcpt_tos)  # type: ignore[misc]
        return "250 taken"

    def authenticate(
        self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any
    ) -> AuthResult:
        self.logins.append(data.login.decode())
        return AuthResult(success=(data.login, data.password) == (b"haechi", b"secret"))


@dataclass
class Receiver:
    """What was posted to the web server, and with which status it answers."""

    url: str = ""
    posted: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    status: int = 204


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1 that signs itself, and its key."""
    folder = tmp_path_factory.mktemp("certificate")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, secret = folder / "cert.pem", folder / "key.pem"
    pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return pem, secret


@pytest.fixture
def mailbox(certificate: tuple[Path, Path]) -> Iterator[Mailbox]:
    """An SMTP server that takes mail after STARTTLS and a password, and not before."""
    box = Mailbox(_free_port())
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    server = Controller(
        box,
        hostname="127.0.0.1",
        port=box.port,
        tls_context=context,
        require_starttls=True,
        auth_required=True,
        authenticator=box.authenticate,
    )
    server.start()
    yield box
    server.stop()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    got = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            got.posted.append(({k.lower(): v for k, v in self.headers.items()}, body))
            self.send_response(got.status)
            self.send_header("location", "/elsewhere")
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    got.url = f"http://127.0.0.1:{server.server_port}/haechi"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield got
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def smtp(mailbox: Mailbox, certificate: tuple[Path, Path]) -> Smtp:
    return Smtp(
        "127.0.0.1",
        mailbox.port,
        "starttls",
        "haechi@seoul.example",
        "haechi",
        "secret",
        ca_bundle=str(certificate[0]),
        timeout_s=5,
    )


@pytest.fixture
def hook(receiver: Receiver) -> Webhook:
    return Webhook("finance", receiver.url, SECRET, timeout_s=5)


@pytest.fixture
def settings(smtp: Smtp, hook: Webhook) -> NoticeSettings:
    return NoticeSettings(
        emails=("finance@seoul.example",), smtp=smtp, webhooks=(hook,), tries=3, first_pause_s=60
    )


@pytest.fixture
def make() -> Maker:
    return Maker()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{tmp_path}/haechi.db")
    ledger_metadata.create_all(engine)
    gateway_metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def board(database: Engine, settings: NoticeSettings, make: Maker) -> NoticeBoard:
    return NoticeBoard(database, settings, lambda: make.now)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
