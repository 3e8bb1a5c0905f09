from __future__ import annotations

import hashlib
import json

from simulator.answers import answer
from simulator.exchange import Prompt
from simulator.ledger import Ledger


def test_what_was_asked_and_answered_is_joined_by_attempt_and_kept_in_the_file(tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    prompt = Prompt(model="m", question="질문", everything="질문")
    said = answer(prompt)
    ledger.asked("attempt-1", "openai", "upstage", "질문".encode())
    ledger.answered("attempt-1", (prompt, said), (said.counts, {"total_tokens": 9}), complete=True)
    ledger.refused("attempt-2", "'messages' must be a non-empty array")

    ledger.close()
    asked, answered, refused = map(json.loads, ledger.lines())
    assert asked["received_sha256"] == hashlib.sha256("질문".encode()).hexdigest()
    assert (asked["kind"], asked["received"], asked["provider"]) == ("asked", "질문", "upstage")
    assert (answered["attempt_id"], answered["complete"]) == ("attempt-1", True)
    assert answered["tokens"]["output"] == said.counts.output
    assert answered["reported"] == {"total_tokens": 9}
    assert refused["kind"] == "refused"
    assert (tmp_path / "ledger.jsonl").read_text(encoding="utf-8") == "".join(ledger.lines())
