"""How long a change of services or routes, or a scrape, holds the event loop, and when a change is in force.

    python -m tests.bench.services_change [--services 1000] [--rounds 7]

Holds are the longest turn of the loop in CPU time of its thread, on uvloop, so that other work on the machine does not
count. Rounds differ by what the processor's caches hold: the least of them is judged, and the median is printed. Times
until something is in force are those of the clock, so they have the share of other processes. A busy loop finds all
answers there, and the time begins with them. Else it begins with the change at the agent, and has the time that the
agent takes to answer. The agent of Consul is the one of the tests, in a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median

import aiohttp  # noqa: F401  imported when the gateway starts
import uvloop

from proxy.addresses.book import AddressBook
from proxy.config.own_paths import OwnPaths
from proxy.config.schema import Database
from proxy.config.service_schema import ConsulSettings, DiscoverySettings, ServerAddress, ServiceSettings
from proxy.control.services.writer import with_changes
from proxy.database.address import address_of
from proxy.database.migrate import upgrade
from proxy.database.opening import LazyEngine
from proxy.observe.exposition import render
from proxy.observe.metrics import Metrics
from proxy.services.counting import address_samples
from proxy.services.discovery.consul.opening import POLLS
from proxy.services.discovery.runner import DiscoveryRunner
from proxy.services.entries import Entries, RoutingEntry
from proxy.services.live import LiveServices
from proxy.services.store.base import EntryChange
from proxy.services.store.database import DatabaseEntries
from proxy.services.store.follower import EntryFollower
from proxy.services.store.sqlite_version import SqliteVersion
from tests.bench.child import Child, cores
from tests.bench.loop_turns import LoopTurns

MOST_HOLD_MS = 5.0
MOST_LATE_MS = 100.0
HELD_SECS = 1.0  # for so long the loop does nothing else, so that all answers are there at once


class Figure:
    """The rounds of one case: milliseconds that the loop was held, and until the change was in force."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.holds: list[float] = []
        self.late: list[float] = []
        self.timely = True  # whether it must be in force soon

    @property
    def reached(self) -> bool:
        return min(self.holds) <= MOST_HOLD_MS and (not self.timely or min(self.late, default=0.0) <= MOST_LATE_MS)

    def __str__(self) -> str:
        text = f"{self.name:55} held {min(self.holds):6.2f} ms (median {median(self.holds):6.2f})"
        if self.late:
            text += f", in force after {min(self.late):6.1f} ms (median {median(self.late):6.1f})"
        return text + ("" if self.reached else "  NOT REACHED")


def services_of(now: Callable[[], float] = time.monotonic) -> LiveServices:
    return LiveServices(
        AddressBook(), now=now, context=lambda _: None, own=OwnPaths(""), warn=lambda *_, **more: print(more)
    )


def entries_of(count: int) -> Entries:
    """Services with three addresses each, and a route to each."""
    made: list[RoutingEntry] = []
    for number in range(count):
        urls = [f"http://10.{number // 250}.{number % 250}.{each}:80" for each in range(1, 4)]
        made.append(RoutingEntry("service", f"service-{number}", {"addresses": urls}, 1))
        made.append(
            RoutingEntry("route", f"r{number}", {"path": f"/api/v1/{number}", "service": f"service-{number}"}, 1)
        )
    return Entries.of(1, made)


async def definitions(count: int, rounds: int) -> list[Figure]:
    """Changes of what the store has."""
    live, entries = services_of(), entries_of(count)
    adopt = live.adopt_entries
    adopt(entries)
    service = {"addresses": ["http://10.9.9.9:80"]}
    figures = [Figure("a route changes"), Figure("a route joins and leaves"), Figure("a service changes")]
    for number in range(rounds):
        version = 2 + 10 * number
        changes = (
            [RoutingEntry("route", "r7", {"path": f"/other/{number}", "service": "service-7"}, version)],
            [RoutingEntry("route", f"new{number}", {"path": f"/new/{number}", "service": "service-7"}, version + 1)],
            [RoutingEntry("service", "service-7", {**service, "weight": number + 2}, version + 2)],
        )
        for figure, [change] in zip(figures, changes, strict=True):
            entries = entries.put(change)
            async with LoopTurns() as turns:
                adopt(entries)
            figure.holds.append(turns.longest)
    return figures


async def stored(count: int, rounds: int, folder: Path) -> list[Figure]:
    """A change by the admin API that is checked, stored and put in force, and at another replica that follows."""
    address = address_of(Database(), str(folder))
    await upgrade(address)
    engines = [LazyEngine(Database(), folder, print, print) for _ in range(2)]
    replicas = [services_of(), services_of()]
    own, other = [
        EntryFollower(DatabaseEntries(engine, SqliteVersion(address.target)), live.adopt_entries, print, print)
        for engine, live in zip(engines, replicas, strict=True)
    ]
    everything = [EntryChange(each.kind, each.name, each.body) for each in entries_of(count).by_key.values()]
    for first in range(0, len(everything), 100):  # a transaction may take 2 s
        await own.change(lambda _: everything[first : first + 100], "bench")  # noqa: B023  called at once
    await other.look()
    figures = [Figure(f"one of {count} routes is changed by the API"), Figure("the same at another replica")]
    for number in range(rounds):
        change = EntryChange("route", "r7", {"path": f"/other/{number}", "service": "service-7"})

        def plan(entries: Entries, change: EntryChange = change) -> list[EntryChange]:
            replicas[0].check(with_changes(entries, [change]))
            return [change]

        for figure, follower in zip(figures, (own, other), strict=True):
            began = time.monotonic()
            async with LoopTurns() as turns:
                await (follower.change(plan, "bench") if follower is own else follower.look())
            figure.holds.append(turns.longest)
            figure.late.append((time.monotonic() - began) * 1000)
            figure.timely = False
    assert replicas[1].table.by_id["r7"].settings.path == f"/other/{rounds - 1}"
    for engine in engines:
        await engine.close()
    return figures


