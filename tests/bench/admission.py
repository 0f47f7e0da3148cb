"""``python -m tests.bench.admission [--rounds N]``: CPU cost of admission per request, in microseconds.

In one process, without sockets: a request with an API key goes through the middlewares, reserves its deployment, gets
its header lines and is settled. The same request goes through a gateway without admission. Rounds are interleaved. The
output is the mean of the differences and its upper 95 % bound.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, cast

import uvloop
from multidict import CIMultiDict

from proxy.auth.apikey import new_key
from proxy.auth.credentials import Credentials
from proxy.config.limit_schema import Limits
from proxy.config.provider_schema import ModelSettings, ProviderSettings
from proxy.config.schema import Auth, Config, ConfiguredKey, Database, RateLimiting
from proxy.database.opening import LazyEngine
from proxy.exchange import Exchange
from proxy.limits.limiter import Limiter
from proxy.limits.opening import open_limiter
from proxy.observe.log import Log
from proxy.observe.metrics import Metrics
from proxy.responder import Responder
from proxy.routing.catalog import Catalog
from proxy.routing.endpoints import ENDPOINTS
from proxy.routing.live import Registry

REQUESTS = 20_000
LIMIT_US = 6.0
T_95 = 1.729  # Student's t, one side, 19 degrees of freedom


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.admission", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    return uvloop.run(_measure(parser.parse_args().rounds))


async def _measure(rounds: int) -> int:
    secret, hash_ = new_key()
    plenty = 1_000_000_000
    config = Config(
        providers={"p": ProviderSettings(base_url="http://127.0.0.1:9/v1")},
        models=[ModelSettings(name="m", provider="p")],
        auth=Auth(mode="keys", keys=[ConfiguredKey(name="bench", hash=hash_)]),
        database=Database(enabled=False),
        rate_limiting=RateLimiting(
            enabled=True,
            global_=Limits(requests_per_minute=plenty),
            per_client=Limits(requests_per_minute=plenty, burst_size=plenty),
            per_model=Limits(requests_per_minute=plenty),
        ),
    )
    log = Log(sys.stderr.buffer, "info", readable=True)
    credentials = Credentials(config, {}, LazyEngine(config.database, config.data_dir, print, print), log)
    limiter = open_limiter(config, None, Metrics(), log)
    catalog = Catalog(config, Registry.of(config.circuit_breaker), version="bench", created=0)
    request = SimpleNamespace(
        headers=CIMultiDict({"Host": "localhost", "Authorization": f"Bearer {secret}"}),
        rare=False,
        attributed=False,
        remote="127.0.0.1",
        reply=None,
    )
    guarded, open_ = _handled(credentials, limiter), _nothing
    with_, without = [], []
    for number in range(rounds + 1):
        order = ((with_, guarded), (without, open_)) if number % 2 else ((without, open_), (with_, guarded))
        for found, handler in order:
            spent = await _round(handler, catalog, request)
            if number:  # the first is for warming up
                found.append(spent)
    await credentials.close()
    await limiter.close()
    differences = [a - b for a, b in zip(with_, without, strict=True)]
    mean = statistics.mean(differences)
    bound = mean + T_95 * statistics.stdev(differences) / len(differences) ** 0.5
    print(f"admission: {mean:.2f} us a request, at most {bound:.2f} us (95 %), in {rounds} rounds of {REQUESTS}")
    print(f"target: {LIMIT_US:.0f} us, {'reached' if bound <= LIMIT_US else 'not reached'}")
    return 0 if bound <= LIMIT_US else 1


def _handled(credentials: Credentials, limiter: Limiter) -> Callable[[Responder], Awaitable[None]]:
    async def served(responder: Responder) -> None:
        exchange = responder.exchange
        reservation = exchange.reservation
        assert reservation is not None
        assert reservation.reserve(exchange.catalog.deployments[0], ENDPOINTS[0], None) is True  # in memory: at once
        reservation.header_lines()
        reservation.settle(exchange)

    handler: Any = credentials.authenticator.wrap(limiter.wrap(served))
    return cast("Callable[[Responder], Awaitable[None]]", handler)


async def _nothing(responder: Responder) -> None:
    pass


async def _round(handler: Callable[[Responder], Awaitable[None]], catalog: Catalog, request: Any) -> float:
    """Microseconds of CPU a request."""
    endpoint = ENDPOINTS[0]
    begun = time.process_time()
    for _ in range(REQUESTS):
        await handler(Responder(Exchange(endpoint, catalog, "bench", 0.0), request, request.reply))
    return (time.process_time() - begun) / REQUESTS * 1e6


if __name__ == "__main__":
    sys.exit(main())
