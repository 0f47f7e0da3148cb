"""``python -m tests.bench.budgets [--budgets N] [--rounds N]``: CPU cost of budgets per request, in microseconds.

In one process, without sockets: a call of 2 KB with one attempt reserves its deployment and is settled, with N budgets
in USD and with none; limits are off. Rounds are interleaved. The output is the mean of the differences and its upper
95 % bound. Exit code 1 if that is above the target.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from types import SimpleNamespace
from typing import Any, Final, cast

import uvloop
from msgspec.structs import replace

from proxy.breakers.breaker import Permit
from proxy.config.billing_schema import BudgetSettings
from proxy.config.price_schema import ModelPrices
from proxy.config.provider_schema import ModelSettings, ProviderSettings
from proxy.config.schema import Config, Database
from proxy.dialects.usage import Usage
from proxy.exchange import Attempt, Exchange
from proxy.identity import Client
from proxy.limits.limiter import Limiter
from proxy.limits.opening import open_limiter
from proxy.observe.log import Log
from proxy.observe.metrics import Metrics
from proxy.pricing.bill import Bill
from proxy.pricing.rating import rate
from proxy.routing.catalog import Catalog
from proxy.routing.endpoints import ENDPOINTS
from proxy.routing.live import Registry
from tests.bench.admission import T_95

REQUESTS: Final = 20_000
LIMIT_US: Final = 3.0
CAP: Final = 1_000_000_000.0
BUDGETS: Final = (
    BudgetSettings(name="owner", per="owner", usd=CAP, window="day"),
    BudgetSettings(name="everyone", usd=CAP),
    BudgetSettings(name="model", per="model", usd=CAP, window="week"),
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.budgets", description=__doc__)
    parser.add_argument("--budgets", type=int, default=3, choices=(1, 2, 3))
    parser.add_argument("--rounds", type=int, default=20)
    given = parser.parse_args()
    return uvloop.run(_measure(given.budgets, given.rounds))


async def _measure(budgets: int, rounds: int) -> int:
    config = Config(
        providers={"p": ProviderSettings(base_url="http://127.0.0.1:9/v1")},
        models=[ModelSettings(name="m", provider="p", prices=[ModelPrices(input=1.0, output=4.0)])],
        database=Database(enabled=False),
        budgets=[*BUDGETS[:budgets]],
    )
    with_, without = _Side(config), _Side(replace(config, budgets=[]))
    differences = []
    for number in range(rounds + 1):
        order = (with_, without) if number % 2 else (without, with_)
        found = {id(side): await side.round() for side in order}
        if number:  # the first is for warming up
            differences.append(found[id(with_)] - found[id(without)])
    mean = statistics.mean(differences)
    bound = mean + T_95 * statistics.stdev(differences) / len(differences) ** 0.5
    print(
        f"{budgets} budgets: {mean:.2f} us a request, at most {bound:.2f} us (95 %), in {rounds} rounds of {REQUESTS}"
    )
    print(f"target: {LIMIT_US:.0f} us, {'reached' if bound <= LIMIT_US else 'not reached'}")
    return 0 if bound <= LIMIT_US else 1


class _Side:
    """A limiter, and the calls that it is given."""

    def __init__(self, config: Config) -> None:
        log = Log(sys.stderr.buffer, "info", readable=True)
        self._limiter: Limiter = open_limiter(config, None, Metrics(), log)
        self._catalog = Catalog(config, Registry.of(config.circuit_breaker), version="bench", created=0)
        deployment = self._deployment = self._catalog.deployments[0]
        text = {"model": "m", "max_tokens": 500, "messages": [{"role": "user", "content": "x" * 2000}]}
        self._call = ENDPOINTS[0].dialect.requests.read(json.dumps(text).encode())
        usage = Usage(500, None, 200)
        self._bill = Bill("provider", usage, rate(deployment.prices, usage, time.time()))
        self._key = deployment.provider.keys.take(0.0)
        self._handler: Any = self._limiter.wrap(self._served)
        self._client = Client("key:1", owner="alice")

    async def round(self) -> float:
        """Microseconds of CPU a request."""
        endpoint, request, begun = ENDPOINTS[0], SimpleNamespace(attributed=False), time.process_time()
        for _ in range(REQUESTS):
            exchange = Exchange(endpoint, self._catalog, "bench", 0.0, caller=self._client)
            await self._handler(cast("Any", SimpleNamespace(exchange=exchange, request=request)))
        return (time.process_time() - begun) / REQUESTS * 1e6

    async def _served(self, responder: Any) -> None:
        exchange, deployment = responder.exchange, self._deployment
        reservation = exchange.reservation
        if reservation is not None:
            assert reservation.reserve(deployment, exchange.endpoint, self._call) is True  # in memory: at once
            reservation.header_lines()
        assert self._key is not None
        attempt = Attempt(deployment, Permit.NORMAL, self._key, 0.0, ended=1.0, bill=self._bill)
        exchange.attempts.append(attempt)
        if reservation is not None:
            reservation.settle(exchange)
            exchange.reservation = None


if __name__ == "__main__":
    sys.exit(main())
