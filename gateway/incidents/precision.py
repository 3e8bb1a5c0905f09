"""How often each rule is right, from the verdicts of reviewers. Pure.

A resolved incident judges each rule that fired in it: `false_positive` says the rule was wrong, every other
verdict that it was right (an exception lets a true finding pass; what is escalated was true). Beside the
share stands its lower bound, because four verdicts prove little: Wilson's score interval at 95 %, see
E. B. Wilson, J. Am. Stat. Assoc. 22 (1927).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from gateway.incidents.states import Resolution

RIGHT: Final = (Resolution.TRUE_POSITIVE, Resolution.EXCEPTION, Resolution.ESCALATED)
_Z: Final = 1.959963984540054
"""Of the normal distribution: 95 % lie within so many standard deviations."""


@dataclass(frozen=True, slots=True)
class RulePrecision:
    """Incidents in which a rule found a type, by verdict; `open` have none yet."""

    rule: str
    type: str
    true_positive: int = 0
    false_positive: int = 0
    exception: int = 0
    escalated: int = 0
    open: int = 0

    @property
    def right(self) -> int:
        return self.true_positive + self.exception + self.escalated

    @property
    def verdicts(self) -> int:
        return self.right + self.false_positive

    @property
    def precision(self) -> float | None:
        """Share of verdicts that say the rule was right; None without a verdict."""
        return self.right / self.verdicts if self.verdicts else None

    @property
    def at_least(self) -> float | None:
        """Lower end of the 95 % interval of `precision`."""
        return wilson_lower(self.right, self.verdicts) if self.verdicts else None

    def as_record(self) -> dict[str, object]:
        shares = {"precision": self.precision, "precision_at_least": self.at_least}
        return {
            "rule": self.rule,
            "type": self.type,
            "verdicts": self.verdicts,
            **{resolution.value: getattr(self, resolution.value) for resolution in Resolution},
            "open": self.open,
            **{name: None if share is None else round(share, 4) for name, share in shares.items()},
        }


def wilson_lower(right: int, of: int) -> float:
    """Return the lower end of Wilson's 95 % interval for `right` out of `of`, which is at least 1."""
    share, z2 = right / of, _Z * _Z
    middle = share + z2 / (2 * of)
    spread = _Z * math.sqrt(share * (1 - share) / of + z2 / (4 * of * of))
    return max(0.0, (middle - spread) / (1 + z2 / of))
