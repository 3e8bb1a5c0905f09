"""Korean is written in the source; English comes from the catalogues in locale/en/LC_MESSAGES.

Templates call `_("…")` or `{% trans %}`; Python marks a text with `N_("…")`, and a template translates it.
Every `*.po` of the folder is read, so that each area keeps a file of its own; nothing is compiled beforehand.
Trap: the text of a call is a format string, so a per cent sign is written `%%`.
`python -m gateway.console.scripts.messages` prints what has no English yet.
"""

from __future__ import annotations

from functools import cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from gateway.languages import prefers_english

if TYPE_CHECKING:
    from collections.abc import Mapping

Language = Literal["ko", "en"]
LANGUAGES: Final[tuple[Language, ...]] = ("ko", "en")
COOKIE: Final = "haechi-language"
CATALOGUES: Final = Path(__file__).parent / "locale" / "en" / "LC_MESSAGES"


def N_(korean: str) -> str:  # noqa: N802 - the name that gettext's tools and readers know
    """Mark a text for the catalogue; it is translated where it is shown."""
    return korean


@cache
def english() -> Catalog:
    """Return all English catalogues as one. Raises ValueError where two of them disagree."""
    whole = Catalog(locale="en")
    for path in sorted(CATALOGUES.glob("*.po")):
        with path.open("rb") as source:
            for message in read_po(source, locale="en", abort_invalid=True):
                known = whole.get(message.id) if message.id else None
                if known is not None and known.string != message.string:
                    raise ValueError(f"{path.name}: two English texts for {message.id!r}")
                whole[message.id] = message
    return whole


@cache
def translations(language: Language) -> NullTranslations:
    """Return what turns a Korean text into `language`."""
    if language == "ko":
        return NullTranslations()
    compiled = BytesIO()
    write_mo(compiled, english())
    compiled.seek(0)
    return GNUTranslations(compiled)


def language_of(cookies: Mapping[str, str], setting: Language | None, accept_language: str) -> Language:
    """Return the language of a reader: chosen in this browser, else `setting`, else the browser's own."""
    chosen = cookies.get(COOKIE)
    if chosen in LANGUAGES:
        return chosen
    return setting or ("en" if prefers_english(accept_language) else "ko")
