"""A day of ten providers with all faults: what the ledger knows is what they bill, to the nano-dollar.

    python -m tests.ledger.day --attempts 1000000

Everything is real and runs over loopback: callers, gateway, spool, recorder, database. The clocks are shortened.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import uvloop
from msgspec import Struct

from proxy.config.schema import Database
from proxy.database.address import address_of
from tests.ledger.load.audit import Audit
from tests.ledger.load.books import Books
from tests.ledger.load.caller import Load
from tests.ledger.load.prices import PROVIDERS
from tests.ledger.load.provider import BillingProvider
from tests.ledger.load.requests import Requests, configuration
from tests.ledger.load.rows import drained, read_rows, read_sums, wrong_hours
from tests.support.client import RawClient
from tests.support.gateway import GatewayProcess

FAULTY = 0.05  # share of faulty answers of the second provider; that of the third is twice as much
DRAIN_SECS = 300.0
LEAST_SECS, LEAST_RATE = 60.0, 200  # the load may take so long, and a second more for so many attempts
SHOWN = 20  # disagreements


class Day(Struct):
    """``attempts``: by the gateway's metrics."""

    audit: Audit
    books: Books
    endings: Counter[str]
    attempts: int
    secs: float


async def day(attempts: int, seed: int, callers: int, database: str = "") -> Day:
    """Run until providers got requests of so many attempts, and compare. ``database``: a URL; ``""``: SQLite."""
    began, books = time.monotonic(), Books()
    providers = [BillingProvider(index, books, FAULTY * index, seed) for index in range(PROVIDERS)]
    async with AsyncExitStack() as stack:
        for provider in providers:
            await provider.start()
            stack.push_async_callback(provider.stop)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sluice-")))
        settings = Database(url=database or f"sqlite:///{folder}/ledger.db")
        config = configuration(
            [provider.url for provider in providers],
            dataDir=str(folder),
            database={"url": settings.url},
            ledger={"enabled": True},
            logging={"level": "error"},
        )
        gateway = await stack.enter_async_context(GatewayProcess(config))
        load = Load(Requests(seed), [gateway.port], callers)
        async with asyncio.timeout(LEAST_SECS + attempts / LEAST_RATE):
            await load.send(lambda: books.attempts >= attempts)
        counted = await _attempts(gateway.port)
        gateway.signal()
        await gateway.wait()
        await drained(folder / "spool", DRAIN_SECS)
        where = address_of(settings, folder)
        audit = Audit(await read_rows(where), books)
        audit.compare_sums(await read_sums(where))
        audit.wrong += await wrong_hours(settings, folder)
        if counted != audit.rows:
            audit.wrong.append(f"{counted} attempts in the metrics, {audit.rows} rows")
    return Day(audit, books, load.endings, counted, time.monotonic() - began)


async def _attempts(port: int) -> int:
    async with RawClient(port) as client:
        page = (await client.fetch("GET", "/metrics")).body.decode()
    lines = [line for line in page.splitlines() if line.startswith("llm_upstream_attempts_total{")]
    return sum(int(float(line.rpartition(" ")[2])) for line in lines)


def table(found: Day) -> Iterator[str]:
    """The accounts of each provider, in nano-USD."""
    audit = found.audit
    yield (
        f"{'':<5} {'attempts':>9} {'none':>8} {'known':>8} {'estimated':>9} {'unknown':>8}"
        f" {'billed nano-USD':>20} {'known nano-USD':>20} {'not read':>15} {'estimated':>15}"
    )
    totals = [sum(column) for column in zip(*audit.accounts, strict=True)]
    for name, each in [*((f"p{n}", account) for n, account in enumerate(audit.accounts)), ("all", totals)]:
        counts, costs = each[:5], each[5:]
        yield (
            f"{name:<5} {counts[0]:>9} {counts[1]:>8} {counts[2]:>8} {counts[3]:>9} {counts[4]:>8}"
            f" {costs[0]:>20} {costs[1]:>20} {costs[2]:>15} {costs[3]:>15}"
        )
    yield f"callers   {', '.join(f'{name} {count}' for name, count in found.endings.most_common())}"
    yield f"faults    {', '.join(f'{name} {count}' for name, count in found.books.faults.most_common())}"
    yield (
        f"requests at providers {found.books.requests}, attempts {found.attempts}, rows {audit.rows}: sent again"
        f" {audit.repeated}, canceled before a provider got them {audit.unseen}, usages not read {audit.unread}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.ledger.day", description=__doc__.split("\n")[0])
    parser.add_argument("--attempts", type=int, default=20_000, metavar="N")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    parser.add_argument("--callers", type=int, default=200, metavar="N")
    parser.add_argument("--database", default="", metavar="URL", help="empty PostgreSQL database (default: SQLite)")
    chosen = parser.parse_args()
    found = uvloop.run(day(chosen.attempts, chosen.seed, chosen.callers, chosen.database))
    print("\n".join(table(found)))
    print(f"{found.secs:.0f} s, disagreements: {len(found.audit.wrong)}")
    for line in found.audit.wrong[:SHOWN]:
        print(f"DISAGREE {line}")
    return 1 if found.audit.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
