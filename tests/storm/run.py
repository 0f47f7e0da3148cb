"""Run a storm: start the servers, send the requests, wait for idle, compare the records."""

from __future__ import annotations

import asyncio
import random
import socket
from collections import Counter, deque
from itertools import count

from tests.storm.accounts import Ledger
from tests.storm.caller import Account, Caller
from tests.storm.faults import EVERY, GOOD
from tests.storm.provider import Provider, SeenRequest
from tests.storm.traffic import PlannedRequest, configuration, planned_requests
from tests.support.client import RawClient
from tests.support.gateway import Gateway
from tests.support.lives import at_rest
from tests.support.recorded_ledger import keep_ledger

AT_ONCE = 100
FAULTY = 0.5  # the configured share of faulty responses; at least LEAST is required
LEAST = 0.3
ENOUGH = 1000  # with this many requests every fault occurs


async def storm(requests: int, seed: int, limit: float, hedge: int = 0) -> Ledger:
    """Return the audited records. ``hedge``: milliseconds, 0 for never. Raises TimeoutError after ``limit`` seconds."""
    order, stray = count(), []
    # An exception in a callback is a defect.
    asyncio.get_running_loop().set_exception_handler(lambda _, context: stray.append(f"stray: {context!r}"))
    every = planned_requests(requests, seed)
    counting = frozenset(planned.name for planned in every if planned.wants_usage)
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
                    _, spool = keep_ledger(gateway)
                    accounts = await _send_all(gateway.port, every)
                    await at_rest(gateway)
                    page = await _metrics(gateway.port)
                    lines, words = gateway.exchanges, gateway.log_lines
        finally:
            for provider in providers:
                await provider.stop()
    spool.check()
    requests_seen = [each for provider in providers for each in provider.recorded]
    ledger = Ledger(accounts, lines, requests_seen, page, spool.rows, hedged=hedge > 0)
    ledger.wrong += [*stray, *(mistake for provider in providers for mistake in provider.mistakes)]
    ledger.wrong += [line for line in words if "inside the gateway" in line]
    ledger.wrong += _missing_faults((*one.recorded, *two.recorded), requests)
    ledger.audit()
    return ledger


async def _send_all(port: int, every: list[PlannedRequest]) -> list[Account]:
    waiting, accounts = deque(every), []

    async def caller() -> None:
        mine = Caller(port)
        while waiting:
            accounts.append(await mine.send(waiting.popleft()))
        mine.close()

    await asyncio.gather(*(caller() for _ in range(min(AT_ONCE, len(every)))))
    return accounts


async def _metrics(port: int) -> str:
    async with RawClient(port) as client:
        return (await client.fetch("GET", "/metrics")).body.decode()


def _dead_port() -> socket.socket:
    """Reserve a port that refuses connections: bound, but without a listener."""
    dead = socket.socket()
    dead.bind(("127.0.0.1", 0))
    return dead


def _missing_faults(recorded: tuple[SeenRequest, ...], requests: int) -> list[str]:
    played = Counter(each.fault.name for each in recorded)
    faulty = 1 - (played[GOOD.name] + played["slow"]) / max(1, len(recorded))
    missing_share = [] if faulty >= LEAST else [f"only {faulty:.0%} of the responses were faulty"]
    missing = EVERY - played.keys() - {"rejected key"} if requests >= ENOUGH else ()
    return missing_share + [f"the fault {name!r} did not occur" for name in missing]
