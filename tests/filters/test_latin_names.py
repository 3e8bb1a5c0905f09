"""Names in Latin letters: found for a reason, not for a capital letter."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.detector import DetectorError
from filters.detectors import names


def found(text: str) -> list[str]:
    return [text[span.start : span.end] for span in names.find(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Please summarise the complaint filed by Sarah Johnson on March 3.", ["Sarah Johnson"]),
        ("Contact: Michael Chen, michael.chen@example.com", ["Michael Chen"]),
        ("Best regards,\nEmily Watson", ["Emily Watson"]),
        ("The applicant, Robert Miller, submitted form A-12.", ["Robert Miller"]),
        ("Hong Gildong lives in Eunpyeong-gu.", ["Hong Gildong"]),
        ("Passport holder: NGUYEN THI HUONG", ["NGUYEN THI HUONG"]),
        ("성명(영문): HONG GIL DONG", ["HONG GIL DONG"]),
        ("Gil-dong Hong, Director General", ["Gil-dong Hong"]),
        ("CC: Park Ji-hoon, Lee Soo-jin", ["Park Ji-hoon", "Lee Soo-jin"]),
        ("Mr. Kim and Ms. Lee will attend.", ["Kim", "Lee"]),
        ("From: James O'Brien <james@example.com>", ["James O'Brien"]),
        ("Kim Young-hee (37) was admitted.", ["Kim Young-hee"]),
        ("Grace Kim and Daniel A. Lee", ["Grace Kim", "Daniel A. Lee"]),
        ("Laura Schmidt 대표가 방문했다", ["Laura Schmidt"]),
        ("김민준(Kim Min-jun)의 여권", ["김민준", "Kim Min-jun"]),
    ],
)
def test_a_latin_name_is_found_with_its_exact_extent(text: str, expected: list[str]):
    assert found(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "The President of the United States visited Seoul.",
        "Seoul Metropolitan Government announced a New Deal plan.",
        "Dear Sir or Madam, I would like to apply for Social Security.",
        "Write a Python script using Visual Studio Code and Google Cloud.",
        "Machine Learning and Deep Learning are subfields of Artificial Intelligence.",
        "Han River Park opening hours",
        "Ministry of the Interior and Safety, Seoul",
        'Please translate "Happy New Year" into Korean',
        "To: Public Relations Team",
        "def main(args): return Path(args.file).read_text()",
    ],
)
def test_capital_letters_alone_are_no_name(text: str):
    assert found(text) == []


@given(
    st.lists(
        st.sampled_from(
            ["Mr. ", "James ", "Kim ", "Min-su", "Aa", ": ", "Name", "\n", "Dear ", ",", "é", "O'B", " "]
        )
    )
)
def test_any_latin_text_is_read_without_an_error(pieces: list[str]):
    text = "".join(pieces)
    assert all(0 <= span.start < span.end <= len(text) for span in names.find(text))


def test_rows_of_capitalised_words_without_end_are_refused():
    with pytest.raises(DetectorError, match="TooMany"):
        names.find("Aa Bb, " * 60_000)
