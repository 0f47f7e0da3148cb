"""``sluice events dead``: events that a receiver did not take in time, and the dead letters of the broker."""

from __future__ import annotations

import argparse
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from proxy.commands.counted import counted
from proxy.config.schema import Config
from proxy.errors import ConfigError

if TYPE_CHECKING:
    from proxy.database.outbox_rows import DeadEvent
    from proxy.database.outbox_views import OutboxTable
    from proxy.events.broker.reading import DeadLetter


async def dead(arguments: argparse.Namespace, config: Config) -> int:
    """What works is shown, or sent again, although the other place cannot be reached."""
    again = arguments.send_again
    if again is not None:
        return await _send_again(config, frozenset(again) or None)
    shown: list[int] = []

    async def events() -> None:
        found = await _dead_events(config, arguments.most)
        shown.append(_print(map(_of_event, found), arguments.json))

    async def letters() -> None:
        found = await _dead_letters(config, arguments.most)
        shown.append(_print(map(_of_letter, found), arguments.json))

    status = await _each(config, events, letters)
    if not any(shown) and not status:
        print("events: nothing is dead", file=sys.stderr)
    return status


async def _send_again(config: Config, ids: frozenset[str] | None) -> int:
    """Returns the exit status: 1 also if nothing dead has one of ``ids``."""
    sent: list[int] = []

    async def events() -> None:
        sent.append(await _send_dead_again(config, ids))

    async def letters() -> None:
        sent.append(await _send_letters_again(config, ids))

    status = await _each(config, events, letters)
    if ids and not any(sent) and not status:
        print(f"events: nothing dead has the id {' or '.join(sorted(ids))}", file=sys.stderr)
        return 1
    return status


async def _each(config: Config, database: Callable[[], Awaitable[None]], broker: Callable[[], Awaitable[None]]) -> int:
    """Use the places that there are. Returns the exit status."""
    steps = ([database] if config.database.enabled else []) + ([broker] if config.events.url else [])
    if not steps:
        raise ConfigError(["events: there is no database (database.enabled) and no broker (events.url)"])
    status = 0
    for step in steps:
        try:
            await step()
        except ConfigError as error:
            print("\n".join(error.mistakes), file=sys.stderr)
            status = 1
    return status


async def _dead_events(config: Config, most: int) -> list[DeadEvent]:
    from proxy.database.outbox_rows import DeadFilter

    if not await _has_tables(config):
        return []
    async with _outbox(config) as table:
        return await table.dead(DeadFilter(), most)


async def _send_dead_again(config: Config, ids: frozenset[str] | None) -> int:
    from proxy.database.outbox_rows import DeadFilter

    if not await _has_tables(config):
        return 0
    wanted, count, more = DeadFilter(ids=None if ids is None else sorted(ids)), 0, True
    async with _outbox(config) as table:
        while more:
            changed = await table.send_again(wanted)
            count, more = count + changed.count, changed.more
    print(f"events: {counted(count, 'dead event')} of the outbox {'waits' if count == 1 else 'wait'} again")
    return count


@asynccontextmanager
async def _outbox(config: Config) -> AsyncIterator[OutboxTable]:
    """Raises ConfigError if the database cannot be used."""
    from proxy.database.address import address_of
    from proxy.database.engine import Engine
    from proxy.database.health import DatabaseHealth, Unreachable
    from proxy.database.outbox_views import OutboxTable

    address = address_of(config.database, config.data_dir)
    engine = Engine(address, DatabaseHealth())
    try:
        yield OutboxTable(engine)
    except Unreachable as error:
        raise ConfigError([f"database: {address} cannot be used: {error}"]) from None
    finally:
        await engine.close()


async def _has_tables(config: Config) -> bool:
    """``False``: there is no database yet. Raises ConfigError if it cannot be used."""
    from proxy.database.address import address_of
    from proxy.database.opening import compare
    from proxy.database.upkeep.opened import PATIENCE

    revisions = await compare(config.database, config.data_dir, PATIENCE)
    if revisions is None or revisions.before is None:
        return False
    if revisions.before != revisions.after:
        address = address_of(config.database, config.data_dir)
        raise ConfigError([f"events: the tables of {address} are not up to date; run `sluice db upgrade`"])
    return True


async def _dead_letters(config: Config, most: int) -> list[DeadLetter]:
    from proxy.events.broker.base import BrokerUnavailable
    from proxy.events.broker.opening import open_dead_letters

    letters = open_dead_letters(_broker(config))
    try:
        return await letters.look(most)
    except BrokerUnavailable as error:
        raise ConfigError([f"events.url: the broker cannot be used: {error}"]) from None
    finally:
        await letters.close()


async def _send_letters_again(config: Config, ids: frozenset[str] | None) -> int:
    from proxy.events.broker.base import BrokerUnavailable
    from proxy.events.broker.opening import open_dead_letters

    letters = open_dead_letters(_broker(config))
    try:
        count = await letters.send_again(ids)
    except BrokerUnavailable as error:
        raise ConfigError([f"events.url: the broker cannot be used: {error}"]) from None
    finally:
        await letters.close()
    print(f"events: {counted(count, 'dead letter')} of the broker {'was' if count == 1 else 'were'} moved back")
    return count


def _broker(config: Config) -> Any:
    """Raises ConfigError if its package is missing."""
    from proxy.events.settings import broker_settings
    from proxy.ledger.opening import require_broker

    require_broker(config)
    return broker_settings(config.events, ledger=config.ledger.mode == "events")


def _of_event(event: DeadEvent) -> dict[str, Any]:
    return {
        "id": event.id,
        "type": event.type,
        "receiver": event.receiver,
        "at": event.at,
        "dead_at": event.dead_at,
        "tries": event.tries,
        "reason": event.error,
        "body": _json(event.body.encode()),
    }


def _of_letter(letter: DeadLetter) -> dict[str, Any]:
    return {
        "id": letter.id,
        "type": letter.type,
        "queue": letter.queue,
        "dead_at": letter.at or None,
        "reason": letter.reason,
        "body": _json(letter.body),
    }


def _json(body: bytes) -> object:
    """The body as JSON, or as text if it is none."""
    try:
        return msgspec.Raw(body) if body and msgspec.json.decode(body) is not None else None
    except (ValueError, RecursionError):
        return body.decode("utf-8", "replace")


def _print(found: Iterable[dict[str, Any]], as_json: bool) -> int:
    count = 0
    for count, each in enumerate(found, 1):  # noqa: B007 - it is returned
        print(msgspec.json.encode(each).decode() if as_json else _line(each))
    return count


def _line(dead: dict[str, Any]) -> str:
    place = dead.get("receiver") or f"queue {dead['queue'] or 'unknown'}"
    at = dead["dead_at"]
    moment = "at an unknown time" if at is None else f"{datetime.fromtimestamp(at, UTC):%FT%TZ}"
    tries = f" after {counted(dead['tries'], 'try', 'tries')}" if dead.get("tries") else ""
    return f"{moment}  {dead['type'] or 'no type'}  {dead['id']}  {place}{tries}: {dead['reason'] or 'no reason'}"
