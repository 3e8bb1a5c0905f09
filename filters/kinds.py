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


UNREAD: Final = "unread"
"""Why a request is refused that was not read to its end; its parts have a type by their kind."""

_WRITE_OUT: Final = (
    "내용을 글로 옮겨 적거나 내부 모델을 고르세요.",
    "Write its content as text or choose an in-house model.",
)
_PUT_IN: Final = ("내용을 요청에 직접 넣으세요.", "Put its content into the request.")
_SMALLER: Final = ("나누거나 단순하게 바꾸어 다시 보내세요.", "Split or flatten it and send again.")

UNREAD_KINDS: Final[dict[str, KindText]] = {
    "UNREAD_IMAGE": KindText("읽을 수 없는 그림", "unreadable picture", *_WRITE_OUT),
    "UNREAD_AUDIO": KindText("읽을 수 없는 소리", "unreadable sound", *_WRITE_OUT),
    "UNREAD_VIDEO": KindText("읽을 수 없는 영상", "unreadable film", *_WRITE_OUT),
    "UNREAD_FILE": KindText("읽을 수 없는 파일", "unreadable file", *_WRITE_OUT),
    "UNREAD_TOKENS": KindText(
        "글이 아닌 토큰", "tokens instead of text", "글로 보내세요.", "Send the text itself."
    ),
    "UNREAD_REMOTE": KindText("주소로 가리킨 첨부", "attachment named by an address", *_PUT_IN),
    "UNREAD_STORED": KindText("제공자에 둔 첨부", "attachment kept at a provider", *_PUT_IN),
    "UNREAD_UNKNOWN": KindText(
        "알 수 없는 형식",
        "part of an unknown type",
        "지원하는 형식(text, image_url 등)으로 보내세요.",
        "Use a supported type (text, image_url, …).",
    ),
    "UNREAD_TOO_LARGE": KindText("너무 긴 글", "text too long to inspect", *_SMALLER),
    "UNREAD_TOO_DEEP": KindText("너무 깊은 중첩", "nesting too deep to inspect", *_SMALLER),
    "UNREAD_UNFINISHED": KindText(
        "끝나지 않은 검사",
        "inspection that did not finish",
        "다시 시도하고, 계속되면 관리자에게 알려 주세요.",
        "Try again; if it persists, tell the administrator.",
    ),
}
"""What could not be read: no type that a detector finds, so no policy rule and no exception names one."""


def unread_type(kind: str) -> str:
    """The type of what was not read, by the kind of a part or the reason that ended the walk."""
    return f"UNREAD_{kind.upper()}"


def kind_text(type_: str) -> KindText:
    """The words for a type; one that an institution added is called by its own name."""
    return KINDS.get(type_) or UNREAD_KINDS.get(type_) or KindText(type_, type_, *_REMOVE_NUMBER)


def korean_name(type_: str) -> str:
    return kind_text(type_).ko
