from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from gateway.invoices.bundle import zipped

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = st.text("abcdefgh-0123456789", min_size=1, max_size=20)


@given(st.dictionaries(NAMES, st.binary(max_size=2_000), max_size=6))
def test_what_was_put_in_comes_out_and_the_bytes_are_the_same_again(files: dict[str, bytes]) -> None:
    data = b"".join(zipped(files.items(), "2026-11"))
    assert data == b"".join(zipped(files.items(), "2026-11"))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == files


def test_each_file_is_made_only_when_the_one_before_has_left() -> None:
    made: list[int] = []

    def files() -> Iterator[tuple[str, bytes]]:
        for number in range(3):
            made.append(number)
            yield f"{number}.pdf", b"x" * 100

    archive = zipped(files(), "2026-11")
    assert next(archive).startswith(b"PK")
    assert made == [0]
