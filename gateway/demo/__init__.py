"""The demonstration: 행정국 with 365 people, 29 models, real prompts, and the proof that the books agree.

`run_demo` sets up `.demo/`, starts the servers, sends the prompts and checks the gateway's ledger
against the providers' own. Nothing here is used by the gateway in production.
"""

from __future__ import annotations


def run_demo(*, once: bool, clients: int, port: int) -> int:
    """Run the demo and return its exit code: 0 only if every check of the proof holds.

    `once` ends after the proof; otherwise the servers stay up until Ctrl-C. `clients` is how many
    members of staff ask at the same time; `port` is the gateway's, or the next free one if it is taken.
    """
    from gateway.demo.run import Demo

    return Demo(clients=clients, port=port).run(stay=not once)
