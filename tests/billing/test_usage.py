from __future__ import annotations

import pytest

from billing.usage import CLASSES, TOKEN_CLASSES, Usage


def test_not_stated_and_stated_to_be_none_differ() -> None:
    assert Usage() != Usage(input=0)
    assert list(Usage(input=0, output=3).classes()) == [("output", 3)]


def test_token_classes_are_disjoint_and_add_up() -> None:
    usage = Usage(**{name: 2**i for i, name in enumerate(TOKEN_CLASSES)})
    assert usage.total_tokens == 2 ** len(TOKEN_CLASSES) - 1
    assert usage.input_tokens + usage.output_tokens == usage.total_tokens


@pytest.mark.parametrize("name", CLASSES)
def test_a_negative_quantity_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        Usage(**{name: -1})
