"""The order of play: start everybody, ask, let it come to rest, compare the books."""

from __future__ import annotations

import asyncio
import random
import socket
from collections import Counter, deque
from itertools import count

from tests.storm.accounts import Books
from tests.storm.caller import Account, Caller
from tests.storm.faults import EVERY, GOOD
from tests.storm.provider import Heard, Provider
from tests.storm.traffic import KeyFields, configuration, wishes
from tests.support.client import RawClient
from tests.support.gateway import Gateway
from tests.support.lives import at_rest

AT_ONCE = 100
FAULTY = 0.5  # how many answers are meant to be; at least LEAST must be
LEAST = 0.3
ENOUGH = 1000  # so many requests meet every fault


async def storm(requests: int, seed: int, limit: float, hedge: int = 0) -> Books:
    """The audited books. ``hedge``: milliseconds, 0 for never. Raises TimeoutError after ``limit`` seconds."""
    order, stray = count(), []
    # Whatever escapes from a callback is a mistake of somebody's.
    asyncio.get_running_loop().set_exception_handler(lambda _, context: stray.append(f"stray: {context!r}"))
    every = wishes(requests, seed)
    counting = frozenset(wish.name for wish in every if wish.wants_usage)
    one, two = Provider("one", order, seed, FAULTY, counting), Provider("two", order, seed, FAULTY, counting)
    healthy, vault = Provider("healthy", order), Provider("vault", order)
    providers = (one, two, healthy, vault)
    async with asyncio.timeout(limit):
        for provider in providers:
            await provider.start()
        try:
            with _dead_port() as dead:
                address = f"http://127.0.0.1:{dead.getsockname()[1]}/v1"
                config = configuration(one.url, two.url, healthy.url, vault.url, address, hedge)
                async with Gateway(config, chance=random.Random(seed)) as gateway:
                    accounts = await _asked(gateway.port, every)
                    await at_rest(gateway)
                    page = await _metrics(gateway.port)
                    lines, words = gateway.exchanges, gateway.log_lines
        finally:
            for provider in providers:
                await provider.stop()
    books = Books(accounts, lines, [each for provider in providers for each in provider.heard], page, hedged=hedge > 0)
    books.wrong += [*stray, *(mistake for provider in providers for mistake in provider.mistakes)]
    books.wrong += [line for line in words if "inside the gateway" in line]
    books.wrong += _too_tame((*one.heard, *two.heard), requests)
    books.audit()
    return books


async def _asked(port: int, every: list[KeyFields]) -> list[Account]:
    waiting, accounts = deque(every), []

    async def caller() -> None:
        mine = Caller(port)
        while waiting:
            accounts.append(await mine.ask(waiting.popleft()))
        mine.close()

    await asyncio.gather(*(caller() for _ in range(min(AT_ONCE, len(every)))))
    return accounts


async def _metrics(port: int) -> str:
    async with RawClient(port) as client:
        return (await client.fetch("GET", "/metrics")).body.decode()


def _dead_port() -> socket.socket:
    """A port that refuses, and that nobody else gets meanwhile: bound, but nobody listens."""
    dead = socket.socket()
    dead.bind(("127.0.0.1", 0))
    return dead


def _too_tame(heard: tuple[Heard, ...], requests: int) -> list[str]:
    played = Counter(each.fault.name for each in heard)
    faulty = 1 - (played[GOOD.name] + played["slow"]) / max(1, len(heard))
    tame = [] if faulty >= LEAST else [f"only {faulty:.0%} of the answers were faulty"]
    missing = EVERY - played.keys() - {"refused key"} if requests >= ENOUGH else ()
    return tame + [f"nobody met the fault {name!r}" for name in missing]
