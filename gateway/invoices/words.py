"""Words on invoices, Korean and English. Pure.

These stand apart from the console's catalogue: an invoice that was issued keeps its words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from billing.money import NANO
from billing.statements import LineKind
from billing.usage import TOKEN_CLASSES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from billing.statements import InvoiceLine

Language = Literal["ko", "en"]

_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "title": ("생성형 AI 사용료 청구서", "Statement of Generative AI Charges"),
    "summary_title": ("생성형 AI 사용료 총괄 청구서", "Summary of Generative AI Charges"),
    "draft": ("미확정", "DRAFT"),
    "number": ("청구번호", "Invoice no."),
    "issued_on": ("청구일", "Issued on"),
    "period": ("사용기간", "Period of use"),
    "unit": ("청구대상", "Billed to"),
    "path": ("소속", "Organisation"),
    "issuer": ("발행", "Issued by"),
    "total": ("청구금액", "Total"),
    "sum": ("합계", "Total"),
    "people": ("이용 인원", "People"),
    "requests": ("요청 건수", "Requests"),
    "lines": ("사용 내역", "Lines"),
    "children": ("부서별 청구", "Invoices below"),
    "no": ("번호", "No."),
    "kind": ("구분", "Kind"),
    "original_month": ("사용월", "Month of use"),
    "model": ("모델", "Model"),
    "provider": ("제공자", "Provider"),
    "token_class": ("항목", "Item"),
    "basis": ("적용 기준", "Basis"),
    "quantity": ("수량", "Quantity"),
    "per": ("단위", "Per"),
    "unit_price": ("단가", "Unit price"),
    "currency": ("통화", "Currency"),
    "price_version": ("단가 판", "Price version"),
    "fx_rate": ("환율", "FX rate"),
    "fx_date": ("환율 기준일", "FX date"),
    "fx_source": ("출처", "Source"),
    "fx": ("적용 환율", "FX rates"),
    "exact_krw": ("산출액(원)", "Exact (KRW)"),
    "amount_krw": ("금액(원)", "Amount (KRW)"),
    "unit_note": ("(단위: 원, %)", "(KRW, %)"),
    "budget": ("예산 집행 현황", "Budget"),
    "budget_period": ("예산 기간", "Period"),
    "budget_krw": ("예산현액", "Budget"),
    "spent_krw": ("집행액", "Spent"),
    "left_krw": ("잔액", "Left"),
    "rate_percent": ("집행률", "Rate"),
    "seats": ("구독 방식과의 비교", "Compared with subscriptions"),
    "seats_krw": ("구독했다면", "As subscriptions"),
    "metered_krw": ("쓴 만큼", "Metered"),
    "saved_krw": ("차액", "Difference"),
    "adjustments": ("지난달분 추가·정정 내역", "Late usage and corrections of earlier months"),
    "used_at": ("사용 시각", "Used at"),
    "charge_id": ("장부 행", "Ledger row"),
    "corrects": ("원래 행", "Original row"),
    "reason": ("사유", "Reason"),
    "more": ("외", "and more:"),
    "ledger": ("장부 확인", "Ledger"),
    "root": ("머클 루트", "Merkle root"),
    "seal": ("봉인", "Seal"),
    "rows": ("장부 행 수", "Ledger rows"),
    "demand": ("위와 같이 청구합니다.", "The amount above is charged."),
    "month": ("이번 달", "Month"),
    "every_month": ("월", "Month"),
    "every_quarter": ("분기", "Quarter"),
    "every_year": ("연간", "Year"),
    "every_once": ("소진 시까지", "Until used up"),
    "approval": ("결재", "Approval"),
    "approver_1": ("담당", "Officer"),
    "approver_2": ("팀장", "Team head"),
    "approver_3": ("과장", "Head"),
    "page": ("쪽", "page"),
    "unit_id": ("부서 코드", "Unit code"),
    "unit_name": ("부서", "Unit"),
    "people_unit": ("명", ""),
    "requests_unit": ("건", ""),
}
_KINDS: Final[Mapping[LineKind, tuple[str, str]]] = {
    LineKind.USAGE: ("사용", "Usage"),
    LineKind.LATE: ("지난달분 추가", "Late usage"),
    LineKind.CORRECTION: ("정정", "Correction"),
    LineKind.OVERHEAD_PERCENT: ("간접비", "Overhead"),
    LineKind.OVERHEAD_FIXED: ("정액 간접비", "Fixed overhead"),
    LineKind.VAT: ("부가가치세", "VAT"),
    LineKind.ROUNDING: ("끝수", "Rounding"),
}
_CLASSES: Final[Mapping[str, tuple[str, str]]] = {
    "input": ("입력 토큰", "Input tokens"),
    "cache_read": ("캐시 읽기 토큰", "Cache read tokens"),
    "cache_write_5m": ("캐시 쓰기 토큰(5분)", "Cache write tokens (5 min)"),
    "cache_write_1h": ("캐시 쓰기 토큰(1시간)", "Cache write tokens (1 h)"),
    "output": ("출력 토큰", "Output tokens"),
    "reasoning": ("추론 토큰", "Reasoning tokens"),
    "audio_input": ("음성 입력 토큰", "Audio input tokens"),
    "audio_output": ("음성 출력 토큰", "Audio output tokens"),
    "image_input": ("그림 입력 토큰", "Image input tokens"),
    "image_output": ("그림 출력 토큰", "Image output tokens"),
    "requests": ("요청", "Requests"),
    "searches": ("검색", "Searches"),
    "images": ("그림", "Images"),
    "characters": ("글자", "Characters"),
    "audio_ms": ("음성(밀리초)", "Audio (ms)"),
    "video_ms": ("영상(밀리초)", "Video (ms)"),
    "stated": ("제공자 고지 금액", "Cost stated by the provider"),
}


def word(name: str, language: Language) -> str:
    return _WORDS[name][language == "en"]


def kind_word(line: InvoiceLine, language: Language) -> str:
    """Return `정정(감액)`, `간접비 5.5 %`: what a line is, with the direction of a correction."""
    text = _KINDS[line.kind][language == "en"]
    if line.kind is LineKind.CORRECTION:
        side = ("증액", "debit") if line.nano_krw >= 0 else ("감액", "credit")
        return f"{text}({side[0]})" if language == "ko" else f"{text} ({side[1]})"
    if line.kind in {LineKind.OVERHEAD_PERCENT, LineKind.VAT}:
        return f"{text} {line.basis} %"
    return text


def class_word(token_class: str, language: Language) -> str:
    known = _CLASSES.get(token_class)
    return known[language == "en"] if known else token_class


def per_word(line: InvoiceLine, language: Language) -> str:
    """Return `100만 토큰`, `1건`: how much one unit price buys."""
    if line.token_class in TOKEN_CLASSES:
        return "100만" if language == "ko" else "1M"
    return f"{line.per:,}"


def exact_krw(nano_krw: int) -> str:
    """Return every stored digit as plain decimal text, `-1234.5`."""
    sign = "-" if nano_krw < 0 else ""
    whole, rest = divmod(abs(nano_krw), NANO)
    fraction = f"{rest:09d}".rstrip("0")
    return f"{sign}{whole}{'.' if fraction else ''}{fraction}"


_DIGITS: Final = "영일이삼사오육칠팔구"
_SMALL: Final = ("", "십", "백", "천")
_LARGE: Final = ("", "만", "억", "조", "경")


def amount_in_letters(won: int) -> str:
    """Return `금 일만이천삼백사십원정`, as Korean vouchers write an amount."""
    sign = "감 " if won < 0 else ""
    text = "".join(
        _group(group) + _LARGE[index]
        for index, group in reversed(list(enumerate(_groups(abs(won)))))
        if group
    )
    return f"{sign}금 {text or '영'}원정"


def _groups(won: int) -> list[int]:
    groups = []
    while won:
        won, group = divmod(won, 10_000)
        groups.append(group)
    return groups


def _group(group: int) -> str:
    digits = [int(digit) for digit in f"{group:04d}"]
    return "".join(_DIGITS[digit] + _SMALL[3 - place] for place, digit in enumerate(digits) if digit)
