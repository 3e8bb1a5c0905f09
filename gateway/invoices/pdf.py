"""An invoice as PDF/A, for 결재: typeset by typst, the same bytes whenever it is rendered again.

The date in the file is the day of issue, not of rendering. Its font comes with us (Noto Sans KR, from the
package pylopdf-fonts-ko), so that no machine lacks Korean letters and each makes the same bytes.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson
import pylopdf_fonts_ko
import typst

from billing.money import NANO, whole_won
from billing.periods import KST, from_us, month_bounds
from gateway.invoices.words import amount_in_letters, class_word, kind_word, per_word, word

if TYPE_CHECKING:
    from billing.statements import Invoice, InvoiceLine
    from gateway.invoices.words import Language

TEMPLATE: Final = Path(__file__).with_name("invoice.typ")
STANDARD: Final = "a-2b"
MOST_ADJUSTMENTS: Final = 30
"""Named on paper; the workbook and the JSON name more."""


def pdf_of(invoice: Invoice, language: Language) -> bytes:
    """Return the bytes of a PDF/A-2b."""
    issued = datetime.fromisoformat(invoice.issued_on).replace(tzinfo=KST)
    content = _compiler().compile(
        format="pdf",
        sys_inputs={"data": orjson.dumps(_page(invoice, language)).decode()},
        pdf_standards=STANDARD,
        timestamp=int(issued.timestamp()),
    )
    assert isinstance(content, bytes)
    return content


def _page(invoice: Invoice, language: Language) -> dict[str, Any]:
    def say(name: str) -> str:
        return word(name, language)

    issued = datetime.fromisoformat(invoice.issued_on)
    korean = language == "ko"
    return {
        "language": language,
        "words": {name: say(name) for name in ("page", "approval", "total", "sum", "demand")},
        "title": say("title" if invoice.kind == "department" else "summary_title"),
        "draft": "" if invoice.final else say("draft"),
        "number": invoice.number,
        "issued": {"year": issued.year, "month": issued.month, "day": issued.day},
        "approvers": [say(f"approver_{n}") for n in (1, 2, 3)],
        "facts": _facts(invoice, language),
        "letters": amount_in_letters(invoice.total_krw) if korean else "",
        "total": _won(invoice.total_krw, language),
        "sum": f"{_signed(invoice.total_krw)}",
        "lines": _lines(invoice, language) if invoice.kind == "department" else _children(invoice, language),
        "parts": [*_budgets(invoice, language), *_seats(invoice, language), *_adjustments(invoice, language)],
        "notes": _notes(invoice, language),
        "date": f"{issued.year}년 {issued.month}월 {issued.day}일" if korean else invoice.issued_on,
        "issuer": f"{invoice.institution_name} {invoice.issuer_name}".strip(),
    }


def _facts(invoice: Invoice, language: Language) -> list[tuple[str, str]]:
    def say(name: str) -> str:
        return word(name, language)

    start, end = (at.astimezone(KST) for at in month_bounds(invoice.month))
    last = end - timedelta(days=1)
    return [
        (say("number"), invoice.number),
        (say("issued_on"), invoice.issued_on),
        (say("unit"), f"{invoice.unit.name} ({invoice.unit.id})"),
        (say("period"), f"{start:%Y-%m-%d} ~ {last:%Y-%m-%d}"),
        (say("path"), " ".join(unit.name for unit in invoice.path)),
        (
            f"{say('people')} · {say('requests')}",
            f"{invoice.people:,}{say('people_unit')} · {invoice.requests:,}{say('requests_unit')}",
        ),
    ]


def _lines(invoice: Invoice, language: Language) -> dict[str, Any]:
    names = (
        *("no", "kind", "model", "token_class", "quantity", "unit_price"),
        *("fx_rate", "exact_krw", "amount_krw"),
    )
    return {
        "title": word("lines", language),
        "head": [word(name, language) for name in names],
        "widths": ["auto", "auto", "1fr", *["auto"] * 6],
        "right": [0, 4, 5, 6, 7, 8],
        "rows": [_line(line, invoice.month, language) for line in invoice.lines],
    }


def _line(line: InvoiceLine, month: str, language: Language) -> list[str]:
    kind = kind_word(line, language)
    if line.original_month and line.original_month != month:
        kind = f"{kind} {line.original_month}"
    metered = bool(line.model)
    return [
        str(line.no),
        kind,
        line.model,
        class_word(line.token_class, language),
        _signed(line.quantity) if metered else "",
        f"{Decimal(line.unit_price):,f} {line.currency}/{per_word(line, language)}" if metered else "",
        line.fx_rate,
        _exact(line.nano_krw),
        _signed(line.amount_krw),
    ]


def _children(invoice: Invoice, language: Language) -> dict[str, Any]:
    names = ("no", "number", "unit_name", "unit_id", "amount_krw")
    return {
        "title": word("children", language),
        "head": [word(name, language) for name in names],
        "widths": ["auto", "auto", "1fr", "auto", "auto"],
        "right": [0, 4],
        "rows": [
            [str(n), child.number, child.unit.name, child.unit.id, _signed(child.total_krw)]
            for n, child in enumerate(invoice.children, start=1)
        ],
    }


def _budgets(invoice: Invoice, language: Language) -> list[dict[str, Any]]:
    if not invoice.budgets:
        return []
    names = ("budget_period", "budget_krw", "spent_krw", "left_krw", "rate_percent")
    rows = [
        [
            f"{word('every_' + line.every, language)} {line.period}".strip(),
            _signed(whole_won(line.budget_nano_krw)),
            _signed(whole_won(line.spent_nano_krw)),
            _signed(whole_won(line.budget_nano_krw) - whole_won(line.spent_nano_krw)),
            "–" if line.rate_percent is None else f"{line.rate_percent} %",
        ]
        for line in invoice.budgets
    ]
    return [_part("budget", names, rows, [1, 2, 3, 4], language)]


def _seats(invoice: Invoice, language: Language) -> list[dict[str, Any]]:
    seats = invoice.seats
    if not seats.people:
        return []
    metered = whole_won(seats.metered_nano_krw)
    saved = _signed(seats.seats_krw - metered)
    if seats.saved_percent is not None:
        saved += f" ({seats.saved_percent} %)"
    row = [
        f"{seats.people:,}{word('people_unit', language)} × {seats.seat_krw:,}",
        _signed(seats.seats_krw),
        _signed(metered),
        saved,
    ]
    return [_part("seats", ("people", "seats_krw", "metered_krw", "saved_krw"), [row], [1, 2, 3], language)]


def _adjustments(invoice: Invoice, language: Language) -> list[dict[str, Any]]:
    if not invoice.adjustments:
        return []
    shown = invoice.adjustments[:MOST_ADJUSTMENTS]
    rows = [
        [
            one.charge_id,
            one.corrects or "–",
            f"{from_us(one.started_at_us).astimezone(KST):%Y-%m-%d %H:%M}",
            _exact(one.nano_krw),
        ]
        for one in shown
    ]
    part = _part("adjustments", ("charge_id", "corrects", "used_at", "exact_krw"), rows, [3], language)
    left = len(invoice.adjustments) - len(shown) + invoice.adjustments_left_out
    if left:
        part["note"] = f"{word('more', language)} {left:,}{word('requests_unit', language)}"
    return [part]


def _part(
    title: str, names: tuple[str, ...], rows: list[list[str]], right: list[int], language: Language
) -> dict[str, Any]:
    return {
        "title": word(title, language),
        "head": [word(name, language) for name in names],
        "widths": ["1fr"] * len(names),
        "right": right,
        "rows": rows,
        "unit": "" if title == "adjustments" else word("unit_note", language),
        "note": "",
    }


def _notes(invoice: Invoice, language: Language) -> list[str]:
    notes = []
    for rate in invoice.fx_sources:
        told = ", ".join(part for part in (rate.date, rate.source) if part)
        notes.append(f"{word('fx', language)}: 1 {rate.base} = {rate.rate} KRW ({told})")
    if invoice.ledger.root:
        root = invoice.ledger
        notes.append(
            f"{word('ledger', language)}: {word('root', language)} {root.root} · {word('seal', language)}"
            f" {root.seal} · {word('rows', language)} {root.rows:,}"
        )
    return notes


def _won(amount: int, language: Language) -> str:
    return f"{_signed(amount)}원" if language == "ko" else f"KRW {_signed(amount)}"


def _signed(amount: int) -> str:
    """Return `△1,234` for what is taken back, as Korean public accounts write it."""
    return f"{'△' if amount < 0 else ''}{abs(amount):,}"


def _exact(nano_krw: int) -> str:
    """Return won with four decimals, cut: what is exact stands in the other files."""
    whole, rest = divmod(abs(nano_krw), NANO)
    return f"{'△' if nano_krw < 0 else ''}{whole:,}.{rest // 10**5:04d}"


@cache
def _compiler() -> Any:  # noqa: ANN401 - typst.Compiler
    ours = pylopdf_fonts_ko.sans_path().parent
    fonts = typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[ours])
    return typst.Compiler(str(TEMPLATE), font_paths=fonts)
