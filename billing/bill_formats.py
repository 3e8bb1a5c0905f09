"""A provider's bill or usage export for a month, as it leaves a console or an API: bytes -> rows. Pure.

    openai-usage       GET /v1/organization/usage/completions, or the CSV of the usage page
    openai-costs       GET /v1/organization/costs, or its CSV
    anthropic-usage    GET /v1/organizations/usage_report/messages, or the CSV of the console
    anthropic-costs    GET /v1/organizations/cost_report, or the CSV of the console
    google             CSV of Cloud Billing (cost table, reports), or rows of its BigQuery export
    azure              cost and usage details (EA, MCA, pay as you go), CSV or JSON
    bedrock            AWS Cost and Usage Report (CUR 2.0 and before it), CSV
    a ColumnMap        anything else, column by column

JSON may be pages, an array or lines; what is nested is read as `usage.amount`. Names of columns are compared
without case, blanks and signs, because the same export spells them `lineItem/UsageType` and
`line_item_usage_type`. A file with a mistake is refused whole; the texts say what to do.
Bills attempt by attempt are billing.provider_bills.
"""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from billing.bill_layouts import LAYOUTS, first_of
from billing.bill_rows import MOST_COST, MOST_QUANTITY, Bill, BilledRow, Wrong, name_of, number_of, refusal
from billing.provider_bills import MOST_PROBLEMS, BillError, BillMistake

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from billing.bill_layouts import Cells, Layout
    from billing.bill_mapping import ColumnMap

MOST_BYTES: Final = 256 * 1024 * 1024
HEADER_WITHIN: Final = 40
"""Lines: Google writes the number of the invoice and other facts above the header."""


def read_month_bill(data: bytes, mapping: ColumnMap | None = None, timezone: str | None = None) -> Bill:
    """Read a file. `timezone` goes before the layout's own. Raises BillError with what to do about it."""
    if len(data) > MOST_BYTES:
        raise refusal("256 MiB를 넘습니다. 달별로 나누어 내려받으세요.", "it is larger than 256 MiB")
    text = decoded(data, mapping.encoding if mapping else None)
    found, more_pages, currency = _table(text)
    first = next(iter(found), None)
    if first is None:
        raise refusal("내용이 없습니다.", "it holds no rows")
    names = {name for row in found[:200] for name in row}
    layout = mapping.layout() if mapping else next((one for one in LAYOUTS if one.fits(names)), None)
    if layout is None or not layout.fits(names):
        raise _unknown(names, layout)
    zone = _zone(timezone or layout.timezone)
    rows: list[BilledRow] = []
    mistakes: list[BillMistake] = []
    for number, cells in enumerate(found, start=1):
        try:
            rows += _billed(number, cells, layout, zone, currency)
        except Wrong as wrong:
            mistakes.append(BillMistake(number, wrong.korean, wrong.english))
            if len(mistakes) == MOST_PROBLEMS:
                break
    if mistakes:
        raise BillError(mistakes)
    if not rows:
        raise refusal("사용량도 금액도 없는 파일입니다.", "it states neither usage nor cost")
    buckets = layout.states | {row.bucket for row in rows if row.bucket}
    return Bill(layout.name, zone.key, tuple(rows), layout.exact, buckets, more_pages)


