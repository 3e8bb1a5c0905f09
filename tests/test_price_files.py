"""Prices and rates from files, as people save them."""

from __future__ import annotations

from datetime import date

import pytest

from gateway.imports import ImportFailed
from gateway.price_files import MOST_BYTES, read

PRICES = """\
단가키,적용일,통화,입력,출력,입력 토큰 초과,서비스 등급,배수,크기,품질,그림
openai/gpt,2026.12.1,usd,"1,250.5",12,,,,,,
openai/gpt,2026.12.1,usd,3,24,272000,,,,,
openai/gpt,2026.12.1,,,,,flex,0.5,,,
openai/img,20261201,KRW,,,,,,,,50
openai/img,20261201,KRW,,,,,,1024x1024,high,250
"""
GPT = {
    "key": "openai/gpt",
    "from": "2026-12-01",
    "currency": "USD",
    "input": "1250.5",
    "output": "12",
    "tiers": [{"above_input_tokens": 272_000, "input": "3", "output": "24"}],
    "service_tiers": {"flex": "0.5"},
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949"])
def test_a_spreadsheet_of_prices_reads_in_every_encoding_with_tiers_sizes_and_factors(encoding: str) -> None:
    draft = read(PRICES.encode(encoding), "단가.csv").draft("단가.csv")
    gpt, picture = draft.prices
    assert gpt == GPT
    assert picture["variants"] == [{"size": "1024x1024", "quality": "high", "images": "250"}]


def test_a_file_of_the_configuration_is_one_too_and_days_stand_in_where_none_is_said() -> None:
    toml = '[[prices]]\nkey = "m"\ncurrency = "KRW"\ninput = "1"\n[[fx]]\nbase = "USD"\ndate = 2026-11-20\nrate = "1400"\n'
    sheet = read(toml.encode(), "prices.TOML")
    draft = sheet.draft("prices.toml", date(2026, 12, 1))
    assert [one["from"] for one in draft.prices] == ["2026-12-01"]
    assert [one["date"] for one in draft.fx] == ["2026-11-20"]


def test_a_spreadsheet_of_rates_reads_too() -> None:
    text = '기준통화,고시일,매매기준율,출처,구분\nusd,2026.11.20,"1,391.20",하나은행,daily\n'
    (rate,) = read(text.encode("cp949"), "환율.csv").draft("환율.csv").fx
    assert (rate["base"], rate["date"], rate["rate"]) == ("USD", "2026-11-20", "1391.20")


@pytest.mark.parametrize(
    ("data", "line", "word"),
    [
        (b"key,currency,input\nm,KRW,1\n", 2, "from"),
        (b"key,from,currency,input\nm,2026-12-01,KRW,1\nm,2026-12-01,KRW,2\n", 3, "overlaps"),
        (b"key,from,currency,input\nm,2026-12-01,KRW,-1\n", 2, "negative"),
        (b"key,from,currency,input\nm,2026-12-01,ABC,1\n", 2, "unknown currency"),
        (b"key,from,currency,input\nm,2026-13-01,KRW,1\n", 2, "needs a date"),
        (b"key,from,currency,price\nm,2026-12-01,KRW,1\n", 1, "unknown column: price"),
        (b"key,from,currency,input,above_input_tokens\nm,2026-12-01,KRW,1,9\n", 2, "below the line"),
        (
            b"key,from,currency,input,above_input_tokens\nm,2026-12-01,KRW,1,\nm,2026-12-01,KRW,1,x\n",
            3,
            "number",
        ),
        (b"model,price\nm,1\n", 1, "names the columns"),
        (b"", 1, "names the columns"),
        (b"base,date,rate\nUSD,2026-11-20,0\n", 2, "cannot be 0"),
        (b"base,date,rate\nKRW,2026-11-20,1\n", 2, "needs no rate"),
        (b"\xff\xfe\x00k\x00e\x00y", 1, "Neither UTF-8 nor CP949"),
        (b'key,from,currency,input\n"m', 0, "Not CSV"),
        (b"x" * (MOST_BYTES + 1), 0, "5 MB"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(data: bytes, line: int, word: str) -> None:
    with pytest.raises(ImportFailed) as failed:
        read(data, "prices.csv").draft("prices.csv")
    assert (line, True) in {(one.line, word in one.english) for one in failed.value.mistakes}


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("[[prices]]\nkey = \n", 2, "Not TOML"),
        ('prices = "all"\n', 0, "array of tables"),
        (
            '[[prices]]\nkey = "m"\nfrom = 2026-12-01\ncurrency = "KRW"\ninput = 1.5\n',
            1,
            "write amounts as text",
        ),
        ('title = "nothing"\n', 0, "no price"),
    ],
)
def test_a_toml_file_that_is_wrong_is_told_so(text: str, line: int, word: str) -> None:
    with pytest.raises(ImportFailed) as failed:
        read(text.encode(), "prices.toml").draft("prices.toml")
    assert (line, True) in {(one.line, word in one.english) for one in failed.value.mistakes}
