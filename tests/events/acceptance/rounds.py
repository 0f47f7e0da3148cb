"""Kills under load, and what the ledger and the consumers have afterwards."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

import aiormq

from proxy.database.address import Address
from proxy.events.broker.amqp_topology import names_of
from proxy.events.cloudevent import rfc3339
from tests.database.databases import address
from tests.events.acceptance.listener import Listener
from tests.events.acceptance.site import OWNERS, EventSite, event_site
from tests.ledger.recorder.databases import query
from tests.support.gateway import ROOT
from tests.support.rabbit import OwnRabbit
from tests.support.services import postgres_database

CALLERS: Final = 6
PAUSE_SECS: Final = 0.02  # of a caller, between two calls
SETTLED_SECS: Final = 150.0
NAMES: Final = names_of("sluice.events")


class Round(NamedTuple):
    """``calls``: answered with 200. ``received``: messages of billing; ``distinct``: events.

    ``lost``: answered calls without a row, rows without an event, and transfers without one. ``doubled``: calls with
    two rows, and events of a second id, which billing would count twice. ``off``: nano-USD that billing has more than
    the ledger.
    """

    what: str
    kills: int
    calls: int
    rows: int
    received: int
    distinct: int
    lost: int
    doubled: int
    off: int
    secs: float

    @property
    def wrong(self) -> bool:
        return bool(self.lost or self.doubled or self.off or not self.calls)


class Place:
    """Everything that can be killed, with the load and the consumers."""

    def __init__(self, rabbit: OwnRabbit, site: EventSite, where: Address) -> None:
        self.rabbit = rabbit
        self.site = site
        self.where = where
        self.billing = Listener(rabbit.url, NAMES.usage)
        self.analytics = Listener(rabbit.url, NAMES.analytics)
        self.answered: set[str] = set()  # ids of requests
        self.began = time.time()

    async def close(self) -> None:
        await self.billing.close()
        await self.analytics.close()

    @asynccontextmanager
    async def load(self) -> AsyncIterator[None]:
        """Callers of both gateways, until the end of the block."""
        over = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for number in range(CALLERS):
                group.create_task(self._caller("AB"[number % 2], over))
            try:
                yield
            finally:
                over.set()

    async def _caller(self, letter: str, over: asyncio.Event) -> None:
        while not over.is_set():
            try:
                async with asyncio.timeout(30.0):
                    found = await self.site.call(letter)
            except (OSError, EOFError, AssertionError, TimeoutError):
                found = ""  # the gateway was killed, or is not there yet
            if found:
                self.answered.add(found)
            await asyncio.sleep(PAUSE_SECS)

    async def answers(self, more: int) -> None:
        """Wait for so many more answers."""
        wanted = len(self.answered) + more
        async with asyncio.timeout(SETTLED_SECS):
            while len(self.answered) < wanted:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def replay(self) -> None:
        """``sluice events replay``, as the log says after a queue was deleted."""
        path = self.site.folder / "consume.yaml"
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "proxy", "events", "replay", "--config", str(path)),
            *("--from", rfc3339(int(self.began) - 1.0), "--type", "ai_usage", "--receiver", "broker"),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        assert process.returncode == 0, output.decode()

    async def delete_queue(self) -> None:
        connection = await aiormq.connect(self.rabbit.url)
        await (await connection.channel()).queue_delete(NAMES.usage)
        await connection.close()


class Snapshot(NamedTuple):
    calls: int
    rows: int
    received: int
    distinct: int
    lost: int
    doubled: int
    off: int


async def snapshot(place: Place) -> Snapshot:
    rows = await query(place.where, "SELECT id, request_id, cost FROM ledger")
    transfers = {f"txn_{id_}" for (id_,) in await query(place.where, "SELECT id FROM transfers")}
    ids = {str(id_) for id_, _, _ in rows}
    requests = [request for _, request, _ in rows]
    billed = place.billing.of_type("ai_usage")
    lost = len(place.answered - {*requests}) + len(ids - billed.keys())
    lost += len(transfers - place.analytics.of_type("transaction_created").keys())
    doubled = len(requests) - len({*requests}) + len(billed.keys() - ids)
    off = sum(event["data"]["cost"] or 0 for event in billed.values()) - sum(cost or 0 for _, _, cost in rows)
    received = sum(place.billing.seen.values())
    return Snapshot(len(place.answered), len(rows), received, len(billed), lost, doubled, off)


async def settled(place: Place) -> Snapshot:
    """The state once nothing is missing, or the last one."""
    until = asyncio.get_running_loop().time() + SETTLED_SECS
    last: Snapshot | None = None
    while True:
        found = await snapshot(place)
        complete = not found.lost and not found.off
        if (complete and found == last) or asyncio.get_running_loop().time() > until:
            return found
        last = found if complete else None
        await asyncio.sleep(0.5)


# -- what is killed ---------------------------------------------------------------------------------


async def kill_broker(place: Place, dice: random.Random) -> None:
    await place.answers(20)
    await place.rabbit.kill()
    await place.answers(20)
    await place.rabbit.start()


async def alarm(place: Place, dice: random.Random) -> None:
    await place.answers(20)
    await place.rabbit.alarm("disk")
    await place.answers(50)
    await place.rabbit.calm()


async def delete_queue(place: Place, dice: random.Random) -> None:
    await place.answers(20)
    await place.delete_queue()
    await place.answers(20)


async def kill_recorder(place: Place, dice: random.Random) -> None:
    await place.answers(dice.randrange(5, 40))
    await place.site.kill_recorder(dice.choice([*OWNERS]))


async def kill_consumer(place: Place, dice: random.Random) -> None:
    await place.site.consume.kill()
    await place.site.consume.start()
    await place.answers(dice.randrange(40, 120))


async def kill_gateway(place: Place, dice: random.Random) -> None:
    await place.answers(dice.randrange(5, 40))
    letter = dice.choice([*OWNERS])
    await place.site.gateways[letter].kill()
    await place.site.start(letter)


Kill = Callable[[Place, random.Random], Awaitable[None]]

SCENARIOS: Final[dict[str, Kill]] = {
    "recorder": kill_recorder,
    "consumer": kill_consumer,
    "gateway": kill_gateway,
    "queue": delete_queue,
    "alarm": alarm,
    "broker": kill_broker,
}
TITLES: Final = {
    "recorder": "recorder killed",
    "consumer": "sluice ledger consume killed",
    "gateway": "gateway killed",
    "queue": "billing.usage deleted, replayed",
    "alarm": "disk full (alarm)",
    "broker": "RabbitMQ killed and restarted",
}


async def rounds(
    folder: Path, names: Sequence[str], kills: int, seed: int, show: Callable[[Round], None] = lambda _: None
) -> list[Round]:
    """Each of the scenarios, with so many kills."""
    dice, found = random.Random(seed), []
    async with (
        OwnRabbit() as rabbit,
        postgres_database() as database,
        event_site(folder, rabbit.url, NAMES, database) as site,
    ):
        place = Place(rabbit, site, address(database))
        try:
            for name in names:
                found.append(await _round(place, name, kills, dice))
                show(found[-1])
            await site.stop()
        finally:
            await place.close()
    return found


async def _round(place: Place, name: str, kills: int, dice: random.Random) -> Round:
    before = await snapshot(place) if place.answered else Snapshot(0, 0, 0, 0, 0, 0, 0)
    began = time.monotonic()
    async with place.load():
        for _ in range(kills):
            await SCENARIOS[name](place, dice)
        await place.answers(20)
    if name == "queue":
        await _written(place)
        await place.replay()
    after = await settled(place)
    calls, rows, received, distinct = (after[index] - before[index] for index in range(4))
    secs = time.monotonic() - began
    lost, doubled, off = after[4:]
    return Round(TITLES[name], kills, calls, rows, received, distinct, lost, doubled, off, secs)


async def _written(place: Place) -> None:
    """Wait until each answered call has its row: a replay is made of them."""
    with suppress(TimeoutError):
        async with asyncio.timeout(SETTLED_SECS):
            while place.answered - {id_ for (id_,) in await query(place.where, "SELECT request_id FROM ledger")}:  # noqa: ASYNC110
                await asyncio.sleep(0.2)
