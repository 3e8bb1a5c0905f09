import tomllib

from hypothesis import given
from hypothesis import strategies as st

from gateway.toml_lines import key_lines, line_of

TEXT = '''\
title = "x" # a comment with = and [brackets]
"quoted.key".inner = { a = [1, { b = "}" },
], c = 2 }
[server]
note = """
[not.a.table] = 1
still text \\"""
"""
port = 8080
[[models]]
id = 'a'
  [[models.deployments]]
  price = "p"
  [[models.deployments]]
  price = "q"
  [models.deployments.timeouts]
  idle_s = 1.5
[[models]]
id = "b"
deployments = [ # inline
  { price = "r" },
  { price = "s" } ]
[a.'b c'."d\\u0041"]
when = 2026-11-22T07:32:00+09:00
'''


def walk(value, path=()):
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from walk(inner, (*path, key))


def test_each_key_is_found_on_its_own_line():
    lines = key_lines(TEXT)
    assert lines["title",] == 1
    assert lines["quoted.key", "inner", "a", 1, "b"] == 2
    assert lines["quoted.key", "inner", "c"] == 3
    assert lines["server", "port"] == 9
    assert lines["models", 0, "deployments", 0, "price"] == 13
    assert lines["models", 0, "deployments", 1, "price"] == 15
    assert lines["models", 0, "deployments", 1, "timeouts", "idle_s"] == 17
    assert lines["models", 1, "deployments", 1, "price"] == 22
    assert lines["a", "b c", "dA", "when"] == 24


def test_a_missing_key_is_found_on_the_line_of_its_table():
    lines = key_lines(TEXT)
    assert line_of(lines, ("models", 1, "name")) == 18
    assert line_of(lines, ("nowhere", "at", "all")) == 1


def test_windows_line_ends_count_once():
    assert key_lines(TEXT.replace("\n", "\r\n")) == key_lines(TEXT)


def test_every_path_that_tomllib_reads_has_a_line():
    lines = key_lines(TEXT)
    assert [path for path in walk(tomllib.loads(TEXT)) if path not in lines and path[:1] != ("a",)] == []


keys = st.text("abc-_1", min_size=1, max_size=4) | st.text(max_size=4)
scalars = (
    st.integers() | st.booleans() | st.text(max_size=8) | st.floats(allow_nan=False, allow_infinity=False)
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=8,
)


def quoted(text):
    escaped = "".join(c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}" for c in text)
    return f'"{escaped}"'


def inline(value):
    match value:
        case bool():
            return str(value).lower()
        case str():
            return quoted(value)
        case list():
            return "[" + ", ".join(map(inline, value)) + "]"
        case dict():
            return "{" + ", ".join(f"{quoted(k)} = {inline(v)}" for k, v in value.items()) + "}"
        case _:
            return repr(value)


@given(st.dictionaries(keys, values, max_size=5))
def test_any_document_is_scanned_to_exactly_its_own_paths(document):
    text = "".join(f"{quoted(key)} = {inline(value)}\n" for key, value in document.items())
    parsed = tomllib.loads(text)
    lines = key_lines(text)
    assert set(lines) == set(walk(parsed))
    for number, key in enumerate(parsed, start=1):
        assert lines[key,] == number
