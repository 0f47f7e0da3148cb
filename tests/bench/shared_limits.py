"""``python -m tests.bench.shared_limits [--rate N] [--seconds N] [--budgets N]``: latency that limits in Redis add to a request.

An open loop: ``--rate`` requests per second start at even intervals, independent of earlier ones. Each takes from two
buckets before its body and from one after its plan, as the gateway does; told is the time that both takes have seconds
it together. With ``--budgets``, the second take also holds an amount in as many counters (one of all clients, the
others of a client), which is billed at the end. Redis is the one at SLUICE_TEST_REDIS_URL or the standard port.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from zoneinfo import ZoneInfo

import uvloop

from proxy.budgets.base import BudgetCounter, SpendBudget
from proxy.limits.base import Cost, Limit
from proxy.limits.redis import RedisStore
from proxy.redis.client import RedisClient
from tests.support.services import redis_prefix, redis_url

LIMIT_MS = 3.0
PLENTY = 1e9
CLIENTS = 1000


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.shared_limits", description=__doc__)
    parser.add_argument("--rate", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--budgets", type=int, default=0)
    arguments = parser.parse_args()
    return uvloop.run(_measure(arguments.rate, arguments.seconds, arguments.budgets))


def _counters(budgets: int) -> list[tuple[BudgetCounter, ...]]:
    """Those of each client."""

    def counter(place: int, subject: str) -> BudgetCounter:
        budget = SpendBudget(f"budget-{place}", "owner", "usd", 10**15, "day", ZoneInfo("UTC"))
        return BudgetCounter(f"{budget.name}/2026-11-29/{subject}", budget, subject, None, budget.cap)

    shared = counter(0, "")
    return [
        tuple(counter(place, f"client-{client}") if place else shared for place in range(budgets))
        for client in range(CLIENTS)
    ]


async def _measure(rate: int, seconds: float, budgets: int) -> int:
    counters = _counters(budgets)
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
            await store.take((Cost(shared, "all"), Cost(client, f"client-{number % CLIENTS}")), number)
            mine = counters[number % CLIENTS]
            await store.take((Cost(model, "m"),), number, tuple([(counter, 1000) for counter in mine]))
            waited.append(time.perf_counter() - begun)
            if mine:
                store.settle((), (), number, [(counter, 1000, 300) for counter in mine])

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
