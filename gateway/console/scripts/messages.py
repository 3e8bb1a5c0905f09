"""`python -m gateway.console.scripts.messages`: every Korean text of the console that has no English yet.

Prints them as catalogue entries: write the English under each, and put it into the `.po` of its area.
`--unused` prints instead what the catalogues hold and nothing says any more.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import write_po

from gateway.console.i18n import english

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CONSOLE: Final = Path(__file__).parent.parent
METHODS: Final = [("**.py", "python"), ("templates/**.html", "jinja2.ext:babel_extract")]
KEYWORDS: Final = {"_": None, "gettext": None, "ngettext": (1, 2), "N_": None}


def said() -> Catalog:
    """Return every text that the console's Python and templates mark, with where each stands."""
    catalogue = Catalog(locale="en")
    options = {"templates/**.html": {"extensions": "jinja2.ext.do", "silent": "false"}}
    found = extract_from_dir(CONSOLE, METHODS, options, KEYWORDS)
    for file, line, text, _comments, _context in found:
        if file != "i18n.py":
            catalogue.add(text, locations=[(file, line)])
    return catalogue


def untranslated() -> Catalog:
    """Return what is said and has no English."""
    known, missing = english(), Catalog(locale="en")
    for message in said():
        if message.id and not _complete(known, message.id):
            missing.add(message.id, locations=message.locations)
    return missing


def unused() -> Iterator[str]:
    """Yield texts of the catalogues that nothing says."""
    used = said()
    for message in english():
        if message.id and message.id not in used:
            yield message.id if isinstance(message.id, str) else message.id[0]


def _complete(known: Catalog, text: str | Sequence[str]) -> bool:
    message = known.get(text if isinstance(text, str) else text[0])
    if message is None or not message.string:
        return False
    return isinstance(message.string, str) or all(message.string)


def main() -> None:
    if "--unused" in sys.argv:
        print("\n".join(unused()))
        return
    write_po(sys.stdout.buffer, untranslated(), omit_header=True, width=0)


if __name__ == "__main__":
    main()