def decoded(data: bytes, encoding: str | None = None) -> str:
    """Return text of UTF-8 (with or without BOM), UTF-16 with BOM, or CP949. Raises BillError."""
    offered = (encoding,) if encoding else ("utf-8-sig", "cp949")
    if data[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        offered = ("utf-16",)
    for one in offered:
        try:
            text = data.decode(one)
        except (UnicodeDecodeError, LookupError):
            continue
        if "\0" not in text:
            return text
    raise refusal(
        "글자를 읽을 수 없습니다. UTF-8이나 CP949(엑셀의 CSV)로 다시 저장하세요.",
        "its text cannot be read; save it as UTF-8 or CP949",
    )


def _billed(number: int, cells: Cells, layout: Layout, zone: ZoneInfo, currency: str) -> Iterator[BilledRow]:
    for part in layout.parts(cells, currency):
        quantity = None if part.quantity in {None, ""} else number_of(part.quantity, "수량", MOST_QUANTITY)
        cost = None if part.cost in {None, ""} else number_of(part.cost, "금액", MOST_COST)
        if not quantity and not cost:
            continue
        whole = None if quantity is None else _whole(quantity * part.per)
        fx_rate = number_of(part.fx_rate, "환율", MOST_COST) if part.fx_rate else None
        day = _day(first_of(cells, layout.days), layout, zone)
        money = (part.currency or currency or "USD").upper()
        if not re.fullmatch(r"[A-Z]{3}", money):
            raise Wrong(f"통화를 알 수 없습니다: {money[:20]}", f"no currency: {money[:20]}")
        yield BilledRow(number, day, part.model, part.key, part.bucket, whole, cost, money, fx_rate)


def _whole(quantity: Decimal) -> int:
    """Return a quantity in units; exports in thousands carry a binary fraction's dust."""
    return int(quantity.to_integral_value())


def _day(text: str, layout: Layout, zone: ZoneInfo) -> date:
    """Return the day in `zone`: of a date as it stands, of an instant as it falls there."""
    try:
        if layout.day_format:
            return datetime.strptime(text, layout.day_format).date()  # noqa: DTZ007 - a calendar day
        if re.fullmatch(r"\d{9,11}(\.\d+)?", text):
            return datetime.fromtimestamp(int(float(text)), UTC).astimezone(zone).date()
        if american := re.fullmatch(r"(\d{1,2})/(\d{1,2})/(\d{4})", text):
            return date(int(american[3]), int(american[1]), int(american[2]))
        if re.fullmatch(r"\d{8}", text) or re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            return date.fromisoformat(text)
        if re.fullmatch(r"\d{4}[./]\s?\d{1,2}[./]\s?\d{1,2}\.?", text):
            year, month, day = (int(part) for part in re.findall(r"\d+", text))
            return date(year, month, day)
        at = datetime.fromisoformat(text.removesuffix(" UTC"))
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(zone).date()
    except (ValueError, OverflowError, OSError):
        raise Wrong(f"날짜를 알 수 없습니다: {text[:30]}", f"not a day: {text[:30]}") from None


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise refusal(
            f"시간대 이름이 아닙니다: {name[:40]}. Asia/Seoul처럼 쓰세요.", f"no time zone: {name[:40]}"
        ) from None


def _unknown(names: set[str], layout: Layout | None) -> BillError:
    shown = ", ".join(sorted(names))[:160]
    if layout is not None:
        wanted = ", ".join("/".join(one) for one in (layout.days, *layout.needs))[:160]
        return refusal(
            f"양식이 말하는 열이 파일에 없습니다. 필요한 열: {wanted}. 파일의 열: {shown}",
            f"it lacks columns that the mapping names: {wanted}; it has {shown}",
        )
    known = ", ".join(one.name for one in LAYOUTS)
    return refusal(
        f"모르는 양식입니다(열: {shown}). 아는 양식: {known}. 다른 양식은 --mapping 파일로 열을 알려 주세요.",
        f"unknown layout with columns {shown}; known ones are {known}; describe others with --mapping",
    )


# --- rows of CSV and JSON ------------------------------------------------------------------------


def _table(text: str) -> tuple[list[dict[str, str]], bool, str]:
    """Return rows, whether more pages are said to follow, and the currency that stands above the header."""
    start = text.lstrip()[:1]
    try:
        if start in {"[", "{"}:
            rows, more_pages = _json_rows(text)
            return rows, more_pages, ""
        rows, currency = _csv_rows(text)
    except (ValueError, RecursionError, csv.Error) as error:
        raise refusal(
            f"파일이 깨져 있습니다({type(error).__name__}). 처음부터 다시 내려받으세요.",
            f"the file is broken ({type(error).__name__}); download it anew",
        ) from None
    return rows, False, currency


def _csv_rows(text: str) -> tuple[list[dict[str, str]], str]:
    try:
        dialect: Any = csv.Sniffer().sniff(text[:4096], delimiters=",;\t")
        delimiter = dialect.delimiter
    except csv.Error:
        delimiter = ","
    lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    lines = [line for line in lines if any(cell.strip() for cell in line)]
    header = next((n for n, line in enumerate(lines[:HEADER_WITHIN]) if _is_header(line)), 0)
    above = {line[0].strip().lower(): line[1].strip() for line in lines[:header] if len(line) > 1}
    titles = lines[header] if lines else []
    currency = above.get("currency", "") or _currency_of(titles)
    names = [name_of(title) for title in titles]
    rows = []
    for line in lines[header + 1 :]:
        if len(line) > len(names) and any(cell.strip() for cell in line[len(names) :]):
            raise ValueError("more cells than columns")
        rows.append({name: cell.strip() for name, cell in zip(names, line, strict=False) if cell.strip()})
    return rows, currency


def _is_header(line: list[str]) -> bool:
    names = [name_of(cell) for cell in line]
    return any(layout.fits(names) for layout in LAYOUTS)


def _currency_of(titles: Iterable[str]) -> str:
    """Return the currency of `Cost (₩)` or `Cost (USD)`: Google says it there."""
    for title in titles:
        if found := re.search(r"\(([^()]{1,3})\)\s*$", title):
            signs = {"$": "USD", "₩": "KRW", "€": "EUR", "£": "GBP", "¥": "JPY"}
            return signs.get(found[1], found[1].upper())
    return ""


def _json_rows(text: str) -> tuple[list[dict[str, str]], bool]:
    try:
        whole = json.loads(text, parse_float=Decimal)
    except json.JSONDecodeError:
        whole = [json.loads(line, parse_float=Decimal) for line in text.splitlines() if line.strip()]
    pages = whole if isinstance(whole, list) else [whole]
    rows: list[dict[str, str]] = []
    more_pages = False
    for page in pages:
        if not isinstance(page, dict):
            raise ValueError("not an object")  # noqa: TRY004 - a mistake of the file, not of the caller
        more_pages = bool(page.get("has_more") or page.get("nextLink"))
        inside = page.get("data", page.get("value"))
        for entry in inside if isinstance(inside, list) else [page]:
            rows += _of_bucket(entry)
    return rows, more_pages


def _of_bucket(entry: Any) -> Iterator[dict[str, str]]:  # noqa: ANN401 - straight from JSON
    """Yield the rows of a bucket of time, or the one row that the entry is."""
    if not isinstance(entry, dict):
        raise ValueError("not an object")  # noqa: TRY004 - a mistake of the file, not of the caller
    results = entry.get("results")
    if not isinstance(results, list):
        yield dict(_flat(entry.get("properties", entry)))
        return
    around = {name: value for name, value in entry.items() if name != "results"}
    for result in results:
        yield dict(_flat(around | (result if isinstance(result, dict) else {})))


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, str]]:  # noqa: ANN401 - straight from JSON
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _flat(inner, f"{path}.{name}")
    elif value is not None and not isinstance(value, list) and str(value).strip():
        yield name_of(path), str(value).strip()
