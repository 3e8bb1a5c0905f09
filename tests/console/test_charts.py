from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.console import charts
from gateway.console.charts import Series

HOSTILE = '<script>alert(1)</script>&"한글'
BOTH = [Series("gpt", (1, 5, 0, 7)), Series(HOSTILE, (2, None, 3, 4))]
DAYS = ("11-01", "11-02", "11-03", "11-04")


def pictures(markup: str) -> list[ET.Element]:
    return list(ET.fromstring(f"<div>{markup}</div>"))


@pytest.mark.parametrize("draw", [charts.bars, charts.lines])
def test_a_chart_holds_nothing_that_the_content_policy_forbids(draw):
    for picture in pictures(draw("비용", DAYS, BOTH, str)):
        for element in picture.iter():
            assert element.tag.split("}")[1] in {"svg", "g", "rect", "path", "text", "title"}
            assert not {"style", "id", "href"} & set(element.attrib)
            assert not [name for name in element.attrib if name.startswith("on")]


def test_a_chart_has_an_accessible_name_and_is_drawn_for_wide_and_narrow_screens():
    wide, narrow = pictures(charts.bars(HOSTILE, DAYS, BOTH, str))
    assert wide.get("aria-label") == narrow.get("aria-label") == HOSTILE
    assert (wide.get("class"), narrow.get("class")) == ("chart wide", "chart narrow")
    assert wide.get("role") == "img"


def test_resting_on_a_column_names_its_day_series_and_value():
    titles = re.findall("<title>(.*?)</title>", charts.bars("비용", DAYS, BOTH, lambda n: f"{n}원"))
    assert "11-02 · gpt: 5원" in titles
    assert '11-04 · &lt;script&gt;alert(1)&lt;/script&gt;&amp;"한글: 4원' in titles


def test_without_data_there_is_no_picture():
    assert charts.bars("비용", DAYS, [], str) == ""
    assert charts.lines("비용", [], [], str) == ""


def test_amounts_beyond_64_bits_are_drawn():
    big = [Series("a", (10**24, 3 * 10**24))]
    assert "3000000000000000000000000" in charts.bars("비용", ("a", "b"), big, str)


@given(st.integers(0, 10**27), st.sampled_from([1, 10**9]))
def test_marks_are_few_round_and_reach_the_highest_value(most, unit):
    marks = charts.ticks(most, unit)
    assert 2 <= len(marks) <= 7
    assert marks[0] == 0
    assert marks[-1] >= most
    assert all(mark % unit == 0 for mark in marks)
