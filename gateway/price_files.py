"""Prices and exchange rates from files: TOML as in haechi.toml, or CSV as a spreadsheet saves it. Pure.

    prices.csv   key, from[, until], currency, input, output, cache_read, …, images, searches[, source]
    fx.csv       base, date, rate[, source][, kind]

A CSV line that also names `above_input_tokens`, `size` or `quality`, or `service_tier` and `factor`, belongs
to the line of its key and day above it: a context tier, a picture's price, a service tier. Korean columns are
understood; UTF-8 and CP949 are told apart. Every line at fault is named, and then nothing is read.
"""

from __future__ import annotations

import csv
import io
import re
import tomllib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from billing.price_tables import UNIT_CLASSES
from billing.pricebook import Draft, DraftError
from gateway.imports import ImportFailed, Mistake, decode
from gateway.toml_lines import key_lines, line_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import date

    from billing.price_tables import Problem

MOST_BYTES: Final = 5 * 1024**2

KOREAN: Final[Mapping[str, str]] = {
    "단가키": "key",
    "단가명": "key",
    "적용일": "from",
    "시작일": "from",
    "종료일": "until",
    "통화": "currency",
    "입력": "input",
    "출력": "output",
    "추론": "reasoning",
    "캐시읽기": "cache_read",
    "캐시쓰기5분": "cache_write_5m",
    "캐시쓰기1시간": "cache_write_1h",
    "소리입력": "audio_input",
    "소리출력": "audio_output",
    "그림입력": "image_input",
    "그림출력": "image_output",
    "글자": "characters",
    "요청": "requests",
    "검색": "searches",
    "그림": "images",
    "음성초": "audio_seconds",
    "영상초": "video_seconds",
    "입력토큰초과": "above_input_tokens",
    "크기": "size",
    "품질": "quality",
    "서비스등급": "service_tier",
    "배수": "factor",
    "출처": "source",
    "확인일": "checked",
    "기준통화": "base",
    "날짜": "date",
    "고시일": "date",
    "환율": "rate",
    "매매기준율": "rate",
    "구분": "kind",
}
_BELOW: Final = ("above_input_tokens", "size", "quality", "service_tier", "factor")
_PRICE_COLUMNS: Final = frozenset(
    {"key", "from", "until", "currency", "source", "checked", *UNIT_CLASSES, *_BELOW}
)
_FX_COLUMNS: Final = frozenset({"base", "date", "rate", "source", "kind"})
_DAY: Final = re.compile(r"(\d{4})[-./ ]{0,2}(\d{1,2})[-./ ]{0,2}(\d{1,2})\.?")


@dataclass
class Sheet:
    """What a file holds, before it is checked; `lines` maps `prices[3]` to where it stands."""

    prices: list[dict[str, Any]] = field(default_factory=list)
    fx: list[dict[str, Any]] = field(default_factory=list)
    lines: dict[str, int] = field(default_factory=dict)

    def draft(self, source: str, starts_on: date | None = None) -> Draft:
        """Check everything; `starts_on` stands in where a price says no day. Raises ImportFailed."""
        if starts_on is not None:
            for table in self.prices:
                table.setdefault("from", starts_on.isoformat())
        try:
            return Draft.of(self.prices, self.fx, source)
        except DraftError as error:
            raise ImportFailed(self.mistakes(error)) from None

    def mistakes(self, error: DraftError) -> list[Mistake]:
        """Return what is wrong with a draft, each with its line."""
        return [self._mistake(problem) for problem in error.problems]

    def _mistake(self, problem: Problem) -> Mistake:
        entry = ".".join(problem.entry.split(".")[:1])
        line = self.lines.get(problem.entry) or self.lines.get(entry, 0)
        where = problem.field if self.lines else f"{problem.entry}.{problem.field}"
        return Mistake(line, f"{where}: {problem.korean}", f"{where}: {problem.english}")


def read(data: bytes, name: str) -> Sheet:
    """Read a file by the ending of its name: `.toml`, else CSV. Raises ImportFailed."""
    if len(data) > MOST_BYTES:
        raise ImportFailed([Mistake(0, "파일이 5 MB보다 큽니다.", "The file is over 5 MB.")])
    text = decode(data)
    return _toml(text) if name.lower().endswith(".toml") else _csv(text)


def _toml(text: str) -> Sheet:
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"at line (\d+)", str(error))
        line = int(found.group(1)) if found else 0
        raise ImportFailed([Mistake(line, f"TOML 문법이 아닙니다: {error}", f"Not TOML: {error}")]) from None
    lines = key_lines(text)
    sheet = Sheet()
    for name, tables in (("prices", sheet.prices), ("fx", sheet.fx)):
        found_tables = content.get(name, [])
        if not isinstance(found_tables, list) or not all(isinstance(one, dict) for one in found_tables):
            raise ImportFailed(
                [Mistake(0, f"[[{name}]] 표가 아닙니다.", f"[[{name}]] is no array of tables.")]
            )
        tables.extend(found_tables)
        sheet.lines |= {f"{name}[{i}]": line_of(lines, (name, i)) for i in range(len(tables))}
    return sheet


