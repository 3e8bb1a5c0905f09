"""Both ways between Haechi and Presidio: its recognisers in our engine, our engine in its analyser.

`PresidioDetector` puts any Presidio recogniser behind our gate and makes it fail closed: Presidio logs
a warning and drops the matches of a pattern that timed out, and writes texts it cannot validate to
its log; here a time-out is a `DetectorError` and its log stays silent.
`analyzer` is a Presidio `AnalyzerEngine` whose recogniser is our engine, with Presidio's own no-op
NLP engine: no language model is loaded.
"""

from __future__ import annotations

import importlib
import logging
import re
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from presidio_analyzer import AnalyzerEngine, EntityRecognizer, RecognizerRegistry, RecognizerResult
from presidio_analyzer.nlp_engine.no_op_nlp_engine import NoOpNlpEngine

from filters.detector import DetectorError
from filters.spans import Span

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from presidio_analyzer.nlp_engine import NlpArtifacts

    from filters.engine import Engine

LANGUAGES: Final = ("ko", "en")
CONTEXT_BOOST: Final = 0.45
PATTERN_TIMEOUT_S: Final = 0.25
SUSPICIOUS_S: Final = 0.8 * PATTERN_TIMEOUT_S
"""A recogniser that took this long is treated as timed out: a match may have been dropped."""
_HANGUL: Final = re.compile(r"[^\x00-\x7f]")
_RULE: Final = "haechi_rule"
_LABEL: Final = "haechi_label"


def _no_nlp() -> NoOpNlpEngine:
    engine = NoOpNlpEngine([{"lang_code": language, "model_name": "none"} for language in LANGUAGES])
    engine.load()
    return engine


_NLP: Final = _no_nlp()


class _Silencer(logging.Filter):
    """Keeps Presidio's records, which quote texts, out of every handler, and notes time-outs."""

    def __init__(self) -> None:
        super().__init__()
        self._state = threading.local()

    def filter(self, record: logging.LogRecord) -> bool:
        if "timed out" in str(record.msg):
            self._state.timed_out = True
        return False

    def timed_out(self) -> bool:
        """Whether a pattern of this thread timed out since the last call."""
        happened = getattr(self._state, "timed_out", False)
        self._state.timed_out = False
        return happened


_SILENCER: Final = _Silencer()
logging.getLogger("presidio-analyzer").addFilter(_SILENCER)


class PresidioDetector:
    r"""A Presidio recogniser as a detector of the engine.

    `gates` are RE2 patterns that let texts through to it; empty means every text. Matches below
    `threshold` are left out; a word of the recogniser's own context within 40 characters before a
    match adds `CONTEXT_BOOST`: Presidio's own enhancer needs lemmas, which a no-op NLP engine lacks.
    Hangul around a match is blanked first, so that `\b` in foreign patterns holds before particles.
    """

    def __init__(
        self,
        recognizer: EntityRecognizer,
        gates: Sequence[str] = (),
        threshold: float = 0.5,
        *,
        needs_context: bool = False,
    ) -> None:
        self.name = f"presidio:{type(recognizer).__name__}"
        self.gates = tuple(gates)
        self._recognizer = recognizer
        self._threshold = threshold
        self._needs_context = needs_context
        words = [re.escape(word) for word in recognizer.context or ()]
        self._context = re.compile("|".join(words), re.IGNORECASE) if words else None
        _limit_patterns(recognizer)

    def find(self, text: str) -> list[Span]:
        plain = _HANGUL.sub(" ", text) if self._recognizer.supported_language == "en" else text
        _SILENCER.timed_out()
        began, began_cpu = time.perf_counter(), time.process_time()
        artifacts = _NLP.process_text(plain, self._recognizer.supported_language)
        results = self._recognizer.analyze(plain, self._recognizer.supported_entities, artifacts) or []
        # The time is asked as well: a log level can keep Presidio's only word on it from being said.
        # `regex` measures its limit in CPU time of the process, which busy threads spend faster.
        spent_s = max(time.perf_counter() - began, time.process_time() - began_cpu)
        if _SILENCER.timed_out() or spent_s >= SUSPICIOUS_S:
            raise DetectorError(self.name, "TimeoutError")
        spans = [self._span(text, result) for result in results]
        return [span for span in spans if span.score >= self._threshold]

    def _span(self, text: str, result: RecognizerResult) -> Span:
        score = float(result.score)
        before = text[max(0, result.start - 40) : result.start]
        if self._context is not None and self._context.search(before):
            score = min(1.0, score + CONTEXT_BOOST)
        elif self._needs_context:
            score = 0.0
        return Span(result.start, result.end, result.entity_type, score, self.name)


