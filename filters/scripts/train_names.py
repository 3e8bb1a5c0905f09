"""Learn the weights of filters/detectors/person_features.py offline; nothing here runs in the gateway.

    python -m filters.scripts.train_names ../shared/pii      # writes filters/lexicon/person_weights.txt

Logistic regression (L2) over candidates of three quarters of the development data, chosen by a hash of
their text (filters/evaluate.py `is_held_out`), of copies with other names, and of person_templates.txt. The
last quarter is never read here. Needs scipy beside what build_lexicon.py needs. Sources of the statistics:
KLUE-NER v1.1 (KLUE team, CC BY-SA 4.0) and ko-pii's generated documents (Marker Inc., MIT); no text of
either is shipped.
"""

from __future__ import annotations

import random
import re
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from filters.detectors.person_features import TEMPLATES, THREE, Features, candidates_at, cut, inner, outer
from filters.evaluate import Document, Gold, is_held_out, read
from filters.lexicon import COMPOUND_SURNAMES, LEXICON_DIR, SURNAMES
from filters.scripts.build_lexicon import HANGUL, Sources, read_sources
from filters.spans import PERSON

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix  # type: ignore[import-untyped]

L2: Final = 1.0
COPIES: Final = 6
COMPOUND_SHARE: Final = 0.04
SHORT_SHARE: Final = 0.06
FOREIGN_SHARE: Final = 0.35
COPY_WEIGHT: Final = 0.25
UNLISTED_SHARE: Final = 0.5
"""Of the people whom an office writes about at least so many stand in no dictionary; in the news they do."""
TEMPLATE_COPIES: Final = 12
WEIGHT_OF_SOURCE: Final = {"administrative": 0.4, "templates": 0.7}
"""Generated documents repeat themselves."""
LEXICAL: Final = ("right_head", "tail2", "word")
LEXICAL_L2: Final = 3.0
MIN_COUNT: Final = {"right_head": 3, "tail2": 3, "left_gap": 3, "right_gap": 3}


class Example(NamedTuple):
    features: tuple[str, ...]
    is_name: bool
    weight: float
    is_copy: bool


def main(directory: Path) -> None:
    documents = [
        d for path in sorted(directory.glob("*.[jt]s*")) for d in read(path) if not is_held_out(d.text)
    ]
    pools, order = Pools(read_sources()), random.Random(11)  # noqa: S311 - repeatable, no secret
    copies = [augmented(d, pools, order) for d in documents for _ in range(COPIES)]
    examples = [e for document in documents for e in as_if_unlisted(examples_of(document))]
    invented = [e for document in template_documents(pools, order) for e in examples_of(document)]
    invented += [e for document in copies for e in examples_of(document, is_copy=True)]
    examples += map(without_dictionary, invented)
    weights = learn(drop_rare(examples))
    lines = [f"{key}\t{weight:.2f}\n" for key, weight in sorted(weights.items()) if abs(weight) >= 0.01]
    (LEXICON_DIR / "person_weights.txt").write_text("".join(lines), "utf-8")
    print(f"{len(documents)} documents, {len(examples)} candidates, {len(lines)} weights")


def augmented(document: Document, pools: Pools, order: random.Random) -> Document:
    """The document with every name of a person replaced by another of its shape.

    Few people are named in the development data, and often; the substitution keeps the scorer from
    learning them by heart and shows it rare names in real surroundings.
    """
    text, at, spans = "", 0, []
    for span in sorted(s for s in document.spans if s.type == PERSON):
        text += document.text[at : span.start]
        name = pools.like(document.text[span.start : span.end], order)
        spans.append(Gold(len(text), len(text) + len(name), PERSON))
        text, at = text + name, span.end
    return Document(text + document.text[at:], tuple(spans), document.source)


def template_documents(pools: Pools, order: random.Random) -> list[Document]:
    """Sentences of civil servants with invented names, and many without any."""
    documents = []
    for line in (Path(__file__).parent / "person_templates.txt").read_text("utf-8").splitlines():
        if not line.startswith("#"):
            copies = TEMPLATE_COPIES if "{" in line else 1
            documents += [_filled(line, pools, order) for _ in range(copies)]
    return documents


