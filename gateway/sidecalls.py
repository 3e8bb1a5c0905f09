"""What chat clients ask for by themselves: titles, tags, follow-up questions.

"1 message = 4 requests" (Open WebUI): such calls name their task in a header, go to a cheap model, and
carry the task as the label of their rows, so that reports show them apart. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.catalogue import Catalogue, Model
    from gateway.domain import Caller

OPEN_WEBUI_TASKS = (
    "title_generation",
    "follow_up_generation",
    "tags_generation",
    "emoji_generation",
    "query_generation",
    "image_prompt_generation",
    "autocomplete_generation",
    "function_calling",
    "moa_response_generation",
)
"""The values of Open WebUI's `{{TASK}}`; an answer to a person has none."""


@dataclass(frozen=True, slots=True)
class SideCalls:
    """`tasks` are the labels taken from `header` (lower case); anything else there is ignored."""

    header: str = "x-openwebui-task"
    tasks: frozenset[str] = frozenset(OPEN_WEBUI_TASKS)
    model_id: str | None = None
    """Who answers them; None: the model that was asked for."""

    def task(self, headers: Mapping[str, str]) -> str:
        """Return the task of a side call; empty for everything else."""
        named = headers.get(self.header, "")
        return named if named in self.tasks else ""

    def model(self, task: str, asked: Model, caller: Caller, catalogue: Catalogue) -> Model:
        """Return the model that answers: never one that is not open to the caller."""
        cheap = catalogue.get(self.model_id) if task and self.model_id else None
        if cheap is None or cheap.kind != asked.kind:
            return asked
        is_open = caller.allowed_models is None or cheap.id in caller.allowed_models
        return cheap if is_open else asked
