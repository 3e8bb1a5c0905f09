"""Bills and usage exports as providers write them become rows by day, model, key and bucket."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.bill_formats import read_month_bill
from billing.bill_layouts import bucket_in
from billing.bill_mapping import ColumnMap
from billing.provider_bills import BillError

OPENAI_USAGE = {
    "object": "page",
    "has_more": False,
    "data": [
        {
            "object": "bucket",
            "start_time": 1793491200,
            "end_time": 1793577600,
            "results": [
                {
                    "object": "organization.usage.completions.result",
                    "input_tokens": 1000,
                    "output_tokens": 500,
                    "input_cached_tokens": 800,
                    "input_audio_tokens": 10,
                    "output_audio_tokens": 20,
                    "num_model_requests": 5,
                    "project_id": "proj_1",
                    "user_id": None,
                    "api_key_id": "key_abc",
                    "model": "gpt-4o-2024-08-06",
                    "batch": None,
                }
            ],
        },
        {"object": "bucket", "start_time": 1793577600, "end_time": 1793664000, "results": []},
    ],
}
OPENAI_COSTS = {
    "object": "page",
    "data": [
        {
            "object": "bucket",
            "start_time": 1793491200,
            "results": [
                {
                    "object": "organization.costs.result",
                    "amount": {"value": 0.06, "currency": "usd"},
                    "line_item": "gpt-4o-2024-08-06, cached input",
                    "project_id": None,
                }
            ],
        }
    ],
    "has_more": False,
}
OPENAI_CSV = (
    "start_time,end_time,start_time_iso,end_time_iso,project_id,num_model_requests,user_id,api_key_id,model,"
    "batch,input_tokens,output_tokens,input_cached_tokens,input_audio_tokens,output_audio_tokens\n"
    "1793491200,1793491260,2026-11-01T00:00:00+00:00,2026-11-01T00:01:00+00:00,proj_1,2,,key_abc,"
    "gpt-4o-mini-2024-07-18,False,300,70,100,0,0\n"
)
OPENAI_COSTS_CSV = (
    "start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,line_item,organization_id\n"
    '1793491200,1793577600,2026-11-01T00:00:00+00:00,2026-11-02T00:00:00+00:00,0.0825,usd,"o1, output",org-1\n'
)
ANTHROPIC_USAGE = {
    "data": [
        {
            "starting_at": "2026-11-01T00:00:00Z",
            "ending_at": "2026-11-02T00:00:00Z",
            "results": [
                {
                    "uncached_input_tokens": 1500,
                    "cache_creation": {
                        "ephemeral_1h_input_tokens": 1000,
                        "ephemeral_5m_input_tokens": 500,
                    },
                    "cache_read_input_tokens": 200,
                    "output_tokens": 500,
                    "server_tool_use": {"web_search_requests": 10},
                    "api_key_id": "apikey_01",
                    "workspace_id": None,
                    "model": "claude-opus-4-5-20251101",
                }
            ],
        }
    ],
    "has_more": False,
    "next_page": None,
}
ANTHROPIC_CSV = (
    "usage_date_utc,model_version,api_key,workspace,usage_type,context_window,usage_input_tokens_no_cache,"
    "usage_input_tokens_cache_write_5m,usage_input_tokens_cache_write_1h,usage_input_tokens_cache_read,"
    "usage_output_tokens,web_search_count,inference_geo,speed\n"
    "2026-11-22,claude-sonnet-4-20250514,haechi,Default,standard,≤ 200k,100000,0,0,0,50000,0,global,\n"
)
ANTHROPIC_COSTS_CSV = (
    "usage_date_utc,model,workspace,api_key,usage_type,context_window,token_type,cost_usd,list_price_usd,"
    "cost_type,inference_geo,speed\n"
    "2026-11-04,Claude Haiku 4.5,Default,haechi,message,≤ 200k,input_no_cache,0.05,0.05,token,global,\n"
    "2026-11-04,Claude Haiku 4.5,Default,haechi,message,≤ 200k,input_cache_read,18.71,18.71,token,global,\n"
)
GOOGLE_CSV = (
    "Invoice number,1234567890,\nInvoice date,2026-11-30,\nCurrency,USD,\n\n"
    "Billing account name,Billing account ID,Project name,Project ID,Project hierarchy,Service description,"
    "Service ID,SKU description,SKU ID,Consumption model description,Credit type,Cost type,Usage start date,"
    "Usage end date,Usage amount,Usage unit,Unrounded Cost ($),Cost ($)\n"
    "City,0A0A,haechi,haechi-prod,city,Gemini API,AEFD,Generate content output token count gemini 2.5 flash,"
    '2A8D,Default,,Usage,2026-11-15,2026-11-15,"260,580",count,0.65145,0.65\n'
    "City,0A0A,haechi,haechi-prod,city,Gemini API,AEFD,Generate content output token count gemini 2.5 flash,"
    '2A8D,Default,PROMOTION,Usage,2026-11-15,2026-11-15,"260,580",count,-0.1,-0.10\n'
    ",,,,,,,,,,,Rounding error,,,,,,0.00\n"
    ",,,,,,,,,,,Total,,,,,,0.55\n"
)
GOOGLE_BIGQUERY = json.dumps(
    {
        "service": {"description": "Vertex AI"},
        "sku": {"id": "X", "description": "Gemini 2.5 Pro Text Input - Predictions"},
        "usage_start_time": "2026-11-02 07:30:00 UTC",
        "project": {"id": "haechi-prod"},
        "cost": 1.25,
        "currency": "KRW",
        "currency_conversion_rate": 1391.2,
        "usage": {"amount": 1000000.0, "unit": "count"},
        "cost_type": "regular",
    }
)
AZURE_CSV = (
    "InvoiceSectionName,SubscriptionId,Date,MeterCategory,MeterSubCategory,MeterName,Quantity,UnitOfMeasure,"
    "CostInBillingCurrency,BillingCurrencyCode,ResourceId\n"
    "City,guid,11/01/2026,Foundry Models,Azure OpenAI,gpt 4o 1120 cached Inp glbl Tokens,12.5,1K,24.5,KRW,"
    "/subscriptions/guid/resourceGroups/rg/providers/Microsoft.CognitiveServices/accounts/haechi-aoai\n"
)
BEDROCK_CSV = (
    "bill_payer_account_id,line_item_usage_start_date,line_item_line_item_type,line_item_product_code,"
    "line_item_usage_type,line_item_usage_amount,pricing_unit,line_item_unblended_cost,"
    "line_item_currency_code,line_item_usage_account_id\n"
    "1,2026-11-01 00:00:00.000,Usage,AmazonBedrock,APN2-Claude4.5Sonnet-output-tokens,1.234,1K tokens,"
    "0.01851,USD,2\n"
    "1,2026-11-01 00:00:00.000,Usage,AmazonS3,Requests-Tier1,5,Requests,0.1,USD,2\n"
)
BEDROCK_OLD = (
    BEDROCK_CSV.replace("line_item_usage_type", "lineItem/UsageType")
    .replace("line_item_usage_start_date", "lineItem/UsageStartDate")
    .replace("line_item_unblended_cost", "lineItem/UnblendedCost")
)


def read(text, **options):
    data = text if isinstance(text, bytes) else text.encode()
    bill = read_month_bill(data, **options)
    rows = {(row.day.isoformat(), row.model, row.key, row.bucket): row for row in bill.rows}
    assert len(rows) <= len(bill.rows)
    return bill, rows


def test_openai_usage_takes_cached_and_audio_tokens_out_of_the_input():
    for text in (json.dumps(OPENAI_USAGE), json.dumps([OPENAI_USAGE])):
        bill, rows = read(text)
        assert (bill.layout, bill.timezone, bill.exact) == ("openai-usage", "UTC", True)
        where = ("2026-11-01", "gpt-4o-2024-08-06", "key_abc")
        assert {key[3]: row.quantity for key, row in rows.items() if key[:3] == where} == {
            "input": 190,
            "cache_read": 800,
            "audio_input": 10,
            "output": 480,
            "audio_output": 20,
        }
        assert not bill.states_costs


def test_openai_csv_is_read_like_its_api():
    _, rows = read(OPENAI_CSV)
    assert rows["2026-11-01", "gpt-4o-mini-2024-07-18", "key_abc", "input"].quantity == 200
    assert rows["2026-11-01", "gpt-4o-mini-2024-07-18", "key_abc", "output"].quantity == 70


def test_openai_costs_name_model_and_bucket_in_a_line_item():
    _, rows = read(json.dumps(OPENAI_COSTS))
    row = rows["2026-11-01", "gpt-4o-2024-08-06", "", "cache_read"]
    assert (row.cost, row.currency, row.quantity) == (Decimal("0.06"), "USD", None)
    _, rows = read(OPENAI_COSTS_CSV)
    assert rows["2026-11-01", "o1", "", "output"].cost == Decimal("0.0825")


def test_anthropic_usage_joins_both_kinds_of_cache_writes():
    bill, _ = read(json.dumps(ANTHROPIC_USAGE))
    written = sum(row.quantity for row in bill.rows if row.bucket == "cache_write")
    others = {row.bucket: row.quantity for row in bill.rows if row.bucket != "cache_write"}
    assert written == 1500
    assert others == {"input": 1500, "cache_read": 200, "output": 500, "searches": 10}
    _, rows = read(ANTHROPIC_CSV)
    assert rows["2026-11-22", "claude-sonnet-4-20250514", "haechi", "output"].quantity == 50_000


def test_anthropic_costs_are_dollars_in_the_csv_and_cents_in_the_api():
    _, rows = read(ANTHROPIC_COSTS_CSV)
    assert rows["2026-11-04", "Claude Haiku 4.5", "haechi", "input"].cost == Decimal("0.05")
    assert rows["2026-11-04", "Claude Haiku 4.5", "haechi", "cache_read"].cost == Decimal("18.71")
    page = {
        "data": [
            {
                "starting_at": "2026-11-01T00:00:00Z",
                "results": [
                    {
                        "currency": "USD",
                        "amount": "123.78912",
                        "cost_type": "tokens",
                        "model": "claude-opus-4-5-20251101",
                        "token_type": "uncached_input_tokens",
                        "description": "Claude Opus 4.5 Usage - Input Tokens",
                    }
                ],
            }
        ],
        "has_more": True,
    }
    bill, rows = read(json.dumps(page))
    assert rows["2026-11-01", "claude-opus-4-5-20251101", "", "input"].cost == Decimal("1.2378912")
    assert bill.more_pages


def test_google_skips_what_stands_above_and_below_its_table():
    bill, _ = read(GOOGLE_CSV)
    assert (bill.layout, bill.timezone, bill.exact) == ("google", "America/Los_Angeles", False)
    assert [(r.bucket, r.quantity, r.cost, r.key) for r in bill.rows] == [
        ("output", 260_580, Decimal("0.65145"), "haechi-prod"),
        ("output", None, Decimal("-0.1"), "haechi-prod"),
    ]


def test_an_instant_of_the_big_query_export_falls_on_its_day_in_california():
    _, rows = read(GOOGLE_BIGQUERY)
    row = rows["2026-11-01", "Gemini 2.5 Pro Text Input - Predictions", "haechi-prod", "input"]
    assert (row.quantity, row.currency, row.fx_rate) == (1_000_000, "KRW", Decimal("1391.2"))


def test_azure_counts_in_thousands_and_names_the_resource():
    _, rows = read(AZURE_CSV)
    row = rows["2026-11-01", "gpt 4o 1120 cached Inp glbl Tokens", "haechi-aoai", "cache_read"]
    assert (row.quantity, row.cost, row.currency) == (12_500, Decimal("24.5"), "KRW")


@pytest.mark.parametrize("text", [BEDROCK_CSV, BEDROCK_OLD])
def test_bedrock_is_taken_out_of_a_report_of_all_services(text):
    bill, _ = read(text)
    (row,) = bill.rows
    assert (row.model, row.bucket, row.quantity, row.cost) == (
        "APN2-Claude4.5Sonnet-output-tokens",
        "output",
        1234,
        Decimal("0.01851"),
    )


MAPPING = """
timezone = "Asia/Seoul"
currency = "KRW"
day = "사용일"
model = "모델"
cost = "금액(원)"
[quantities]
"입력 토큰" = "input"
"출력 토큰" = "output"
"""
KOREAN = '사용일,모델,입력 토큰,출력 토큰,금액(원)\n2026.11.3,solar-pro,"1,200",300,450\n'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949", "utf-16"])
def test_a_mapping_reads_any_other_bill_in_any_usual_encoding(encoding):
    bill, rows = read(KOREAN.encode(encoding), mapping=ColumnMap.read(MAPPING.encode()))
    assert bill.timezone == "Asia/Seoul"
    assert rows["2026-11-03", "solar-pro", "", "input"].quantity == 1200
    assert rows["2026-11-03", "solar-pro", "", ""].cost == 450


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[columns]\nday = 'd'\n", "unknown: columns; missing: timezone, day"),
        ("timezone = 'UTC'\nmodel_is = 'm'\ncost = 'c'\n", "missing: day"),
        ("timezone = ", "not TOML"),
        (
            "timezone = 'UTC'\nday = 'd'\nmodel_is = 'm'\nquantities = 'n'\n",
            "quantities and classes are tables",
        ),
        ("timezone = 'UTC'\nday = 'd'\nmodel_is = 'm'\ncost = 'c'\nper = 'many'\n", "per is a number"),
        ("timezone = 'UTC'\nday = 'd'\nclasses = 3\n", "quantities and classes are tables"),
    ],
)
def test_a_mapping_that_is_none_says_what_it_may_have(text, says):
    with pytest.raises(BillError) as refused:
        ColumnMap.read(text.encode())
    assert says in str(refused.value)
    assert "docs/billing.md" in str(refused.value)


def test_a_mapping_may_find_the_class_in_a_column():
    mapping = ColumnMap.read(
        b'timezone = "UTC"\nday = "d"\nmodel_is = "m"\n[classes]\ncolumn = "what"\nquantity = "n"\nper = 1000\n'
        b'names = { "in" = "input" }\n'
    )
    _, rows = read("d,what,n\n2026-11-03,in,1.5\n", mapping=mapping)
    assert rows["2026-11-03", "m", "", "input"].quantity == 1500
    with pytest.raises(BillError) as refused:
        read("d,what,n\n2026-11-03,other,1\n", mapping=mapping)
    assert "other" in refused.value.mistakes[0].korean


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "내용이 없습니다"),
        (b"a,b\n1,2\n", "모르는 양식"),
        (b"a,b\n\x81\x00\xff,1\n", "글자를 읽을 수 없습니다"),
        (b'{"data": [', "파일이 깨져 있습니다"),
        (OPENAI_CSV.replace("1793491200,1793491260", "yesterday,").encode(), "날짜를 알 수 없습니다"),
        (OPENAI_CSV.replace(",300,70,", ",3e99999,70,").encode(), "수가 아닙니다"),
        (OPENAI_COSTS_CSV.replace(",usd,", ",dollars,").encode(), "통화를 알 수 없습니다"),
        (OPENAI_COSTS_CSV.replace("0.0825", "0").encode(), "사용량도 금액도 없는"),
    ],
)
def test_what_is_no_bill_is_refused_whole_with_what_to_do(data, told):
    with pytest.raises(BillError) as refused:
        read_month_bill(data)
    assert told in refused.value.mistakes[0].korean
    assert refused.value.mistakes[0].english


def test_a_time_zone_that_does_not_exist_is_refused():
    with pytest.raises(BillError, match="time zone"):
        read_month_bill(OPENAI_CSV.encode(), timezone="Mars/Olympus")


@pytest.mark.parametrize(
    ("text", "bucket"),
    [
        ("gpt 4o 0806 Inp glbl Tokens", "input"),
        ("gpt 4o 0806 Outp glbl Tokens", "output"),
        ("5.4 opt Dz 1M Tokens", "output"),
        ("gpt 4.1 cchd Inp DZone Tokens", "cache_read"),
        ("USE1-Claude4.5Sonnet-cache-write-input-token-count", "cache_write"),
        ("USE1-Claude4.5Sonnet-cache-read-input-token-count", "cache_read"),
        ("Generate_content image output token count for Gemini 2.5 Flash Image", "image_output"),
        ("Gemini 2.5 Flash Grounding with Google Search", "searches"),
        ("web search", "searches"),
        ("Something else", ""),
    ],
)
def test_the_bucket_is_found_in_a_description(text, bucket):
    assert bucket_in(text) == bucket


CELLS = st.sampled_from(
    [
        "",
        "0",
        "1",
        "-3",
        "1e400",
        "NaN",
        "1793491200",
        "2026-11-01",
        "11/31/2026",
        "=1+1",
        "usd",
        "\0",
        "가",
        '"',
    ]
)
TABLES = st.lists(st.lists(CELLS, max_size=9), max_size=6)
HEADERS = st.sampled_from(
    [text.splitlines()[0] for text in (OPENAI_CSV, ANTHROPIC_CSV, AZURE_CSV, BEDROCK_CSV)]
)
TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | CELLS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["data", "results", "start_time", "amount", "value", "line_item", "model", "has_more"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_a_bill_or_are_refused(data):
    refused_or_read(data)


@given(HEADERS, TABLES)
def test_any_table_is_a_bill_or_is_refused(header, table):
    refused_or_read("\n".join([header, *(",".join(row) for row in table)]).encode())


@given(TREES)
def test_any_json_is_a_bill_or_is_refused(tree):
    refused_or_read(json.dumps(tree).encode())


def refused_or_read(data):
    mistakes, rows = [], ()
    try:
        rows = read_month_bill(data).rows
    except BillError as refused:
        mistakes = refused.mistakes
    assert rows or mistakes
    assert all(one.korean and one.english for one in mistakes)
