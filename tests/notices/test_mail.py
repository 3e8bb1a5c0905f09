from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from gateway.notices import mail
from gateway.notices.failures import DeliveryFailed
from gateway.notices.messages import Letter

if TYPE_CHECKING:
    from gateway.config_notices import Smtp
    from tests.notices.conftest import Mailbox

LETTER = Letter("[해치] 총무과 월 예산 80% 도달", "총무과의 예산입니다.\n\n--\nThe budget.\n")


def test_a_letter_arrives_encrypted_after_a_login_as_it_was_written(smtp: Smtp, mailbox: Mailbox) -> None:
    mail.send(smtp, LETTER, "kim@seoul.example", "n1")
    ((to, letter),) = mailbox.letters
    assert (to, mailbox.logins, mailbox.encrypted) == ("kim@seoul.example", ["haechi"], [True])
    assert letter["subject"] == LETTER.subject
    assert letter.get_content().replace("\r\n", "\n") == LETTER.text
    assert letter["from"] == "Haechi 해치 <haechi@seoul.example>"
    assert letter["auto-submitted"] == "auto-generated"


def test_a_second_copy_has_the_same_message_id_and_another_addressee_another(
    smtp: Smtp, mailbox: Mailbox
) -> None:
    for to in ("kim@seoul.example", "kim@seoul.example", "lee@seoul.example"):
        mail.send(smtp, LETTER, to, "n1")
    first, second, third = [letter["message-id"] for _, letter in mailbox.letters]
    assert first == second != third


def test_a_certificate_that_nobody_vouches_for_is_not_trusted(smtp: Smtp, mailbox: Mailbox) -> None:
    with pytest.raises(DeliveryFailed, match="SSLCertVerificationError") as failed:
        mail.send(dataclasses.replace(smtp, ca_bundle=None), LETTER, "kim@seoul.example", "n1")
    assert failed.value.is_unreachable
    assert mailbox.logins == [], "the password was not said"


def test_a_wrong_password_is_tried_again_later(smtp: Smtp, mailbox: Mailbox) -> None:
    with pytest.raises(DeliveryFailed, match=r"smtp 535|SMTPServerDisconnected") as failed:
        mail.send(dataclasses.replace(smtp, password="wrong", timeout_s=1), LETTER, "kim@seoul.example", "n1")
    assert not failed.value.is_final
    assert mailbox.letters == []


@pytest.mark.parametrize(("code", "is_final"), [("550 no such user", True), ("451 try later", False)])
def test_an_addressee_that_is_refused_for_good_is_not_tried_again(
    smtp: Smtp, mailbox: Mailbox, code: str, is_final: bool
) -> None:
    mailbox.codes["kim@seoul.example"] = code
    with pytest.raises(DeliveryFailed, match=f"smtp {code[:3]}") as failed:
        mail.send(smtp, LETTER, "kim@seoul.example", "n1")
    assert (failed.value.is_final, failed.value.is_unreachable) == (is_final, False)


def test_a_server_that_is_away_is_unreachable(smtp: Smtp) -> None:
    with pytest.raises(DeliveryFailed, match="ConnectionRefusedError") as failed:
        mail.send(dataclasses.replace(smtp, port=9), LETTER, "kim@seoul.example", "n1")
    assert failed.value.is_unreachable


@pytest.mark.parametrize("to", ["", "kim", "kim@seoul.example\r\nBcc: x@evil.example", "a b@c.example"])
def test_what_is_no_address_is_refused_for_good(smtp: Smtp, to: str) -> None:
    with pytest.raises(DeliveryFailed) as failed:
        mail.send(smtp, LETTER, to, "n1")
    assert failed.value.is_final
