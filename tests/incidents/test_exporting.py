"""Incidents on their way to a real syslog server with TLS and a real web server."""

from __future__ import annotations

import json
import re
import socket
import ssl
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from billing.periods import to_us
from billing.store import open_engine
from gateway.config_notices import Webhook
from gateway.config_review_export import ExportSettings, SyslogTarget, WebhookTarget
from gateway.incidents.exporting import Exporter
from gateway.incidents.states import Severity
from gateway.incidents.syslog import Message, send
from gateway.keyring import Keyring, new_secret
from gateway.notices.failures import DeliveryFailed
from gateway.notices.webhooks import signature
from gateway.store import incident_exports as outbox
from gateway.store.database import migrate
from gateway.store.incident_tables import incident
from tests.notices.conftest import certificate, receiver  # noqa: F401 - fixtures
from tests.store.test_incident_statistics import finding_of, incident_of, write

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
SECRET = b"s" * 32


@dataclass
class SyslogServer:
    """Takes frames of RFC 5425 until it is told to break; `messages` are what it read."""

    port: int
    messages: list[bytes] = field(default_factory=list)
    resets: int = 0
    """So many of the next connections are reset after the first bytes."""
    certificates: list[dict[str, object] | None] = field(default_factory=list)

    def take(self, connection: ssl.SSLSocket) -> None:
        if self.resets:
            self.resets -= 1
            connection.recv(10)
            linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            connection.close()
            return
        self.certificates.append(connection.getpeercert())
        data = b""
        while piece := connection.recv(65536):
            data += piece
        self.messages += frames(data)
        connection.unwrap()


def frames(data: bytes) -> list[bytes]:
    found = []
    while data:
        length, _, rest = data.partition(b" ")
        found.append(rest[: int(length)])
        data = rest[int(length) :]
    return found


@pytest.fixture
def syslog(certificate):  # noqa: F811
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificate[0])
    context.load_cert_chain(*certificate)
    context.verify_mode = ssl.CERT_OPTIONAL
    listener = socket.create_server(("127.0.0.1", 0))
    server = SyslogServer(listener.getsockname()[1])

    def serve():
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(plain, server_side=True) as connection:
                    server.take(connection)
            except OSError:
                plain.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield server
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)


class Clock:
    def __init__(self):
        self.at = NOW

    def __call__(self):
        return self.at


@pytest.fixture
def database(tmp_path):
    url = f"sqlite:///{tmp_path}/haechi.db"
    migrate(url)
    engine = open_engine(url)
    yield engine
    engine.dispose()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def exporter(database, clock, tmp_path):
    def made(*targets, tries=3):
        settings = ExportSettings(
            targets=targets, tries=tries, first_pause_s=30, dead_letters=tmp_path / "dead/letters.jsonl"
        )
        return Exporter(database, Keyring.of([new_secret()]), settings, clock)

    return made


@pytest.fixture
def siem(syslog, certificate):  # noqa: F811
    return SyslogTarget(
        "siem", "127.0.0.1", syslog.port, "cef", Severity.LOW, str(certificate[0]), timeout_s=5
    )


def happen(database, number, at, **changes):
    write(database, [incident_of(number, at=at, **changes)], [finding_of(number, at=at)])


def test_an_incident_reaches_a_tls_syslog_server_as_a_framed_message(database, exporter, clock, siem, syslog):
    work = exporter(siem)
    work.round()  # the receiver is new: it hears of what happens from now on
    clock.at += timedelta(minutes=1)
    happen(database, 1, clock.at)
    assert work.round() == 1
    assert work.round() == 0
    (message,) = syslog.messages
    assert re.match(
        rb"<107>1 2026-11-22T03:01:00\.000000Z \S+ haechi - incident\.create - CEF:0\|Haechi\|Haechi\|",
        message,
    )
    assert b"externalId=req-1 " in message
    assert b"S1" not in message.split(b"CEF:0")[1]


def test_every_change_is_told_and_a_verdict_closes(database, exporter, clock, siem, syslog):
    work = exporter(siem)
    work.round()
    clock.at += timedelta(minutes=1)
    happen(database, 1, clock.at)
    work.round()
    with database.begin() as connection:
        resolved = {"state": "resolved", "resolution": "false_positive", "version": 2}
        changed = {"changed_at_us": to_us(clock.at), "resolved_at_us": to_us(clock.at)}
        connection.execute(update(incident).values(**resolved, **changed))
    work.round()
    kinds = [re.search(rb"incident\.(\w+)", message)[1] for message in syslog.messages]
    assert kinds == [b"create", b"close"]
    assert b"outcome=false_positive" in syslog.messages[1]


