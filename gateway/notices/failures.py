"""Why a notice did not reach its addressee."""

from __future__ import annotations


class DeliveryFailed(Exception):
    """`reason` is a kind of error or a code, never what the other side wrote.

    `is_final`: another try would end the same. `is_unreachable`: others on the same way fail too now.
    """

    def __init__(self, reason: str, *, is_final: bool = False, is_unreachable: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_final = is_final
        self.is_unreachable = is_unreachable
