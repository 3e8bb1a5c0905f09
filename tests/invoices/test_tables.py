from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.statements import Terms
from gateway.invoices.tables import Template, TemplateError, csv_of
from gateway.invoices.words import amount_in_letters, exact_krw
from tests.invoices.conftest import line_sum, made

if TYPE_CHECKING:
    from billing.statements import Invoice

UPLOAD = """
rows = "invoice"
encoding = "cp949"
[[columns]]
header = "회계연도"
value = "{year}"
[[columns]]
header = "적요"
value = "{month_number}월 생성형 AI 사용료({unit_name})"
[[columns]]
header = "금액"
value = "{total_krw}"
""".encode()


def test_a_name_that_would_run_as_a_formula_is_text(invoice: Invoice) -> None:
    rows = list(csv.reader(io.StringIO("".join(csv_of([invoice], "ko")))))
    assert any(row[6].startswith("'=HYPERLINK") for row in rows)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), min_size=1, max_size=20))
def test_no_model_or_unit_name_begins_a_formula(name: str) -> None:
    one = made(Terms(), line_sum(name, "input", 1_000_000, "1"))
    text = "".join(csv_of([one], "en")).removeprefix("\ufeff")
    for row in csv.reader(io.StringIO(text)):
        assert not row[6].lstrip().startswith(("=", "+", "-", "@"))


def test_a_template_makes_the_file_that_an_accounting_system_takes(invoice: Invoice) -> None:
    data = Template.read(UPLOAD).render([invoice], "ko")
    rows = list(csv.reader(io.StringIO(data.decode("cp949"))))
    assert rows == [
        ["회계연도", "적요", "금액"],
        ["2026", "11월 생성형 AI 사용료(총무과)", str(invoice.total_krw)],
    ]


def test_a_template_by_line_adds_up(invoice: Invoice) -> None:
    template = Template((("금액", "{amount_krw}"),), rows="line")
    rows = template.render([invoice], "ko").decode("utf-8-sig").split()
    assert sum(map(int, rows[1:])) == invoice.total_krw


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        (b"", "cannot be read"),
        (b"\xff\xfe", "cannot be read"),
        (b'[[columns]]\nheader="a"\nvalue="{prompt}"', "unknown fields: prompt"),
        (b'rows="page"\n[[columns]]\nheader="a"\nvalue="b"', "rows is invoice or line"),
        (b'encoding="ebcdic"\n[[columns]]\nheader="a"\nvalue="b"', "encoding one of"),
    ],
)
def test_a_template_that_cannot_be_used_says_why(toml: bytes, said: str) -> None:
    with pytest.raises(TemplateError, match=said):
        Template.read(toml)


def test_a_letter_that_cp949_has_not_is_named(invoice: Invoice) -> None:
    template = Template((("이름", "🙂 {unit_name}"),), encoding="cp949")
    with pytest.raises(TemplateError, match="utf-8-sig"):
        template.render([invoice], "ko")


@given(st.integers(-(10**18), 10**18))
def test_exact_won_read_back_as_they_are(nano: int) -> None:
    from decimal import Decimal

    assert int(Decimal(exact_krw(nano)).scaleb(9)) == nano


@pytest.mark.parametrize(
    ("won", "letters"),
    [
        (0, "금 영원정"),
        (10, "금 일십원정"),
        (12_340, "금 일만이천삼백사십원정"),
        (100_000_000, "금 일억원정"),
        (-7_000_010, "감 금 칠백만일십원정"),
    ],
)
def test_an_amount_is_written_in_letters(won: int, letters: str) -> None:
    assert amount_in_letters(won) == letters
