"""`python -m simulator`: serve on 127.0.0.1 and say where, as one JSON line on standard output."""

from __future__ import annotations

import argparse
import json
import socket
import sys
from pathlib import Path

import uvicorn

from simulator.app import Pace, create
from simulator.ledger import Ledger


def main() -> None:
    options = _options()
    listener = _listen(options.host, options.port)
    ledger = Ledger(options.ledger)
    app = create(ledger, Pace(options.latency_ms / 1000, options.tokens_per_s))
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, lifespan="off", timeout_graceful_shutdown=2
    )
    host, port = listener.getsockname()[:2]
    sys.stdout.write(json.dumps({"url": f"http://{host}:{port}"}) + "\n")
    sys.stdout.flush()
    uvicorn.Server(config).run(sockets=[listener])
    ledger.close()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="simulator", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0, or a port that is taken: any free one")
    parser.add_argument("--ledger", type=Path, help="JSON-lines file to append the books to")
    parser.add_argument("--latency-ms", type=float, default=0.0, help="before the first byte")
    parser.add_argument("--tokens-per-s", type=float, default=0.0, help="of a stream; 0: no limit")
    return parser.parse_args()


def _listen(host: str, port: int) -> socket.socket:
    """Bind here and not in uvicorn, so that the port in the ready line is the port that serves."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError:
        listener.bind((host, 0))
    listener.listen(1024)  # connections queue from here on, so that "ready" is true when it is said
    return listener


if __name__ == "__main__":
    main()
