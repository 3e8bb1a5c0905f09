"""Identifiers of English texts through Presidio's own recognisers: US SSN, IBAN, UK NINO."""

from __future__ import annotations

from presidio_analyzer.predefined_recognizers import IbanRecognizer, UkNinoRecognizer, UsSsnRecognizer

from filters.presidio import PresidioDetector


def english_detectors() -> list[PresidioDetector]:
    """One gated detector per recogniser; digits are an SSN only beside its context words."""
    return [
        PresidioDetector(
            UsSsnRecognizer(),
            [r"[0-9]{3}[- .][0-9]{2}[- .][0-9]{4}(?:[^0-9]|$)", r"(?i)ssn|social.security"],
            needs_context=True,
        ),
        PresidioDetector(IbanRecognizer(), [r"[A-Z]{2}[0-9]{2}[ -]?[A-Z0-9]{4}[ -]?[A-Z0-9]{4}"]),
        PresidioDetector(UkNinoRecognizer(), [r"(?i)[a-z]{2} ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[a-d]"], 0.5),
    ]
