"""What it costs to compile the catalog again when the addresses of a service change.

    python -m tests.bench.renewal [--models 50] [--addresses 10]

It is done within one turn of the loop, at most ten times a second. CPU time of this process, in milliseconds.
"""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Sequence
from statistics import median

from tests.support.fleets import Fleet

TIMES = 40


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", type=int, default=50)
    parser.add_argument("--addresses", type=int, default=10)
    arguments = parser.parse_args()
    fleet = Fleet([f"model-{number}" for number in range(arguments.models)])
    urls = [f"http://10.0.{number // 250}.{number % 250 + 1}:8000" for number in range(arguments.addresses)]
    _measure(fleet, "nothing changes", urls, urls)
    _measure(fleet, "one address joins", urls[:-1], urls)
    _measure(fleet, "one address leaves", urls, urls[:-1])
    _measure(fleet, "all addresses join", [], urls)


def _measure(fleet: Fleet, what: str, before: Sequence[str], after: Sequence[str]) -> None:
    times = []
    for _ in range(TIMES):
        fleet.set(*before)
        gc.collect()
        began = time.process_time()
        fleet.set(*after)
        times.append((time.process_time() - began) * 1000)
    count = len(fleet.catalog.deployments)
    print(f"{what:20} median {median(times):5.2f} ms, at most {max(times):5.2f} ms; {count} deployments")


if __name__ == "__main__":
    main()
