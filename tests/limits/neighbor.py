"""Another process that uses the same Redis: ``python -m tests.limits.neighbor URL PREFIX hammer TAKES``, ``hold`` or
``budget``.
"""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from pathlib import Path

from proxy.limits.base import Cost, Limit
from proxy.limits.redis import RedisStore
from proxy.redis.client import RedisClient
from tests.limits.budget_contract import counter

ROOT = Path(__file__).resolve().parents[2]
LEASE = 2.0  # seconds

# Refilled by one in eleven days.
ONCE = Cost(Limit("global", "requestsPerHour", "global:requestsPerHour", 500.0, 1e-6), "")
HALF = Cost(Limit("client", "tokensPerMinute", "client:tokensPerMinute", 100_000.0, 1e-3), "shared", 137.5)
SLOT = Cost(Limit("model", "concurrent", "model:concurrent", 1.0, 0.0), "gpt")


async def start(url: str, prefix: str, *args: str) -> Process:
    command = [sys.executable, "-m", "tests.limits.neighbor", url, prefix, *args]
    environ = {"PATH": os.environ["PATH"]}
    return await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=environ, stdin=DEVNULL, stdout=PIPE)


async def hammer(store: RedisStore, takes: int) -> int:
    """Return the number of granted takes, with half of them concurrent."""

    async def ask(lease: int) -> bool:
        return (await store.take([ONCE, HALF], lease)).admitted

    granted = [await asyncio.gather(*map(ask, range(takes // 2))) for _ in range(2)]
    return sum(map(sum, granted))


async def _main(url: str, prefix: str, what: str, *takes: str) -> None:
    store = RedisStore(RedisClient(url, prefix, 10.0), lease_secs=LEASE)
    if what == "hammer":
        print(await hammer(store, int(takes[0])))
        await store.close()
    elif what == "budget":
        store.budgets._counters._life = LEASE
        print("held" if (await store.take((), 1, ((counter(100), 60),))).admitted else "refused", flush=True)
        await asyncio.Event().wait()
    else:
        print("held" if (await store.take([SLOT], 1)).admitted else "refused", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
