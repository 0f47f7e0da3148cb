"""The rounds: load, a kill, and the comparison of the ledger with what the providers got."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from msgspec import Struct

from tests.ledger.kills.budgets import HEADERS, wrong_money
from tests.ledger.kills.site import VICTIMS, Site
from tests.ledger.kills.stores import PostgresStore, SqliteStore, Store
from tests.ledger.load.audit import Audit
from tests.ledger.load.books import Books
from tests.ledger.load.caller import Load
from tests.ledger.load.prices import PROVIDERS
from tests.ledger.load.provider import BillingProvider
from tests.ledger.load.requests import Requests
from tests.ledger.load.rows import read_rows, read_sums, wrong_hours
from tests.support.postgres import OwnPostgres

FAULTY = 0.03  # share of faulty answers of the second provider; that of the third is twice as much
CALLERS = 20
ROUND_SECS = 300.0
SETTLED_SECS = 60.0  # until the rows of a round are there


class Round(Struct, frozen=True):
    """``requests``: that providers got by its end, and since the start; so are the others. ``lost``: rows so closed."""

    number: int
    killed: str
    requests: int
    rows: int
    lost: int
    doubled: int
    missing: int
    secs: float


class Kills(Struct):
    rounds: list[Round]
    audit: Audit


async def kills(
    database: str, victims: Sequence[str], seed: int, show: Callable[[Round], None] = lambda _: None
) -> Kills:
    """A round for each of ``victims``. ``database``: sqlite or postgresql."""
    dice, books, rounds = random.Random(seed), Books(), []
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sluice-", ignore_cleanup_errors=True)))
        store = await stack.enter_async_context(_store(database, folder))
        providers = [BillingProvider(index, books, FAULTY * index, seed, mute=False) for index in range(PROVIDERS)]
        for provider in providers:
            await provider.start()
            stack.push_async_callback(provider.stop)
        site = await stack.enter_async_context(Site(folder, store, [each.url for each in providers], dice))
        load = Load(Requests(seed, headers=HEADERS), site.ports, CALLERS)
        for number, victim in enumerate(victims, 1):
            began = loop.time()
            async with asyncio.timeout(ROUND_SECS):
                killed = await _round(site, load, victim, dice)
                audit = await _settled(store, books)
            counts = (books.requests, audit.rows, audit.lost, audit.doubled, audit.missing)
            found = Round(number, killed, *counts, loop.time() - began)
            rounds.append(found)
            show(found)
        await site.stop()
        undrained = await site.drain()
        audit = Audit(await read_rows(store.address), books)
        audit.compare_sums(await read_sums(store.address))
        audit.wrong += [
            *undrained,
            *await wrong_hours(store.settings, folder),
            *await wrong_money(store.settings, folder),
        ]
    return Kills(rounds, audit)


async def _round(site: Site, load: Load, victim: str, dice: random.Random) -> str:
    """Kill under load. Returns what was killed, when all requests have ended."""
    over = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(load.send(over.is_set))
        await asyncio.sleep(dice.uniform(0.1, 0.6))
        killed = await site.kill(victim)
        await asyncio.sleep(dice.uniform(0.0, 0.3))
        over.set()
    return killed


def draw(database: str, rounds: int, seed: int) -> list[str]:
    """Victims in random order, each as often as the others."""
    dice, every = random.Random(seed), VICTIMS[database]
    found: list[str] = []
    while len(found) < rounds:
        found += dice.sample(every, len(every))
    return found[:rounds]


async def _settled(store: Store, books: Books) -> Audit:
    """The audit once no row is missing; the last one if that does not come."""
    loop = asyncio.get_running_loop()
    until = loop.time() + SETTLED_SECS
    while True:
        try:
            audit = Audit(await read_rows(store.address), books)
        except Exception:  # the database is starting, or has no tables yet
            if loop.time() > until:
                raise
        else:
            if not audit.wrong or loop.time() > until:
                return audit
        await asyncio.sleep(0.1)


@asynccontextmanager
async def _store(database: str, folder: Path) -> AsyncIterator[Store]:
    if database == "sqlite":
        yield SqliteStore(folder)
    else:
        async with OwnPostgres() as server:
            yield PostgresStore(server)
