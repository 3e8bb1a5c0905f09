"""Sends a letter through the institution's SMTP server: encrypted, with its certificate checked."""

from __future__ import annotations

import hashlib
import smtplib
import ssl
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime
from typing import TYPE_CHECKING

from gateway.notices.failures import DeliveryFailed

if TYPE_CHECKING:
    from gateway.config_notices import Smtp
    from gateway.notices.messages import Letter


def send(smtp: Smtp, letter: Letter, to: str, notice_id: str, now: datetime | None = None) -> None:
    """Hand a letter to the server. Raises DeliveryFailed; a refused addressee is final.

    The Message-ID follows from notice and addressee: a letter that is sent twice is shown once.
    """
    try:
        message = message_of(smtp.sender, letter, to, notice_id, now or datetime.now(UTC))
    except (ValueError, IndexError) as error:  # an address that no header takes
        raise DeliveryFailed("not an e-mail address", is_final=True) from error
    try:
        with _session(smtp) as session:
            if smtp.username is not None:
                session.login(smtp.username, smtp.password or "")
            session.send_message(message)
    except smtplib.SMTPRecipientsRefused as error:
        code = next(iter(error.recipients.values()))[0]
        raise DeliveryFailed(f"smtp {code}", is_final=500 <= code < 600) from error
    except smtplib.SMTPResponseException as error:
        raise DeliveryFailed(f"smtp {error.smtp_code}", is_unreachable=True) from error
    except (smtplib.SMTPException, OSError) as error:
        raise DeliveryFailed(type(error).__name__, is_unreachable=True) from error


def message_of(sender: str, letter: Letter, to: str, notice_id: str, now: datetime) -> EmailMessage:
    """Return the message as it is sent. Raises ValueError or IndexError for what is no address."""
    message = EmailMessage(policy=SMTP_POLICY)
    message["From"] = Address("Haechi 해치", addr_spec=sender)
    message["To"] = Address(addr_spec=to)
    message["Subject"] = letter.subject
    message["Date"] = format_datetime(now)
    whose = hashlib.sha256(to.encode()).hexdigest()[:16]
    message["Message-ID"] = f"<{notice_id}.{whose}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letter.text, cte="base64")
    return message


def _session(smtp: Smtp) -> smtplib.SMTP:
    """Connect, and encrypt before anything is said. A server that cannot is not used."""
    context = ssl.create_default_context(cafile=smtp.ca_bundle)
    if smtp.security == "tls":
        return smtplib.SMTP_SSL(smtp.host, smtp.port, timeout=smtp.timeout_s, context=context)
    session = smtplib.SMTP(smtp.host, smtp.port, timeout=smtp.timeout_s)
    if smtp.security == "starttls":
        try:
            session.starttls(context=context)
        except BaseException:
            session.close()
            raise
    return session