def _filled(line: str, pools: Pools, order: random.Random) -> Document:
    text, spans = "", []
    for piece in re.split(r"(\{[KFSG]\})", line):
        start = len(text)
        text += _name_for(piece[1], pools, order) if piece.startswith("{") else piece
        if piece.startswith("{"):
            spans.append(Gold(start, len(text), PERSON))
    return Document(_with_fitting_particles(text, spans), tuple(spans), "templates")


def _name_for(kind: str, pools: Pools, order: random.Random) -> str:
    match kind:
        case "K":
            return pools.full_name(order)
        case "F":
            return pools.like("톰 행크스" if order.random() < 0.7 else "오바마", order)
        case "S":
            return order.choice(pools.surnames)
    return order.choice(pools.given)


def _with_fitting_particles(text: str, spans: list[Gold]) -> str:
    """이/가, 은/는, 을/를, 과/와, 이고/고 … after a name follow its final consonant; lengths stay."""
    letters = list(text)
    for span in spans:
        particle = text[span.end : span.end + 1]
        for pair in ("이가", "은는", "을를", "과와", "아야"):
            if particle in pair and particle and _is_particle(text[span.end :]):
                letters[span.end] = pair[0] if _has_final(text[span.end - 1]) else pair[1]
    return "".join(letters)


def _is_particle(rest: str) -> bool:
    return len(rest) == 1 or not HANGUL.match(rest[1])


def _has_final(syllable: str) -> bool:
    return (ord(syllable) - 0xAC00) % 28 != 0


class Pools:
    """Names to substitute: what the dictionaries list, and new combinations of their parts."""

    def __init__(self, sources: Sources) -> None:
        korean = [n for n in sorted(sources.persons) if len(n) in (2, 3) and n[0] in SURNAMES]
        self.korean = {length: [n for n in korean if len(n) == length] for length in (2, 3)}
        self.surnames = [n[0] for n in self.korean[3]]
        self.given = [n[1:] for n in self.korean[3]]
        self.tokens = sorted(t for t in sources.tokens if len(t) > 1)
        self.usual_tokens = sorted(t for t in sources.tokens.elements() if len(t) > 1)

    def like(self, name: str, order: random.Random) -> str:
        if not HANGUL.fullmatch(name.replace(" ", "")) or len(name) == 1:
            return name
        for _ in range(30):
            other = self._any_like(name, order)
            if _ends_alike(name, other):
                return other
        return name

    def full_name(self, order: random.Random) -> str:
        """A Korean name; some have one syllable given, a few a compound surname."""
        chance = order.random()
        if chance < COMPOUND_SHARE:
            given = order.choice(self.given)
            return order.choice(sorted(COMPOUND_SURNAMES)) + given[: order.choice((1, 2, 2))]
        if chance < COMPOUND_SHARE + SHORT_SHARE:
            return order.choice(self.korean[2])
        return order.choice(self.surnames) + order.choice(self.given)

    def _any_like(self, name: str, order: random.Random) -> str:
        if " " in name:
            return " ".join(self._token(order) for _ in name.split())
        if len(name) in (2, 3) and name[0] in SURNAMES:
            if order.random() < FOREIGN_SHARE:
                return self._token(order)
            if order.random() < 0.3:
                return order.choice(self.korean[len(name)])
            return order.choice(self.surnames) + order.choice(self.given)[: len(name) - 1]
        if len(name) == 2:
            return order.choice(self.given)
        return self._token(order)

    def _token(self, order: random.Random) -> str:
        return order.choice(self.tokens if order.random() < 0.5 else self.usual_tokens)


def _ends_alike(a: str, b: str) -> bool:
    """Both with or both without a final consonant, so that the particle still fits."""
    return _has_final(a[-1]) == _has_final(b[-1])


