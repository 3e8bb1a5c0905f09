"""Which of the two languages somebody asks for. Pure; what is said in them stands where it is said."""

from __future__ import annotations


def prefers_english(accept_language: str) -> bool:
    """Whether English is asked for before Korean; without a word on it, Korean leads."""
    weights = {"ko": 0.0, "en": 0.0}
    for item in accept_language.lower().split(","):
        tag, _, parameters = item.strip().partition(";")
        language = tag.split("-", 1)[0]
        if language in weights:
            weights[language] = max(weights[language], _quality(parameters))
    return weights["en"] > weights["ko"]


def _quality(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    try:
        return float(value) if name.strip() == "q" else 1.0
    except ValueError:
        return 0.0