# --- CSV -----------------------------------------------------------------------------------------


def _csv(text: str) -> Sheet:
    rows = list(_rows(text))
    columns = set(rows[0][1]) if rows else set()
    if {"key", "currency"} <= columns:
        return _price_rows(rows)
    if {"base", "date", "rate"} <= columns:
        return _fx_rows(rows)
    raise ImportFailed(
        [
            Mistake(
                1,
                "첫 줄에 열 이름이 있어야 합니다. 단가: key, from, currency, input, output, …"
                " 환율: base, date, rate",
                "The first line names the columns. Prices: key, from, currency, input, output, …"
                " Rates: base, date, rate",
            )
        ]
    )


def _rows(text: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line, cells by column) of every row that is not empty."""
    try:
        reader = csv.reader(io.StringIO(text), strict=True)
        header = [_column(name) for name in next(reader, [])]
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, dict(zip(header, (cell.strip() for cell in cells), strict=False))
    except csv.Error as error:
        raise ImportFailed([Mistake(0, f"CSV를 읽을 수 없습니다: {error}", f"Not CSV: {error}")]) from None


def _column(name: str) -> str:
    plain = re.sub(r"[\s()_·]", "", name)
    return KOREAN.get(plain, name.strip().lower())


def _price_rows(rows: Sequence[tuple[int, dict[str, str]]]) -> Sheet:
    sheet, mistakes = Sheet(), _unknown(rows, _PRICE_COLUMNS)
    places: dict[tuple[str, str], dict[str, Any]] = {}
    for line, cells in rows:
        row = {name: _cell(name, value) for name, value in cells.items() if value and name in _PRICE_COLUMNS}
        place = (row.get("key", ""), row.get("from", ""))
        if not any(name in row for name in _BELOW):
            places[place] = row
            sheet.lines[f"prices[{len(sheet.prices)}]"] = line
            sheet.prices.append(row)
        elif place not in places:
            mistakes.append(
                Mistake(
                    line,
                    "구간·크기·등급의 줄은 같은 단가(key, from)의 줄 아래에 있어야 합니다",
                    "a line of a tier, size or service tier stands below the line of its key and day",
                )
            )
        else:
            mistakes += _below(line, places[place], row)
    if mistakes:
        raise ImportFailed(mistakes)
    return sheet


def _below(line: int, table: dict[str, Any], row: Mapping[str, Any]) -> list[Mistake]:
    """Put a line of a tier, a variant or a factor into the table that it belongs to."""
    own = {name: value for name, value in row.items() if name in UNIT_CLASSES}
    if "service_tier" in row:
        table.setdefault("service_tiers", {})[row["service_tier"]] = row.get("factor", "")
    elif "above_input_tokens" in row:
        above = row["above_input_tokens"]
        if not above.isdigit():
            return [
                Mistake(line, f"토큰 수가 아닙니다: {above}", f"above_input_tokens is no number: {above}")
            ]
        table.setdefault("tiers", []).append({"above_input_tokens": int(above), **own})
    else:
        place = {name: row[name] for name in ("size", "quality") if name in row}
        table.setdefault("variants", []).append({**place, **own})
    return []


def _fx_rows(rows: Sequence[tuple[int, dict[str, str]]]) -> Sheet:
    sheet, mistakes = Sheet(), _unknown(rows, _FX_COLUMNS)
    if mistakes:
        raise ImportFailed(mistakes)
    for line, cells in rows:
        sheet.lines[f"fx[{len(sheet.fx)}]"] = line
        sheet.fx.append({name: _cell(name, value) for name, value in cells.items() if value})
    return sheet


def _unknown(rows: Sequence[tuple[int, dict[str, str]]], known: frozenset[str]) -> list[Mistake]:
    strange = sorted(set(rows[0][1]) - known - {""})
    return [Mistake(1, f"모르는 열입니다: {name}", f"unknown column: {name}") for name in strange]


def _cell(name: str, value: str) -> str:
    """Return a cell as a table has it: days as 2026-12-01, amounts without thousands' commas."""
    if name in {"from", "until", "date", "checked"}:
        match = _DAY.fullmatch(value)
        return "-".join(part.zfill(2) for part in match.groups()) if match else value
    if name in UNIT_CLASSES or name in {"rate", "factor", "above_input_tokens"}:
        return value.replace(",", "")
    return value.upper() if name in {"currency", "base"} else value