def test_a_server_that_resets_the_connection_gets_everything_again(database, exporter, clock, siem, syslog):
    work = exporter(siem)
    work.round()
    for number in range(3):
        happen(database, number, clock.at + timedelta(seconds=number))
    clock.at += timedelta(minutes=1)
    syslog.resets = 1
    assert work.round() == 0
    assert outbox.counts(database) == {("siem", "waiting"): 3}
    clock.at += timedelta(minutes=1)
    assert work.round() == 3
    assert len(syslog.messages) == 3
    assert outbox.counts(database) == {("siem", "sent"): 3}


def test_what_is_given_up_stands_in_the_dead_letter_file_and_can_be_tried_again(
    database, exporter, clock, siem, syslog
):
    work = exporter(siem, tries=2)
    work.round()
    happen(database, 1, clock.at)
    syslog.resets = 2
    for _ in range(3):
        clock.at += timedelta(hours=2)
        work.round()
    assert outbox.counts(database) == {("siem", "dead"): 1}
    file = work.settings.dead_letters
    (line,) = map(json.loads, file.read_text().splitlines())
    assert (line["incident_id"], line["target"], line["tries"]) == ("req-1", "siem", 2)
    assert line["record"]["counts"] == {"KR_RRN": 1}
    assert file.stat().st_mode & 0o777 == 0o600
    assert [one.failure for one in outbox.dead(database)] == [line["failure"]]
    assert outbox.retry(database, clock.at) == 1
    assert work.round() == 1


def test_a_server_whose_certificate_is_not_trusted_is_told_nothing(database, exporter, clock, siem, syslog):
    target = SyslogTarget("siem", "127.0.0.1", syslog.port, "cef", Severity.LOW)
    with pytest.raises(DeliveryFailed, match="certificate"):
        send(target, [Message(NOW, Severity.LOW, "incident.create", b"x")])
    assert syslog.messages == []


def test_a_server_that_asks_for_a_certificate_is_shown_one(siem, syslog, certificate):  # noqa: F811
    cert, key = map(str, certificate)
    target = SyslogTarget("siem", "127.0.0.1", syslog.port, "cef", Severity.LOW, cert, cert, key)
    send(target, [Message(NOW, Severity.CRITICAL, "incident.create", b"x")])
    assert syslog.certificates[0] is not None
    assert syslog.messages[0].startswith(b"<106>1 ")


def test_milder_incidents_than_a_receiver_wants_stay_here(database, exporter, clock, siem, syslog):
    from dataclasses import replace

    work = exporter(replace(siem, least=Severity.CRITICAL))
    work.round()
    happen(database, 1, clock.at, severity=3)
    happen(database, 2, clock.at, severity=4)
    clock.at += timedelta(minutes=1)
    assert work.round() == 1
    assert b"externalId=req-2 " in syslog.messages[0]


def test_a_webhook_gets_a_signed_ocsf_event_and_a_refusal_comes_back_later(
    database,
    exporter,
    clock,
    receiver,  # noqa: F811
    certificate,  # noqa: F811
):
    hook = Webhook("soc", receiver.url, SECRET, ca_bundle=str(certificate[0]))
    work = exporter(WebhookTarget(hook, "ocsf", Severity.LOW))
    work.round()
    happen(database, 1, clock.at)
    clock.at += timedelta(minutes=1)
    receiver.status = 503
    assert work.round() == 0
    clock.at += timedelta(minutes=1)
    receiver.status = 204
    assert work.round() == 1
    headers, body = receiver.posted[-1]
    event = json.loads(body)
    assert (event["type"], event["data"]["class_uid"]) == ("incident.create", 2006)
    assert headers["webhook-id"] == "req-1.1"
    signed = signature(SECRET, "req-1.1", headers["webhook-timestamp"], body)
    assert headers["webhook-signature"] == signed


def test_two_processes_share_the_outbox_and_send_each_version_once(database, exporter, clock, siem, syslog):
    work = exporter(siem)
    work.round()
    happen(database, 1, clock.at)
    clock.at += timedelta(minutes=1)
    outbox.note(database, "siem", Severity.LOW, clock.at)
    mine = outbox.due(database, "siem", clock.at)
    theirs = outbox.due(database, "siem", clock.at)
    until = clock.at + timedelta(minutes=5)
    assert outbox.claim(database, mine, until) == mine
    assert outbox.claim(database, theirs, until) == []


def test_a_new_receiver_can_be_told_of_the_past(database, exporter, clock, siem, syslog):
    happen(database, 1, NOW - timedelta(days=40))
    outbox.send_from(database, "siem", NOW - timedelta(days=50))
    assert exporter(siem).round() == 1


def test_an_incident_that_is_written_late_is_told_as_well(database, exporter, clock, siem):
    work = exporter(siem)
    outbox.send_from(database, "siem", NOW - timedelta(hours=5))
    work.round()
    happen(database, 1, NOW - timedelta(hours=3))
    clock.at += timedelta(minutes=1)
    assert work.round() == 1
