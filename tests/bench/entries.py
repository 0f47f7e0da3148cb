"""``python -m tests.bench.entries [--rounds N]``: CPU cost of the bill and the two records of an attempt, hot.

In one process, without sockets: an attempt is opened in the ledger, billed and closed, with a spool on the disk. The
records of ``--batch`` attempts are written together, as those of one turn of the loop. The same exchange is made without
that. Rounds are interleaved. The output is the mean of the differences in microseconds, and its upper 95 % bound.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from proxy.billing import bill
from proxy.breakers.breaker import Permit
from proxy.dialects.call import Call
from proxy.dialects.openai.call import REQUESTS
from proxy.dialects.usage import Usage
from proxy.exchange import Attempt, Exchange
from proxy.identity import Client
from proxy.ledger.ledger import Ledger
from proxy.ledger.spool.writer import SpoolWriter
from proxy.observe.metrics import Metrics
from proxy.providers.keys import KeyRing
from proxy.routing.catalog import Catalog
from proxy.routing.endpoints import ENDPOINTS
from tests.bench.admission import LIMIT_US, T_95
from tests.support.catalogs import build

REQUESTS_A_ROUND = 20_000
CALLER = Client("key:bench", key="bench", owner="ann", team="web")
BODY = json.dumps({"model": "m", "messages": [{"role": "user", "content": "x" * 300}]}).encode()
USAGE = Usage(90, None, 20)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.entries", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--batch", type=int, default=8, metavar="N")
    chosen = parser.parse_args()
    rounds: int = chosen.rounds
    later: list[Callable[[], None]] = []
    models = [{"name": "m", "provider": "p", "prices": {"input": 1, "output": 2}}]
    catalog, call = build(models, {"p": {"baseUrl": "http://127.0.0.1:9/v1"}}), REQUESTS.read(BODY)
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder:
        spool = SpoolWriter(Path(folder), limit_bytes=64 << 30, notice=print)
        ledger = Ledger(spool, "refuse", Metrics(), print, later.append)
        with_: list[float] = []
        without: list[float] = []
        for number in range(rounds + 1):
            order = ((with_, ledger), (without, None)) if number % 2 else ((without, None), (with_, ledger))
            for found, kept in order:
                spent = _round(catalog, call, kept, later, chosen.batch)
                if number:  # the first is for warming up
                    found.append(spent)
            for segment in sorted(Path(folder).glob("*"))[:-1]:  # as the recorder does
                segment.unlink(missing_ok=True)
        spool.end()
    differences = [a - b for a, b in zip(with_, without, strict=True)]
    mean = statistics.mean(differences)
    bound = mean + T_95 * statistics.stdev(differences) / len(differences) ** 0.5
    print(f"entries: {mean:.2f} us an attempt, at most {bound:.2f} us (95 %), in {rounds} rounds of {REQUESTS_A_ROUND}")
    print(f"target: {LIMIT_US:.0f} us, {'reached' if bound <= LIMIT_US else 'not reached'}")
    return 0 if bound <= LIMIT_US else 1


def _round(catalog: Catalog, call: Call, ledger: Ledger | None, later: list[Callable[[], None]], batch: int) -> float:
    """Microseconds of CPU an attempt."""
    deployment, key = catalog.deployments[0], KeyRing(()).take(0.0)
    assert key is not None
    begun = time.process_time()
    for number in range(REQUESTS_A_ROUND):
        exchange = Exchange(ENDPOINTS[0], catalog, "abcdef0123456710000000", 0.0, caller=CALLER, model="m")
        attempt = Attempt(deployment, Permit.NORMAL, key, 0.0, 1.7e9)
        exchange.attempts = [attempt]
        if ledger is not None:
            ledger.open(exchange, attempt, call)
        attempt.connected, attempt.headers, attempt.ended = 0.001, 0.2, 0.3
        attempt.usage, attempt.response_model = USAGE, "m"
        exchange.status, exchange.outcome, exchange.bytes_in, exchange.bytes_out = 200, "ok", 340, 900
        if ledger is not None:
            bill(exchange)
            ledger.offer(exchange)
            if number % batch == 0 and later:
                later.pop()()
    return (time.process_time() - begun) / REQUESTS_A_ROUND * 1e6


if __name__ == "__main__":
    sys.exit(main())
