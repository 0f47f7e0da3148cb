"""``python -m tests.bench.observing [--rounds N] [--request US]``: CPU cost of metrics and dashboard per request.

In one process, without sockets: exchanges are settled with metrics alone, and with metrics and the recorder of the
dashboard, in batches as at 1,000 requests a second. Rounds are interleaved. The output is the mean of the differences,
its upper 95 % bound, and the share of a request that costs ``--request`` microseconds (tests/bench/RESULTS.md).
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Sequence

import uvloop

from proxy.config.provider_schema import ModelSettings, ProviderSettings
from proxy.config.schema import Config
from proxy.control.activity.recorder import Recorder
from proxy.dialects.usage import Usage
from proxy.exchange import Attempt, Exchange
from proxy.observe.metrics import Metrics
from proxy.observe.observers import LossyObserver
from proxy.routing.catalog import Catalog
from proxy.routing.endpoints import ENDPOINTS
from proxy.routing.live import Registry
from tests.bench.admission import T_95

EXCHANGES = 20_000
BATCH = 20
LIMIT = 0.03


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.observing", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--request", type=float, default=92.0, help="CPU of a whole request, us")
    arguments = parser.parse_args()
    return uvloop.run(_measure(arguments.rounds, arguments.request))


async def _measure(rounds: int, request: float) -> int:
    config = Config(
        providers={"p": ProviderSettings(base_url="http://127.0.0.1:9/v1")},
        models=[ModelSettings(name="m", provider="p")],
    )
    catalog = Catalog(config, Registry.of(config.circuit_breaker), version="bench", created=0)
    metrics = Metrics(version="bench")
    metrics.set_labels((d.provider.name, d.upstream_model or "") for d in catalog.deployments)
    recorder = Recorder(asyncio.get_running_loop(), lambda: 0, lambda: None, config.observe.keep_requests)
    without: list[float] = []
    with_: list[float] = []
    for number in range(rounds + 1):
        pair: list[tuple[list[float], tuple[LossyObserver[Exchange], ...]]] = [
            (without, (metrics.settle,)),
            (with_, (metrics.settle, recorder.settle)),
        ]
        for found, reports in pair if number % 2 else reversed(pair):
            spent = _round(catalog, reports)
            if number:  # the first is for warming up
                found.append(spent)
    differences = [after - before for before, after in zip(without, with_, strict=True)]
    mean = statistics.mean(differences)
    bound = mean + T_95 * statistics.stdev(differences) / len(differences) ** 0.5
    print(f"the operator's view: {mean:.2f} us an exchange, at most {bound:.2f} us (95 %), in {rounds} rounds")
    share = bound / request
    print(
        f"of a request of {request:.0f} us: {share:.1%}; {'reached' if share <= LIMIT else 'not reached'}: {LIMIT:.0%}"
    )
    return 0 if share <= LIMIT else 1


def _round(catalog: Catalog, reports: Sequence[LossyObserver[Exchange]]) -> float:
    """Microseconds of CPU an exchange."""
    exchanges = [_exchange(catalog, number) for number in range(EXCHANGES)]
    begun = time.process_time()
    for begin in range(0, EXCHANGES, BATCH):
        ended = exchanges[begin : begin + BATCH]
        for report in reports:
            report(ended)
    return (time.process_time() - begun) / EXCHANGES * 1e6


def _exchange(catalog: Catalog, number: int) -> Exchange:
    deployment = catalog.deployments[0]
    entry = deployment.live.breaker.acquire("chat/completions", 0.0)
    key = deployment.provider.keys.take(0.0)
    assert key is not None
    attempt = Attempt(deployment, entry, key, 1.0, connected=1.0, headers=1.1, ended=1.2)
    return Exchange(
        ENDPOINTS[0],
        catalog,
        f"bench-{number}",
        1.0,
        model="m",
        provider="p",
        request_model="m",
        attempts=[attempt],
        status=200,
        outcome="ok",
        ended=1.2,
        usage=Usage(25, None, 250, None),
    )


if __name__ == "__main__":
    sys.exit(main())
