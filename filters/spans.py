"""What a detector finds: a typed half-open range of code points in one original string.

Offsets count code points of the *original* text, before folding; `end` is exclusive.
Entity types are Presidio's names where Presidio has one, `KR_…` where it has none.
"""

from __future__ import annotations

from typing import Final, NamedTuple

PERSON: Final = "PERSON"
PHONE_NUMBER: Final = "PHONE_NUMBER"
EMAIL_ADDRESS: Final = "EMAIL_ADDRESS"
KR_RRN: Final = "KR_RRN"
KR_FRN: Final = "KR_FRN"
KR_PASSPORT: Final = "KR_PASSPORT"
KR_DRIVER_LICENSE: Final = "KR_DRIVER_LICENSE"
KR_BRN: Final = "KR_BRN"
KR_CORP_NO: Final = "KR_CORP_NO"
CREDIT_CARD: Final = "CREDIT_CARD"
KR_BANK_ACCOUNT: Final = "KR_BANK_ACCOUNT"
KR_ADDRESS: Final = "KR_ADDRESS"
KR_VEHICLE: Final = "KR_VEHICLE"
KR_HEALTH_INSURANCE: Final = "KR_HEALTH_INSURANCE"
KR_CUSTOMS_CODE: Final = "KR_CUSTOMS_CODE"
DATE_OF_BIRTH: Final = "DATE_OF_BIRTH"
IP_ADDRESS: Final = "IP_ADDRESS"
SECRET: Final = "SECRET"  # noqa: S105 - the name of an entity type, not a credential
SECURITY_MARKING: Final = "SECURITY_MARKING"
US_SSN: Final = "US_SSN"
IBAN_CODE: Final = "IBAN_CODE"
UK_NINO: Final = "UK_NINO"


class Span(NamedTuple):
    """One finding in one string.

    `score` is in [0, 1]. `rule` names the recogniser that fired (`kr_rrn`, `person_title`, …); it
    never contains text of the prompt. `label` refines a type where the policy must tell cases apart:
    a SECURITY_MARKING carries its marking (`대외비`), a KR_BRN who it numbers (`individual`,
    `company`, `government`), an IP_ADDRESS `private` or `public`, a PHONE_NUMBER `office` or ``.
    """

    start: int
    end: int
    type: str
    score: float
    rule: str
    label: str = ""
