"""``sluice events replay``: events of a period again, from the rows of the ledger and the transfers."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

from proxy.commands.counted import counted
from proxy.commands.events import REPLAYED
from proxy.config.schema import Config
from proxy.errors import ConfigError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from proxy.events.base import EventReceiver, GatewayEvent

FOREVER: Final = 1e12  # seconds
AT_ONCE: Final = 500  # events in one transaction
FULL_SECS: Final = 1.0  # between two looks at an outbox that is full


async def replay(arguments: argparse.Namespace, config: Config) -> int:
    from proxy.database.upkeep.opened import opened
    from proxy.events.base import receivers_of

    receivers = receivers_of(config.events)
    if arguments.receiver is not None:
        names = ", ".join(each.name for each in receivers) or "none"
        receivers = tuple(each for each in receivers if each.name == arguments.receiver)
        if not receivers:
            raise ConfigError([f"events: there is no receiver {arguments.receiver}; the configuration has {names}"])
    if not receivers:
        raise ConfigError(["events: there are no receivers; set events.url or events.webhooks"])
    end = FOREVER if arguments.end is None else arguments.end
    async with opened(config.database, config.data_dir) as engine:
        for type_ in REPLAYED if arguments.type is None else (arguments.type,):
            takers = [each for each in receivers if each.takes(type_)]
            pages = _EVENTS[type_](engine, arguments.begin, end) if takers else None
            count = 0 if pages is None else await _put(engine, pages, takers, config.events.most_waiting)
            wait = "waits" if count == 1 else "wait"
            print(f"events: {counted(count, f'event of {type_}', f'events of {type_}')} {wait} for", end=" ")
            print(", ".join(each.name for each in takers) or "no receiver, as none takes this type")
    return 0


async def _put(
    engine: AsyncEngine, pages: AsyncGenerator[list[GatewayEvent], None], takers: Iterable[EventReceiver], most: int
) -> int:
    """Put events into the outbox, some at a time, while it has room. Returns how many."""
    from proxy.database.upkeep import replay as again
    from proxy.events.receivers import EventReceivers

    receivers, count, room = EventReceivers([*takers]), 0, 0
    async with aclosing(pages) as found:
        async for page in found:
            for begin in range(0, len(page), AT_ONCE):
                part = page[begin : begin + AT_ONCE]
                rows = [row for event in part for row in receivers.rows(event)]
                if room < len(rows):
                    room = await _room(engine, most)
                await again.put(engine, rows)
                room -= len(rows)
                count += len(part)
    return count


async def _room(engine: AsyncEngine, most: int) -> int:
    """Wait until the outbox has room. Returns for how many; counting a million takes 0.1 s."""
    from proxy.database.upkeep import replay as again

    printed = False
    while (count := await again.waiting(engine)) >= most:
        if not printed:
            print(f"events: the outbox is full ({count:,} events wait); this goes on as they are sent", file=sys.stderr)
            printed = True
        await asyncio.sleep(FULL_SECS)
    return most - count


async def _of_rows(engine: AsyncEngine, begin: float, end: float) -> AsyncGenerator[list[GatewayEvent], None]:
    from proxy.database.upkeep import replay as again
    from proxy.ledger.consumer.messages import row_of
    from proxy.ledger.recorder.announced import usage_event

    async for page in again.ledger_rows(engine, begin, end):
        yield [usage_event(row_of(row)) for row in page]


async def _of_transfers(engine: AsyncEngine, begin: float, end: float) -> AsyncGenerator[list[GatewayEvent], None]:
    from proxy.database.upkeep import replay as again
    from proxy.events.data import transaction_event

    async for page in again.transfers(engine, begin, end):
        yield [
            transaction_event(account, made, balance=balance, sequence=number)
            for account, made, balance, number in page
        ]


_EVENTS: Final[dict[str, Callable[[Any, float, float], AsyncGenerator[list[Any], None]]]] = {
    "ai_usage": _of_rows,
    "transaction_created": _of_transfers,
}
