"""The benchmark's command line."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from types import FrameType

from tests.bench import capacity
from tests.bench.child import apart
from tests.bench.figures import RESULTS
from tests.bench.peers import FULL, TRANSLATED
from tests.bench.run import Plan, bench
from tests.bench.table import report

LIMIT = 300  # s, quick
FULL_LIMIT = 3600
NAMES = tuple(kind.name for kind in (*FULL, *TRANSLATED))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description="Measure the cost of a token and a request, here and in other proxies."
    )
    parser.add_argument("--full", action="store_true", help="more peers, TLS upstreams, 2,000 streams, a 50 MB body")
    parser.add_argument(
        "--save", action="store_true", help="write tests/bench/RESULTS.md and the tables of deploy/CAPACITY.md"
    )
    parser.add_argument("--rounds", type=int, metavar="N", help="interleaved rounds (4; with --full 7)")
    parser.add_argument("--peers", default="", metavar="A,B", help=f"only these peers: {', '.join(NAMES)}")
    chosen = parser.parse_args()
    names = tuple(filter(None, chosen.peers.split(",")))
    if unknown := set(names) - {*NAMES}:
        parser.error(f"no such peer: {', '.join(sorted(unknown))}")
    chosen.names = names
    return chosen


def overrun(number: int, frame: FrameType | None) -> None:
    raise SystemExit(f"bench: {'took too long' if number == signal.SIGALRM else 'stopped'}")


def main() -> int:
    if not sys.platform.startswith("linux"):
        raise SystemExit("bench: needs Linux, for CPU time and memory from /proc")
    chosen = arguments()
    apart()
    for number in (signal.SIGALRM, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, overrun)
    signal.alarm(FULL_LIMIT if chosen.full else LIMIT)
    began = time.monotonic()
    plan = Plan(chosen.full, max(1, chosen.rounds or (7 if chosen.full else 4)), chosen.names)
    result = bench(plan)
    signal.alarm(0)
    page = report(result, " ".join(["scripts/bench", *sys.argv[1:]]))
    print(page)
    print(f"bench: took {time.monotonic() - began:.0f} s", file=sys.stderr)
    if chosen.save:
        RESULTS.write_text(page)
        try:
            capacity.write()
        except ValueError as error:
            print(f"bench: deploy/CAPACITY.md stays as it is: {error}", file=sys.stderr)
    return 1 if any(column.void for column in result.columns) else 0


if __name__ == "__main__":
    sys.exit(main())
