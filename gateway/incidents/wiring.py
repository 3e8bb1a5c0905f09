"""How the review meets the line of a request: what makes its incidents, and what hands it the exceptions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.incidents.exceptions import in_policy
from gateway.incidents.intake import Intake
from gateway.keyring import Purpose
from gateway.store.incident_exceptions import approved, read_revision
from gateway.store.snapshot import Snapshot
from gateway.vault import vault_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from billing.ledger import Entry
    from filters.inspector import Detection
    from filters.policy import PolicyBook
    from filters.verdict import Verdict
    from gateway.domain import Call
    from gateway.incidents.states import ReviewRules
    from gateway.keyring import Keyring
    from gateway.store.database import Database


def intake(
    rules: ReviewRules, keyring: Keyring
) -> Callable[[Call, Verdict, str, Detection], Sequence[Entry]]:
    """Return what makes the rows of an incident. Raises VaultError for a cipher that cannot be loaded."""
    key = keyring.current(Purpose.FINDING_HASH)
    return Intake(rules, vault_of(keyring, rules.cipher), key.key_id, key.key).rows


def exceptions(
    database: Database, policies: PolicyBook, use: Callable[[PolicyBook], None], keyring: Keyring
) -> Snapshot[PolicyBook]:
    """Hand `use` the policies with what reviewers have excepted, at the start and whenever that changes."""
    keys = keyring.all(Purpose.FINDING_HASH)

    def load() -> PolicyBook:
        book = policies.with_exceptions(in_policy(approved(database), keys))
        use(book)
        return book

    return Snapshot("exceptions", lambda: read_revision(database), load)
