"""``python -m tests.bench.shared_limits [--rate N] [--seconds N]``: latency that limits in Redis add to a request.

An open loop: ``--rate`` requests per second start at even intervals, independent of earlier ones. Each takes from two
buckets before its body and from one after its plan, as the gateway does; told is the time that both takes have seconds
it together. Redis is the one at SLUICE_TEST_REDIS_URL or the standard port.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time

import uvloop

from proxy.limits.base import Cost, Limit
from proxy.limits.redis import RedisStore
from proxy.redis import RedisClient
from tests.support.services import redis_prefix, redis_url

LIMIT_MS = 3.0
PLENTY = 1e9


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.shared_limits", description=__doc__)
    parser.add_argument("--rate", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=10.0)
    arguments = parser.parse_args()
    return uvloop.run(_measure(arguments.rate, arguments.seconds))


async def _measure(rate: int, seconds: float) -> int:
    shared, client, model = (
        Limit(level, "requestsPerMinute", f"{level}:requestsPerMinute", PLENTY, PLENTY / 60)  # type: ignore[arg-type]
        for level in ("global", "client", "model")
    )
    waited: list[float] = []
    url = redis_url()
    async with redis_prefix(url) as prefix:
        store = RedisStore(RedisClient(url, prefix, 2.0))

        async def request(number: int) -> None:
            begun = time.perf_counter()
            await store.take((Cost(shared, "all"), Cost(client, f"client-{number % 1000}")), number)
            await store.take((Cost(model, "m"),), number)
            waited.append(time.perf_counter() - begun)

        loop = asyncio.get_running_loop()
        spent, begun, count = time.process_time(), loop.time(), int(rate * seconds)
        running: set[asyncio.Task[None]] = set()
        for number in range(count):
            ahead = begun + number / rate - loop.time()
            if ahead > 0:
                await asyncio.sleep(ahead)
            task = loop.create_task(request(number))
            running.add(task)
            task.add_done_callback(running.discard)
        while running:
            await asyncio.wait(running)
        spent = time.process_time() - spent
        await store.close()
    return _report(sorted(waited[rate:]), spent / count, rate)  # the first second is for warming up


def _report(waited: list[float], spent: float, rate: int) -> int:
    p50, p99 = (waited[int(len(waited) * part)] * 1000 for part in (0.5, 0.99))
    print(f"{rate} requests/s: p50 {p50:.2f} ms, p99 {p99:.2f} ms added; {spent * 1e6:.0f} us of CPU a request")
    print(f"target: {LIMIT_MS:.0f} ms, {'reached' if p99 <= LIMIT_MS else 'not reached'}")
    return 0 if p99 <= LIMIT_MS else 1


if __name__ == "__main__":
    sys.exit(main())
