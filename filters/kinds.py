"""What each entity type is called, and what a person can do about a finding. Words only, no decisions."""

from __future__ import annotations

from typing import Final, NamedTuple

from filters import spans


class KindText(NamedTuple):
    """A type's name and the way to mend a prompt that holds it, Korean first."""

    ko: str
    en: str
    fix_ko: str
    fix_en: str


_REMOVE_NUMBER: Final = (
    "번호를 지우거나 '○○○○'처럼 바꾸어 다시 보내세요.",
    "Delete the number or write '○○○○' in its place, then send again.",
)
_MASKED: Final = (
    "그대로 두셔도 됩니다. 가려서 보내고 답변에서 되돌립니다.",
    "Nothing to do: it is masked on the way out and restored in the answer.",
)

KINDS: Final[dict[str, KindText]] = {
    spans.PERSON: KindText("이름", "person's name", *_MASKED),
    spans.PHONE_NUMBER: KindText("전화번호", "telephone number", *_MASKED),
    spans.EMAIL_ADDRESS: KindText("전자우편 주소", "e-mail address", *_MASKED),
    spans.KR_RRN: KindText("주민등록번호", "resident registration number", *_REMOVE_NUMBER),
    spans.KR_FRN: KindText("외국인등록번호", "foreigner registration number", *_REMOVE_NUMBER),
    spans.KR_PASSPORT: KindText("여권번호", "passport number", *_REMOVE_NUMBER),
    spans.KR_DRIVER_LICENSE: KindText("운전면허번호", "driver's licence number", *_REMOVE_NUMBER),
    spans.KR_BRN: KindText("사업자등록번호", "business registration number", *_MASKED),
    spans.KR_CORP_NO: KindText("법인등록번호", "corporate registration number", *_MASKED),
    spans.CREDIT_CARD: KindText("카드번호", "card number", *_REMOVE_NUMBER),
    spans.KR_BANK_ACCOUNT: KindText("계좌번호", "bank account number", *_MASKED),
    spans.KR_ADDRESS: KindText("주소", "postal address", *_MASKED),
    spans.KR_VEHICLE: KindText("자동차 등록번호", "vehicle registration number", *_MASKED),
    spans.KR_HEALTH_INSURANCE: KindText("건강보험증 번호", "health insurance number", *_MASKED),
    spans.KR_CUSTOMS_CODE: KindText("개인통관고유부호", "personal customs code", *_MASKED),
    spans.DATE_OF_BIRTH: KindText("생년월일", "date of birth", *_MASKED),
    spans.IP_ADDRESS: KindText("IP 주소", "IP address", *_MASKED),
    spans.SECRET: KindText(
        "비밀정보(비밀번호·인증키)",
        "secret (password or key)",
        "비밀번호·인증키를 지우고 다시 보내세요. 실제로 쓰는 값이면 담당 부서에 알리고 바꾸세요.",
        "Delete the password or key, then send again; if it is in use, report and change it.",
    ),
    spans.SECURITY_MARKING: KindText(
        "보안 표시",
        "security marking",
        "대외비·비밀 문서는 생성형 AI에 넣을 수 없습니다. 비공개·내부검토용 문서는 내부 모델을 고르세요.",
        "Classified documents may not be used; for internal ones choose an in-house model.",
    ),
    spans.US_SSN: KindText("미국 사회보장번호", "US social security number", *_REMOVE_NUMBER),
    spans.IBAN_CODE: KindText("국제 은행계좌번호(IBAN)", "IBAN", *_MASKED),
    spans.UK_NINO: KindText("영국 국민보험번호", "UK national insurance number", *_REMOVE_NUMBER),
}

DENSE: Final = KindText(
    "여러 사람의 개인정보 목록",
    "a list of people's personal data",
    "명단이 들어 있습니다. 내부 모델을 고르거나 꼭 필요한 사람만 남기세요.",
    "This is a list of people: choose an in-house model or keep only those who are needed.",
)


def kind_text(type_: str) -> KindText:
    """The words for a type; one that an institution added is called by its own name."""
    return KINDS.get(type_) or KindText(type_, type_, *_REMOVE_NUMBER)


def korean_name(type_: str) -> str:
    return kind_text(type_).ko