def _limit_patterns(recognizer: EntityRecognizer) -> None:
    """Presidio waits 60 s for a pattern by default; its modules read the limit at every call."""
    for kind in type(recognizer).__mro__:
        module = sys.modules[kind.__module__]
        if hasattr(module, "REGEX_TIMEOUT_SECONDS"):
            module.REGEX_TIMEOUT_SECONDS = PATTERN_TIMEOUT_S  # type: ignore[attr-defined]


def recognizer_named(path: str, options: Mapping[str, Any] | None = None) -> EntityRecognizer:
    """The recogniser class `package.module:Class` of the configuration, made with its options.

    Raises `ValueError` when the path leads nowhere, `TypeError` when not to an `EntityRecognizer`.
    """
    module_name, _, class_name = path.partition(":")
    try:
        kind = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"'{path}': Presidio 인식기를 찾을 수 없습니다 / no such recogniser") from error
    if not (isinstance(kind, type) and issubclass(kind, EntityRecognizer)):
        raise TypeError(f"'{path}': EntityRecognizer가 아닙니다 / is no EntityRecognizer")
    return kind(**(options or {}))


class HaechiRecognizer(EntityRecognizer):
    """Our engine as one Presidio recogniser. `language` is a tag only: the engine reads both."""

    def __init__(self, engine: Engine, language: str = "ko") -> None:
        self._engine = engine
        super().__init__(
            supported_entities=sorted(engine.types),
            name=f"haechi_{language}",
            supported_language=language,
            version=engine.rules_version,
        )

    def load(self) -> None:
        """Nothing to load: the engine comes loaded."""

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None
    ) -> list[RecognizerResult]:
        del nlp_artifacts
        return [_result(span, self) for span in self._engine.detect(text) if span.type in entities]


def _result(span: Span, recognizer: HaechiRecognizer) -> RecognizerResult:
    return RecognizerResult(
        span.type,
        span.start,
        span.end,
        span.score,
        recognition_metadata={
            RecognizerResult.RECOGNIZER_NAME_KEY: "haechi",
            RecognizerResult.RECOGNIZER_IDENTIFIER_KEY: recognizer.id,
            _RULE: span.rule,
            _LABEL: span.label,
        },
    )


def analyzer(engine: Engine, recognizers: Iterable[EntityRecognizer] = ()) -> AnalyzerEngine:
    """A Presidio analyser over our engine and any further recognisers, for Korean and English."""
    registry = RecognizerRegistry(
        recognizers=[*(HaechiRecognizer(engine, language) for language in LANGUAGES), *recognizers],
        supported_languages=list(LANGUAGES),
    )
    return AnalyzerEngine(registry=registry, nlp_engine=_NLP, supported_languages=list(LANGUAGES))


def span_of(result: RecognizerResult) -> Span:
    """A Presidio result as a span; the rule is the recogniser's name unless it came from our engine."""
    metadata: dict[str, str] = result.recognition_metadata or {}
    rule = metadata.get(_RULE) or metadata.get(RecognizerResult.RECOGNIZER_NAME_KEY, "presidio")
    return Span(
        result.start, result.end, result.entity_type, float(result.score), rule, metadata.get(_LABEL, "")
    )