def examples_of(document: Document, *, is_copy: bool = False) -> list[Example]:
    gold = {(s.start, s.end) for s in document.spans if s.type == PERSON}
    runs = cut(document.text)
    weight = WEIGHT_OF_SOURCE.get(document.source, 1.0) * (COPY_WEIGHT if is_copy else 1)
    return [
        Example(keys_of(inner(c, runs) + outer(c, runs)), (c.start, c.end) in gold, weight, is_copy)
        for index in range(len(runs.words))
        for c in candidates_at(runs, index)
    ]


def keys_of(features: Features) -> tuple[str, ...]:
    return tuple(f"{name}\t{_printable(value)}" for name, value in zip(TEMPLATES, features, strict=True))


def _printable(value: int | str) -> str:
    return (
        value.encode("unicode_escape").decode()
        if isinstance(value, str) and not value.isprintable()
        else str(value)
    )


def as_if_unlisted(examples: list[Example]) -> Iterator[Example]:
    """The same; a listed name's weight goes in part to a twin that no dictionary lists."""
    for example in examples:
        if example.is_name and LISTED_NAME in example.features:
            twin = tuple(UNLISTED_NAME if key == LISTED_NAME else key for key in example.features)
            yield example._replace(weight=example.weight * (1 - UNLISTED_SHARE))
            yield example._replace(weight=example.weight * UNLISTED_SHARE, features=twin)
        else:
            yield example


def without_dictionary(example: Example) -> Example:
    """Substituted names come out of the dictionaries: that they are listed there says nothing."""
    return example._replace(features=tuple(key for key in example.features if not key.startswith("known")))


LISTED_NAME, UNLISTED_NAME = f"known\t{THREE * 10 + 1}", f"known\t{THREE * 10}"


def drop_rare(examples: list[Example]) -> list[Example]:
    """Leave out words seen too seldom in original documents to say anything about others."""
    counts = Counter(key for example in examples if not example.is_copy for key in example.features)
    return [
        example._replace(features=tuple(k for k in example.features if _is_frequent(k, counts)))
        for example in examples
    ]


def _is_frequent(key: str, counts: Counter[str]) -> bool:
    template = key.partition("\t")[0]
    return template not in MIN_COUNT or counts[key] >= MIN_COUNT[template]


def learn(examples: list[Example]) -> dict[str, float]:
    """The weights of least penalised loss; the same examples give the same weights."""
    import numpy as np
    from scipy.optimize import minimize  # type: ignore[import-untyped]  # only here, see the docstring

    merged: dict[tuple[tuple[str, ...], bool], float] = defaultdict(float)
    for example in examples:
        merged[example.features, example.is_name] += example.weight
    index: dict[str, int] = {"bias\t": 0}
    matrix = _matrix([features for features, _ in merged], index)
    transposed = matrix.T.tocsr()
    is_name = np.array([float(name) for _, name in merged])
    weight = np.array(list(merged.values()))
    decay = np.array([_decay(key) for key in index])

    def loss(at: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        score = matrix @ at
        slope = weight * (1 / (1 + np.exp(-np.clip(score, -30, 30))) - is_name)
        value = (weight * (np.logaddexp(0, score) - is_name * score)).sum() + 0.5 * (decay * at * at).sum()
        return float(value), transposed @ slope + decay * at

    found = minimize(loss, np.zeros(len(index)), jac=True, method="L-BFGS-B", options={"maxiter": 300})
    return {key: float(found.x[number]) for key, number in index.items()}


def _matrix(rows: list[tuple[str, ...]], index: dict[str, int]) -> csr_matrix:
    """A sparse matrix of ones; new features are numbered in `index`."""
    import numpy as np
    from scipy import sparse  # type: ignore[import-untyped]

    at = [
        (row, index.setdefault(key, len(index))) for row, keys in enumerate(rows) for key in ("bias\t", *keys)
    ]
    where = np.array(at).T
    return sparse.csr_matrix((np.ones(len(at)), (where[0], where[1])), shape=(len(rows), len(index)))


def _decay(key: str) -> float:
    if key == "bias\t":
        return 0.01
    return LEXICAL_L2 if key.startswith(LEXICAL) else L2


if __name__ == "__main__":
    main(Path(sys.argv[1]))
