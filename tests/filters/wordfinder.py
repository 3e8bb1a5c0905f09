"""A detector whose findings a test can choose: it finds given words, wherever they stand."""

from __future__ import annotations

from filters.spans import Span


class WordFinder:
    """Finds each word of `words` (word -> type), leftmost first, never overlapping."""

    rules_version = "test"

    def __init__(self, words, score=0.9):
        self.words = dict(words)
        self.score = score
        self.calls = 0

    def detect(self, text):
        self.calls += 1
        spans = []
        for word, type_ in self.words.items():
            at = text.find(word)
            while at >= 0:
                spans.append(Span(at, at + len(word), type_, self.score, "word"))
                at = text.find(word, at + len(word))
        kept = []
        for span in sorted(spans, key=lambda s: (s.start, -s.end)):
            if not kept or span.start >= kept[-1].end:
                kept.append(span)
        return kept

    def detect_joined(self, texts):
        """Words that stand across borders: one piece per string touched."""
        whole, starts = "", []
        for text in texts:
            starts.append(len(whole))
            whole += text
        pieces = []
        for span in self.detect(whole):
            touched = [
                (i, span._replace(start=max(span.start - s, 0), end=min(span.end - s, len(t))))
                for i, (s, t) in enumerate(zip(starts, texts, strict=True))
                if span.start < s + len(t) and s < span.end
            ]
            if len(touched) > 1:
                pieces += touched
        return pieces
