from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.provider_bills import BillError, read_bill
from billing.usage import Usage


def test_csv_json_and_json_lines_say_the_same() -> None:
    rows = [
        {"attempt_id": "a1", "input": 400, "output": 200},
        {"provider_request_id": "chatcmpl-1", "cost": "0.00021", "currency": "USD"},
    ]
    csv = b"attempt_id,provider_request_id,input,output,cost,currency\na1,,400,200,,\n,chatcmpl-1,,,0.00021,usd\n"
    read = read_bill(csv)
    assert read == read_bill(json.dumps(rows).encode())
    assert read == read_bill("\n".join(map(json.dumps, rows)).encode())
    assert (read[0].usage, read[0].cost, read[0].name) == (Usage(input=400, output=200), None, "a1")
    assert (read[1].usage, read[1].cost, read[1].currency) == (None, Decimal("0.00021"), "USD")


def test_a_spreadsheets_export_is_read() -> None:
    (line,) = read_bill('\ufeffattempt_id,cost\r\na1,"1,234.5"\r\n'.encode())
    assert (line.cost, line.currency) == (Decimal("1234.5"), "KRW")
    (line,) = read_bill('provider_request_id,input\n요청1,"1,000"\n'.encode("cp949"))
    assert (line.name, line.usage) == ("요청1", Usage(input=1000))


def test_a_number_of_json_keeps_its_digits() -> None:
    (line,) = read_bill(b'[{"attempt_id": "a", "cost": 0.1000000000000000055}]')
    assert line.cost == Decimal("0.1000000000000000055")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{",
        b"[1]",
        b"attempt_id,input\n,400\n",
        b"attempt_id,input\na,\n",
        b"attempt_id,input\na,-1\n",
        b"attempt_id,input\na,1.5\n",
        b"attempt_id,input\na,99999999999999999999\n",
        b"attempt_id,cost\na,NaN\n",
        b"attempt_id,cost\na,-1\n",
        b"attempt_id,cost\na,1e30\n",
        b"attempt_id,prompt_tokens\na,1\n",
        b"attempt_id,input\na,1,2\n",
        b'[{"attempt_id": "a", "input": true}]',
        b"\xff\xfe\x00",
    ],
)
def test_a_bill_with_a_mistake_is_refused_whole(data: bytes) -> None:
    with pytest.raises(BillError) as refused:
        read_bill(data)
    assert refused.value.mistakes[0].korean


def test_every_mistake_is_named_with_its_line() -> None:
    with pytest.raises(BillError) as refused:
        read_bill(b"attempt_id,input\na,1\nb,x\nc,\n")
    assert [mistake.number for mistake in refused.value.mistakes] == [2, 3]


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_anything_is_read_or_refused(data: bytes) -> None:
    try:
        lines = read_bill(data)
    except BillError:
        return
    assert all(line.usage is not None or line.cost is not None for line in lines)
