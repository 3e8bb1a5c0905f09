"""The `haechi` command. Only `main` stands here, so that `haechi --help` imports little.

Exit codes: 0 done · 1 looked and found something wrong (doctor, verify, check-config, evaluation) ·
2 called wrongly · 3 configuration or secrets · 4 an input file has mistakes, nothing was changed ·
5 database or server not reachable · 70 a fault of Haechi itself · 130 interrupted.
"""

from __future__ import annotations


def main() -> None:
    """Run the command line; ends the process with one of the exit codes above."""
    from gateway.heap import look_rarely

    look_rarely()
    from gateway.cli.root import run

    run()
