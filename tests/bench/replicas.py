"""``python -m tests.bench.replicas [--seconds N]``: accuracy of limits over four processes on one Redis.

A thousand clients send requests as fast as possible to alternating processes. The output compares admitted requests,
in total and per client, with the burst and refill of the buckets. Redis is the one at SLUICE_TEST_REDIS_URL or the standard port.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import sys
import time
from collections import Counter
from contextlib import AsyncExitStack
from typing import Any

import uvloop

from tests.support import RawClient, Upstream, completion, json_answer
from tests.support.gateway import GatewayProcess, one_provider
from tests.support.services import redis_prefix, redis_url

CHAT = "/v1/chat/completions"
ASK: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hello there"}]}
PROCESSES, CLIENTS, CONNECTIONS = 4, 1000, 64
EVERYONE = {"requestsPerMinute": 12_000, "burstSize": 500}
EACH = {"requestsPerMinute": 12, "burstSize": 3}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.replicas", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    return uvloop.run(_run(parser.parse_args().seconds))


async def _run(seconds: float) -> int:
    limits = {
        "enabled": True,
        "store": "redis",
        "global": EVERYONE,
        "perClient": EACH,
        "perAddress": {"enabled": False},
    }
    url = redis_url()
    async with Upstream() as up, redis_prefix(url) as prefix, AsyncExitStack() as stack:
        up.on(lambda request: json_answer(completion("Hi")))
        source = one_provider(up, rateLimiting=limits, redis={"url": url, "prefix": prefix}, logging={"level": "error"})
        gateways = [await stack.enter_async_context(GatewayProcess(source)) for _ in range(PROCESSES)]
        admitted: Counter[str] = Counter()
        statuses: Counter[int] = Counter()
        names = itertools.cycle([f"client-{number}" for number in range(CLIENTS)])
        begun = time.monotonic()

        async def hammer(gateway: GatewayProcess) -> None:
            client: RawClient = await gateway.client()
            while time.monotonic() - begun < seconds:
                name = next(names)
                answer = await client.fetch("POST", CHAT, json=ASK, headers=[("X-Client-ID", name)])
                statuses[answer.status] += 1
                admitted[name] += answer.status == 200
                up.requests.clear()

        await asyncio.gather(*(hammer(gateways[number % PROCESSES]) for number in range(CONNECTIONS)))
        lasted = time.monotonic() - begun
    return _tell(admitted, statuses, lasted)


def _tell(admitted: Counter[str], statuses: Counter[int], lasted: float) -> int:
    total, most = sum(admitted.values()), max(admitted.values())
    allowed = EVERYONE["burstSize"] + EVERYONE["requestsPerMinute"] / 60 * lasted
    allowed_each = EACH["burstSize"] + EACH["requestsPerMinute"] / 60 * lasted
    print(f"{CLIENTS} clients, {PROCESSES} processes, {lasted:.1f} s, answers by status: {dict(statuses)}")
    print(f"admitted: {total}, allowed: {allowed:.1f} ({total / allowed:.2%})")
    print(f"most for one client: {most}, allowed: {allowed_each:.1f}")
    good = allowed * 0.99 <= total <= allowed and most <= allowed_each
    print("within 1 %, and never more than allowed" if good else "NOT within the promised bound")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
