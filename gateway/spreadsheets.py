"""CSV that a spreadsheet opens as it is: BOM, CRLF, and no cell that runs as a formula. Pure.

The command line and the console write the same bytes. A text that a spreadsheet would run is led by an
apostrophe (OWASP, CSV injection); numbers stay numbers, and a negative amount is one.
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Final, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_RUNS: Final = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "|")
_CHUNK: Final = 64 * 1024
"""Characters gathered before they are handed on."""


def write_csv(stream: TextIO, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a whole table to a text stream."""
    stream.writelines(csv_chunks(header, rows))


def csv_chunks(header: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Yield a table piece by piece, as `rows` come."""
    gathered = io.StringIO()
    gathered.write("\ufeff")
    writer = csv.writer(gathered, lineterminator="\r\n")
    writer.writerow([inert(name) for name in header])
    for row in rows:
        writer.writerow([inert(value) for value in row])
        if gathered.tell() >= _CHUNK:
            yield gathered.getvalue()
            gathered.seek(0)
            gathered.truncate()
    yield gathered.getvalue()


def inert(value: object) -> object:
    """Return `value`, a text that a spreadsheet would run led by an apostrophe."""
    if not isinstance(value, str):
        return value
    value = value.replace("\t", " ").replace("\r", " ").replace("\0", "")
    return "'" + value if value.lstrip().startswith(_RUNS) else value
