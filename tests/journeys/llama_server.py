"""A real llama.cpp server for the table of addresses: with a template that knows tools, or for embeddings.

`python -m tests.journeys.llama_server [--embeddings]` says where it listens as one JSON line. The model
is the demo's (SmolLM2-135M). Its own template knows no tools; tools.jinja has them in the Hermes form, from
which llama.cpp derives a grammar, and shows three calls, since a model of this size only repeats what it
sees. One server cannot do both: with `--embeddings` llama.cpp answers nothing else.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
from pathlib import Path
from typing import Any

from gateway.demo import local_llm

TEMPLATE = Path(__file__).with_name("tools.jinja")
CALLING = "Again."
"""What the template's own examples are answers to; asked this, the model calls the tool."""


def command(*options: str) -> list[str]:
    return [sys.executable, "-m", __name__, *options]


def serve(*, embeddings: bool) -> Any:
    from xllamacpp import CommonParams, Server, llama_pooling_type

    params = CommonParams()
    params.model.path = str(local_llm.model_path())
    params.model_alias = {local_llm.MODEL_ID}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_ctx, params.n_parallel = 8192, 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.ui = False
    params.endpoint_metrics = True
    if embeddings:
        params.embedding = True
        params.pooling_type = llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    else:
        params.chat_template = TEMPLATE.read_text(encoding="utf-8")
    return Server(params)


def main() -> None:
    parser = argparse.ArgumentParser(prog="llama_server")
    parser.add_argument("--embeddings", action="store_true")
    server = serve(embeddings=parser.parse_args().embeddings)
    sys.stdout.write(json.dumps({"url": server.listening_address}) + "\n")
    sys.stdout.flush()
    threading.Event().wait()  # until the guard ends us with SIGTERM


if __name__ == "__main__":
    main()
