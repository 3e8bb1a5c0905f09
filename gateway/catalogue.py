"""The catalogue: which models are open, where they run, how to reach them.

Frozen values only; `gateway/config.py` reads them from haechi.toml. No secrets are printed:
credentials hide themselves in `repr`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from gateway.domain import JSON, NOTHING, Zone

if TYPE_CHECKING:
    from collections.abc import Mapping


class Strategy(StrEnum):
    WEIGHTED = "weighted"
    """At random in proportion to the weights."""
    LEAST_BUSY = "least_busy"
    """The fewest attempts in flight per weight."""
    LOWEST_LATENCY = "lowest_latency"
    """The shortest wait for a first token lately; one that was not asked for long is asked again."""
    CHEAPEST = "cheapest"
    """The lowest bound of what this request can cost there."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """All in seconds. `total_s` bounds an attempt from dispatch to its last byte."""

    connect_s: float = 5.0
    first_byte_s: float = 60.0
    idle_s: float = 60.0
    total_s: float = 600.0


@dataclass(frozen=True, slots=True)
class Credential:
    """What proves us to a provider. Which fields are needed depends on the wire format.

    `api_key` for most; `access_key_id`/`secret_access_key`/`session_token` for AWS;
    `service_account` is the JSON text of a Google service account (the access token that it buys
    is put into `api_key` by gateway/upstream.py before the adapter is asked).
    """

    api_key: str | None = field(default=None, repr=False)
    access_key_id: str | None = field(default=None, repr=False)
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    service_account: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Deployment:
    """One place where a model answers.

    `wire` names the adapter (`openai`, `responses`, `anthropic`, `gemini`, `bedrock`, `cohere`);
    `profile` names the provider's dialect of that wire (`openai`, `vllm`, `upstage`, …).
    `options` are settings of that wire (Azure's `api_version`, Vertex's `project`, …).
    """

    id: str
    model_id: str
    provider: str
    wire: str
    profile: str
    base_url: str
    upstream_model: str
    zone: Zone
    price_key: str
    credential: Credential = Credential()
    region: str = ""
    country: str = ""
    weight: int = 1
    timeouts: Timeouts = Timeouts()
    max_concurrency: int = 0
    """Attempts at once in one worker; 0: no limit."""
    requests_per_min: int = 0
    """Attempts a minute in one worker; 0: no limit."""
    proxy_url: str | None = None
    ca_bundle: str | None = None
    headers: Mapping[str, str] = field(default=NOTHING, repr=False)
    options: Mapping[str, JSON] = NOTHING
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class Model:
    """A model as staff see it, with its deployments in order of preference."""

    id: str
    name: str
    owned_by: str
    deployments: tuple[Deployment, ...]
    kind: str = "chat"
    """chat, embedding, image, speech, transcription, video."""
    capabilities: frozenset[str] = frozenset()
    """vision, tools, reasoning, structured_output, image, video, audio, search."""
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    default_max_output_tokens: int | None = None
    description: str = ""
    strategy: Strategy | None = None
    """How one of several deployments is chosen; None: as [routing] says."""
    fallbacks: tuple[str, ...] = ()
    """Models that answer when this one does not, where policy and caller allow; the answer names them."""

    @property
    def zones(self) -> frozenset[Zone]:
        return frozenset(deployment.zone for deployment in self.deployments)

    @property
    def simulated(self) -> bool:
        return all(deployment.simulated for deployment in self.deployments)


@dataclass(frozen=True, slots=True)
class Catalogue:
    models: Mapping[str, Model]

    def get(self, model_id: str) -> Model | None:
        return self.models.get(model_id)
