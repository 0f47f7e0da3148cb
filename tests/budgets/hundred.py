"""A hundred parallel calls against a balance of 0.45 USD, of which 34 fit: ``python -m tests.budgets.hundred``.

The provider answers once each call is either with it or refused, so all that are admitted run at the same time. With
``--store redis`` there are two replicas with one Redis and one PostgreSQL, and with ``--flush`` Redis is emptied when
half of the balance is held. Prints what happened, and exits with 1 if anything is wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from proxy.auth.apikey import new_key
from tests.budgets.audit import Books, books
from tests.support import Wait, completion, json_answer, until
from tests.support.gateway import Gateway, one_provider
from tests.support.patience import PATIENCE
from tests.support.services import OwnRedis, drop_databases, postgres_database
from tests.support.upstream import Upstream

CALLS: Final = 100
BALANCE: Final = 450_000_000  # nano-USD
FIT: Final = 34
INPUT, OUTPUT = 10_000, 100_000  # nano-USD a token; a byte is a token at most
USAGE: Final = {"prompt_tokens": 300, "completion_tokens": 100, "total_tokens": 400}
COST: Final = 300 * INPUT + 100 * OUTPUT
BODY: Final = {"model": "m", "messages": [{"role": "user", "content": "x" * 225}], "max_tokens": 100}
KEY: Final = "balance/total/ann"


class Outcome(Struct):
    """Nano-USD. ``known``: what each gateway takes as spent. ``held``: afterwards, of gateways and Redis."""

    statuses: Counter[str]
    books: Books
    known: list[int]
    held: int

    @property
    def spent(self) -> int:
        return self.statuses["answered"] * COST

    def faults(self) -> list[str]:
        account = self.books.accounts["ann"]
        checks = {
            f"{FIT} calls are answered, and the others refused": self.statuses
            == Counter(answered=FIT, refused=CALLS - FIT),
            "the balance is not overspent": self.spent <= BALANCE,
            "nothing is held": not self.held,
            "the account was charged for the rows of the ledger": account.charges == self.books.rows == self.spent,
            "the transfers add up to the charges": account.charges == self.books.charged,
            "the counter has the rows of the ledger": self.books.counters == {KEY: self.spent},
            "each gateway knows the balance": set(self.known) == {self.spent},
        }
        return [f"not so: {text}" for text, holds in checks.items() if not holds]

    def __str__(self) -> str:
        account = self.books.accounts["ann"]
        counts = ", ".join(f"{count} {status}" for status, count in sorted(self.statuses.items()))
        return (
            f"{counts}; spent {self.spent / 1e9:.3f} USD of {BALANCE / 1e9:.2f}; held afterwards {self.held / 1e9:g};"
            f" balance {account.balance / 1e9:.3f}, by the ledger {(account.credits - self.books.rows) / 1e9:.3f}"
        )


class Site(Struct):
    """What runs: gateways with one ``url`` of their database, and Redis if they share one."""

    up: Upstream
    gateways: Sequence[Gateway]
    running: AsyncExitStack  # stops them
    url: str
    bearer: tuple[str, str]
    gate: asyncio.Event
    redis: OwnRedis | None


async def run(store: str, *, flush: bool = False) -> Outcome:
    with tempfile.TemporaryDirectory() as folder:
        async with _site(store, Path(folder)) as site:
            statuses = await _calls(site, FIT // 2 if flush else CALLS)
            held = await _held(site)
            await until(lambda: set(_known(site)) == {statuses["answered"] * COST}, "the gateways to know the balance")
            known = _known(site)
            await site.running.aclose()
            return Outcome(statuses, await _recorded(site.url, statuses["answered"]), known, held)


@asynccontextmanager
async def _site(store: str, folder: Path) -> AsyncIterator[Site]:
    text, digest, *_ = new_key()
    async with AsyncExitStack() as stack:
        up, gate = await stack.enter_async_context(Upstream()), asyncio.Event()
        up.on(lambda request: [Wait(gate), *json_answer(completion("Hello") | {"usage": USAGE})])
        redis = await stack.enter_async_context(OwnRedis()) if store == "redis" else None
        url = f"sqlite:///{folder}/ledger.db"
        if redis is not None:
            url = await stack.enter_async_context(postgres_database())
        prices = {"input": INPUT / 1000, "output": OUTPUT / 1000}
        sections: dict[str, Any] = {
            "models": [{"name": "m", "provider": "up", "prices": prices}],
            "auth": {"mode": "keys", "keys": [{"name": "k", "owner": "ann", "hash": digest}]},
            "billing": {"enabled": True, "defaultBalance": BALANCE / 1e9},
            "database": {"url": url},
            "ledger": {"enabled": True},
        }
        if redis is not None:
            sections |= {"redis": {"url": redis.url, "timeoutSecs": 10}, "rateLimiting": {"store": "redis"}}
        running = await stack.enter_async_context(AsyncExitStack())
        gateways = [
            await running.enter_async_context(Gateway(one_provider(up, dataDir=f"{folder}/{number}", **sections)))
            for number in range(1 if redis is None else 2)
        ]
        yield Site(up, gateways, running, url, ("Authorization", f"Bearer {text}"), gate, redis)


async def _calls(site: Site, first: int) -> Counter[str]:
    """Make all calls, and empty Redis after the ``first`` ones if that is not all."""
    found: Counter[str] = Counter()

    async def call(number: int) -> None:
        client = await site.gateways[number % len(site.gateways)].client()
        answer = await client.fetch("POST", "/v1/chat/completions", json=BODY, headers=[site.bearer])
        if answer.status == 200:
            found["answered"] += 1
        elif answer.status == 429 and answer.json["error"]["code"] == "insufficient_quota":
            found["refused"] += 1
        else:
            found[f"failed with {answer.status}"] += 1

    def decided() -> int:
        return len(site.up.requests) + found.total()

    calls = [asyncio.create_task(call(number)) for number in range(first)]
    await until(lambda: decided() == first, "the first calls to be decided")
    if first < CALLS:
        await _flush(site)
    calls += [asyncio.create_task(call(number)) for number in range(first, CALLS)]
    await until(lambda: decided() == CALLS, "all calls to be decided")
    site.gate.set()
    await asyncio.gather(*calls)
    return found


async def _flush(site: Site) -> None:
    from redis.asyncio import Redis

    assert site.redis is not None
    async with Redis.from_url(site.redis.url) as client:
        await client.flushall()


async def _held(site: Site) -> int:
    """In the counters of the gateways, and in Redis once it has heard from them."""
    held = sum(counter.held for gateway in site.gateways for counter in gateway.app.limiter.book)
    return held + (await _held_in_redis(site.redis.url) if site.redis is not None else 0)


async def _held_in_redis(url: str) -> int:
    from redis.asyncio import Redis

    end = time.monotonic() + PATIENCE
    async with Redis.from_url(url) as client:
        while True:
            held = 0
            async for key in client.scan_iter(match="*:budget:*"):
                fields = await client.hgetall(key)
                held += sum(int(value) for name, value in fields.items() if name.startswith(b"r:"))
            if not held or time.monotonic() > end:
                return held
            await asyncio.sleep(0.02)  # settlements are sent after so long


def _known(site: Site) -> list[int]:
    counters = [gateway.app.limiter.book.find(KEY) for gateway in site.gateways]
    return [counter.base + counter.spent for counter in counters if counter is not None]


async def _recorded(url: str, attempts: int) -> Books:
    end = time.monotonic() + PATIENCE
    while (found := await books(url)).attempts < attempts and time.monotonic() < end:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    return found


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="A hundred parallel calls against a balance of 0.45 USD.")
    parser.add_argument("--store", choices=("memory", "redis"), default="memory")
    parser.add_argument("--flush", action="store_true", help="empty Redis half-way; with --store redis")
    options = parser.parse_args(arguments)
    if options.flush and options.store != "redis":
        parser.error("--flush needs --store redis")
    try:
        outcome = asyncio.run(run(options.store, flush=options.flush))
    finally:
        drop_databases()
    print(outcome)
    faults = outcome.faults()
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