async def scrapes(count: int, rounds: int) -> list[Figure]:
    """All metrics, with so many services of three addresses, or with so many addresses of one service."""
    many = [ServerAddress(url=f"http://10.0.{number // 250}.{number % 250}:80") for number in range(count)]
    spread, single = services_of(), services_of()
    spread.adopt_entries(entries_of(count))
    single.book.put("one", ServiceSettings(), many, 0.0)
    figures = []
    for live, what in ((spread, f"{count} services"), (single, f"a service of {count} addresses")):
        metrics, figure = Metrics(), Figure(f"a scrape with {what}")
        metrics.services.addresses = lambda book=live.book: address_samples(book, time.monotonic)  # type: ignore[misc]
        for _ in range(rounds):
            async with LoopTurns() as turns:
                await render(metrics, None)
            figure.holds.append(turns.longest)
        figures.append(figure)
    return figures


class Discovered:
    """Services that are found by Consul."""

    def __init__(self, url: str, count: int) -> None:
        self.live = services_of()
        settings = DiscoverySettings(consul=ConsulSettings(url=url))
        self.runner = DiscoveryRunner(self.live, settings, environ={}, warn=print, info=print)
        self.live.on_service.append(lambda name: self.runner.put(name, self.live.services[name].settings))
        self.entries = Entries.of(
            1,
            [
                RoutingEntry("service", f"service-{number}", {"consul": {"service": f"service-{number}"}}, 1)
                for number in range(count)
            ],
        )

    def sizes(self, first: int, services: int) -> list[int]:
        """How many addresses each of so many services has, from the first on."""
        return [len(self.live.book.group(f"service-{each}").addresses) for each in range(first, first + services)]


async def consul(count: int, changed: int, rounds: int, folder: Path) -> list[Figure]:
    """``changed`` services of ``count`` get another instance each, at once."""
    many = f"{changed} of {count} services change in Consul"
    start, busy, idle = Figure(f"{count} services of Consul begin"), Figure(f"{many}, loop busy"), Figure(many)
    idle.timely = False  # has the time that the agent takes to answer
    busy.timely = count <= POLLS  # else queries take turns
    async with AsyncExitStack() as stack:
        command = [sys.executable, "-m", "tests.bench.consul_agent", str(count)]
        child = Child(command, cores()[1], folder / f"agent-{count}-{changed}", pipes=True)
        stack.callback(child.stop)
        assert child.process.stdin is not None
        found = Discovered(child.output.readline().strip(), count)
        stack.push_async_callback(found.runner.close)
        found.live.adopt_entries(found.entries)
        async with LoopTurns() as turns:
            found.runner.start()
            await happened(lambda: found.sizes(0, count) == [1] * count)
        start.holds.append(turns.longest)
        for number in range(2 * rounds):
            figure = (busy, idle)[number % 2]
            await asyncio.sleep(1.0)  # until all queries wait again
            first = 97 * number % (count - changed + 1)  # not the one whose turn was last
            wanted = [each + 1 for each in found.sizes(first, changed)]
            async with LoopTurns() as turns:
                child.process.stdin.write(f"{first} {changed} {9000 + number}\n")
                child.process.stdin.flush()
                if figure is busy:
                    time.sleep(HELD_SECS)  # noqa: ASYNC251  on purpose
                began = time.monotonic()
                await happened(lambda: found.sizes(first, changed) == wanted)  # noqa: B023  ends before the next round
                ended = time.monotonic()
            changed_at = float(child.output.readline())
            figure.holds.append(turns.longest)
            figure.late.append((ended - (began if figure is busy else changed_at)) * 1000)
    return [start, busy, idle]


async def happened(done: Callable[[], bool]) -> None:
    while not done():  # noqa: ASYNC110  other processes make it happen
        await asyncio.sleep(0)


async def measure(count: int, rounds: int) -> int:
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as name:
        cases: Sequence[Awaitable[list[Figure]]] = [
            definitions(count, rounds),
            stored(count, rounds, Path(name)),
            scrapes(count, rounds),
            consul(POLLS, 1, rounds, Path(name)),
            consul(POLLS, POLLS, rounds, Path(name)),
            consul(count, 1, rounds, Path(name)),
        ]
        for each in cases:
            for figure in await each:
                print(figure, flush=True)
                figures.append(figure)
    return int(not all(each.reached for each in figures))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.services_change", description=__doc__)
    parser.add_argument("--services", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    return uvloop.run(measure(given.services, given.rounds))


if __name__ == "__main__":
    sys.exit(main())
