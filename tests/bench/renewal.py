"""What it costs to compile the catalog again when the addresses of a service change.

    python -m tests.bench.renewal [--models 50] [--addresses 10] [--times 40]

It is done at most ten times a second, as the gateway does it: new deployments are built in portions, each in a turn of
the loop, and the catalog is compiled in one. CPU time of this thread, in milliseconds: of the longest turn, the least
and the median of all times, and in parentheses of all turns together.
"""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Sequence
from statistics import median

from tests.support.fleets import Fleet


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", type=int, default=50)
    parser.add_argument("--addresses", type=int, default=10)
    parser.add_argument("--times", type=int, default=40)
    arguments = parser.parse_args()
    fleet = Fleet([f"model-{number}" for number in range(arguments.models)])
    urls = [f"http://10.0.{number // 250}.{number % 250 + 1}:8000" for number in range(arguments.addresses)]
    times: int = arguments.times
    _measure(fleet, "nothing changes", urls, urls, times)
    _measure(fleet, "one address joins", urls[:-1], urls, times)
    _measure(fleet, "one address leaves", urls, urls[:-1], times)
    _measure(fleet, "all addresses join", [], urls, times)


def _measure(fleet: Fleet, what: str, before: Sequence[str], after: Sequence[str], times: int) -> None:
    longest, whole = [], []
    for _ in range(times):
        fleet.set(*before)
        gc.collect()
        fleet.place(*after)
        turns = _turns(fleet)
        longest.append(max(turns))
        whole.append(sum(turns))
    count = len(fleet.catalog.deployments)
    print(
        f"{what:20} held {min(longest):5.2f} ms, median {median(longest):5.2f} ms"
        f" ({min(whole):5.2f}, {median(whole):5.2f}); {count} deployments"
    )


def _turns(fleet: Fleet) -> list[float]:
    turns = []
    portions, more = fleet.catalog.prepare(fleet.book.group), True
    while more:
        began = time.thread_time()
        more = next(portions, fleet) is not fleet
        turns.append((time.thread_time() - began) * 1000)
    began = time.thread_time()
    fleet.renew()
    return [*turns, (time.thread_time() - began) * 1000]


if __name__ == "__main__":
    main()
