"""Korean is the source and English is complete: nothing on a page is left without its other language."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from jinja2 import Environment

import gateway.console
from gateway.console.i18n import LANGUAGES, english, language_of, translations
from gateway.console.pages import environment
from gateway.console.scripts.messages import said, untranslated, unused

CONSOLE = Path(gateway.console.__file__).parent
HANGUL = re.compile("[가-힣]")
PLACEHOLDER = re.compile(r"%\((\w+)\)[sd]|%%")
NAMES_OF_LANGUAGES = {"한국어"}
EXAMPLES = {"connect.py": "what a reader copies", "formats.py": "a unit in either language, chosen in place"}


def test_every_text_has_its_english():
    missing = sorted(str(message.id) for message in untranslated() if message.id)
    assert missing == [], "python -m gateway.console.scripts.messages prints them as catalogue entries"


def test_no_english_text_outlives_its_korean():
    assert sorted(unused()) == []


def test_english_texts_hold_the_same_placeholders_as_the_korean_ones():
    for message in english():
        if message.id:
            assert set(PLACEHOLDER.findall(message.string)) == set(PLACEHOLDER.findall(message.id)), (
                message.id
            )


def test_no_english_text_is_korean():
    assert [message.id for message in english() if message.id and HANGUL.search(message.string)] == []


def test_a_per_cent_sign_is_doubled_as_every_text_is_a_format_string():
    bad = [m.id for m in said() if m.id and "%" in re.sub(PLACEHOLDER, "", str(m.id))]
    assert bad == []


@pytest.mark.parametrize("path", sorted(CONSOLE.glob("templates/**/*.html")), ids=lambda path: path.name)
def test_a_template_says_nothing_in_korean_outside_a_translation(path):
    """Words between tags would stay Korean for everybody; strings of an expression stand in `_(…)`."""
    tokens = [
        token
        for token in Environment(extensions=["jinja2.ext.do"]).lex(path.read_text())
        if token[1] != "whitespace"
    ]
    for before, (line, kind, value) in zip([(0, "", ""), *tokens], tokens, strict=False):
        if kind == "data":
            assert not HANGUL.search(value), f"{path.name}:{line}"
        if kind == "string" and HANGUL.search(value) and value.strip("\"'") not in NAMES_OF_LANGUAGES:
            position = tokens.index((line, kind, value))
            called = [token[2] for token in tokens[max(position - 2, 0) : position]]
            assert called == ["_", "("], f"{path.name}:{line}: {value} after {before[2]}"


@pytest.mark.parametrize("path", sorted(CONSOLE.glob("**/*.py")), ids=lambda path: path.name)
def test_a_module_says_korean_only_where_its_english_is(path):
    """In `N_("…")` the catalogue has the English; elsewhere it stands right beside it, as in errors."""
    if path.name in EXAMPLES or path.name == "i18n.py":
        return
    tree = ast.parse(path.read_text())
    spoken = {id(node) for call in ast.walk(tree) for node in _covered(call)}
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and HANGUL.search(node.value):
            assert id(node) in spoken | docs, f"{path.name}:{node.lineno}: {node.value}"


def _covered(node: ast.AST) -> list[ast.AST]:
    """Strings below a call of N_, or below a call or tuple that has an English string too."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "N_":
        return list(ast.walk(node))
    parts = node.args if isinstance(node, ast.Call) else node.elts if isinstance(node, ast.Tuple) else []
    texts = [_text(part) for part in parts]
    if any(HANGUL.search(text) for text in texts) and any(text and not HANGUL.search(text) for text in texts):
        return [one for part in parts for one in ast.walk(part)]
    return []


def _text(node: ast.AST) -> str:
    return "".join(
        str(one.value)
        for one in ast.walk(node)
        if isinstance(one, ast.Constant) and isinstance(one.value, str)
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_template_compiles(language):
    made = environment(language)
    for name in made.list_templates():
        made.get_template(name)


def test_a_text_is_translated_with_what_it_holds():
    made = environment("en").from_string('{{ _("%(number)s건", number=number) }} {{ _("내 사용량") }}')
    assert made.render(number="<1>") == "&lt;1&gt;건 My use"
    assert environment("ko").from_string('{{ _("내 사용량") }}').render() == "내 사용량"
    assert translations("en").gettext("없는 글") == "없는 글"


@pytest.mark.parametrize(
    ("cookies", "setting", "accepted", "expected"),
    [
        ({}, None, "", "ko"),
        ({}, None, "en-US,en;q=0.9,ko;q=0.8", "en"),
        ({}, None, "ko-KR,ko;q=0.9,en;q=0.8", "ko"),
        ({}, "en", "ko", "en"),
        ({"haechi-language": "ko"}, "en", "en", "ko"),
        ({"haechi-language": "<script>"}, None, "fr;q=x", "ko"),
    ],
)
def test_the_readers_choice_wins_over_the_account_and_that_over_the_browser(
    cookies, setting, accepted, expected
):
    assert language_of(cookies, setting, accepted) == expected
