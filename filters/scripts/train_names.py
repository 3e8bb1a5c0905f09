"""Learn the weights of filters/detectors/person_features.py offline; nothing here runs in the gateway.

    python -m filters.scripts.train_names ../shared/pii      # writes filters/lexicon/person_weights.txt

Logistic regression (AdaGrad, L2) over candidates of the *tuning* half of the development data: half
of the documents and sentences, chosen by a hash of their text (filters/evaluate.py `is_held_out`). The
other half is never read here. Sources of the statistics: KLUE-NER v1.1 (KLUE team, CC BY-SA 4.0) and
ko-pii's generated documents (Marker Inc., MIT); no text of either is shipped.
"""

from __future__ import annotations

import math
import random
import sys
from collections import Counter
from pathlib import Path
from typing import Final, NamedTuple

from filters.detectors.person_features import TEMPLATES, Features, candidates_at, runs_of
from filters.evaluate import Document, is_held_out, read
from filters.lexicon import LEXICON_DIR
from filters.spans import PERSON

EPOCHS: Final = 12
RATE: Final = 0.15
L2: Final = 2e-4
MIN_COUNT: Final = {"left_word": 3, "right_word": 3, "tail2": 3, "left_gap": 3, "right_gap": 3}


class Example(NamedTuple):
    features: tuple[str, ...]
    is_name: bool
    weight: float


def main(directory: Path) -> None:
    documents = [d for path in sorted(directory.glob("*.[jt]s*")) for d in read(path) if not is_held_out(d.text)]
    examples = [example for document in documents for example in examples_of(document)]
    weights = learn(drop_rare(examples))
    lines = [f"{key}\t{weight:.2f}\n" for key, weight in sorted(weights.items()) if abs(weight) >= 0.01]
    (LEXICON_DIR / "person_weights.txt").write_text("".join(lines), "utf-8")
    print(f"{len(documents)} documents, {len(examples)} candidates, {len(lines)} weights")


def examples_of(document: Document) -> list[Example]:
    gold = {(s.start, s.end) for s in document.spans if s.type == PERSON}
    runs = runs_of(document.text)
    weight = 1.0 if document.source != "administrative" else 0.4  # generated documents repeat themselves
    return [
        Example(keys_of(candidate.features), (candidate.start, candidate.end) in gold, weight)
        for index in range(len(runs))
        for candidate in candidates_at(document.text, runs, index)
    ]


def keys_of(features: Features) -> tuple[str, ...]:
    return tuple(f"{name}\t{_printable(value)}" for name, value in zip(TEMPLATES, features, strict=True))


def _printable(value: int | str) -> str:
    return value.encode("unicode_escape").decode() if isinstance(value, str) and not value.isprintable() else str(value)


def drop_rare(examples: list[Example]) -> list[Example]:
    counts = Counter(key for example in examples for key in example.features)
    return [
        example._replace(
            features=tuple(k for k in example.features if counts[k] >= MIN_COUNT.get(k.partition("\t")[0], 1))
        )
        for example in examples
    ]


def learn(examples: list[Example]) -> dict[str, float]:
    order = random.Random(7)  # noqa: S311 - a repeatable order, no secret
    weights: dict[str, float] = {"bias\t": 0.0}
    squares: dict[str, float] = {}
    for _ in range(EPOCHS):
        order.shuffle(examples)
        for example in examples:
            keys = ("bias\t", *example.features)
            score = sum(weights.get(key, 0.0) for key in keys)
            slope = (1 / (1 + math.exp(-max(-30.0, min(30.0, score)))) - example.is_name) * example.weight
            for key in keys:
                gradient = slope + L2 * weights.get(key, 0.0)
                squares[key] = squares.get(key, 1e-2) + gradient * gradient
                weights[key] = weights.get(key, 0.0) - RATE * gradient / math.sqrt(squares[key])
    return weights


if __name__ == "__main__":
    main(Path(sys.argv[1]))
