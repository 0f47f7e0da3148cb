"""``sluice ledger``: verify sums, budgets and accounts, export rows, forget an owner, take rows from the broker."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from proxy.commands.counted import counted
from proxy.commands.loading import load, source_of
from proxy.config.schema import Config
from proxy.errors import ConfigError

if TYPE_CHECKING:
    from proxy.database.upkeep.verify import Difference

FOREVER = 1e12  # seconds
STDERR = 2
ELSEWHERE = "ledger: ledger.mode is events, so this database has only rows that `sluice ledger consume` writes into it"


def main(arguments: argparse.Namespace) -> int:
    """Run a parsed command. Returns its exit status: 1 if the database cannot be used, or figures differ."""
    loaded = load(source_of(arguments))
    if loaded is None:
        return 1
    try:
        return asyncio.run(_run(arguments, loaded.config))
    except ConfigError as error:
        print("\n".join(error.mistakes), file=sys.stderr)
        return 1


async def _run(arguments: argparse.Namespace, config: Config) -> int:
    if config.ledger.mode == "events" and arguments.ledger_command != "consume":
        print(ELSEWHERE, file=sys.stderr)
    return await _STEPS[arguments.ledger_command](arguments, config)


async def _consume(arguments: argparse.Namespace, config: Config) -> int:
    from proxy.database.address import address_of, missing_package
    from proxy.events.settings import event_settings
    from proxy.ledger.consumer.process import ConsumerSettings, run_consumer
    from proxy.ledger.opening import require_broker
    from proxy.ledger.recorder.lines import LineWriter

    if not config.events.url:
        raise ConfigError(["ledger consume: events.url is missing, the broker that has the rows"])
    if not config.database.enabled:
        raise ConfigError(["ledger consume: database.enabled is false, but the rows go into a database"])
    address = address_of(config.database, config.data_dir)
    if missing := missing_package(address):  # without an import: SQLAlchemy is large, and only migrations need it
        raise ConfigError([f"database: {missing}"])
    require_broker(config)
    settings = ConsumerSettings(
        address,
        event_settings(config.events, ledger=True),
        config.billing.default_nano,
        config.ledger.keep_days,
        config.ledger.keep_hours_days,
        arguments.once,
    )
    return await run_consumer(settings, LineWriter(STDERR, readable=True))


async def _verify(arguments: argparse.Namespace, config: Config) -> int:
    from proxy.database.upkeep.balances import mismatches, repair_sums
    from proxy.database.upkeep.labels import fill, unfilled
    from proxy.database.upkeep.opened import opened
    from proxy.database.upkeep.verify import complete, differences, repair

    async with opened(config.database, config.data_dir) as engine:
        now = time.time()
        period = await complete(engine, config.ledger.keep_days, now)
        count, hours = 0, dict[int, None]()
        async for each in differences(engine, period):
            print(_line(each))
            count += 1
            hours[each.hour] = None
        wrong = await mismatches(engine, period.first, now)
        for mismatch in wrong:
            print(mismatch)
        repaired = filled = 0
        lacking = await unfilled(engine, period.first, now)
        if arguments.repair:
            filled = sum([1 async for _ in fill(engine, period.first, now)])
            await repair(engine, hours)
            repaired = await repair_sums(engine, wrong)
    print(_verified(period.first, period.last, count + len(wrong), period.bare))
    if arguments.repair and hours:
        print(f"ledger: the sums of {counted(len(hours), 'hour')} were written anew from the rows")
    if filled:
        print(f"ledger: the sums by run and label of {counted(filled, 'hour')} were written")
    elif lacking:
        print(f"ledger: {counted(lacking, 'hour')} before the last upgrade have no sums by run and label;", end=" ")
        print("--repair writes them")
    if repaired:
        print(f"ledger: {counted(repaired, 'figure')} of budgets and accounts repaired")
    if arguments.repair and repaired < len(wrong):
        print("ledger: charges are never changed; post a transaction to each account that corrects it")
    return 1 if len(wrong) > repaired or (hours and not arguments.repair) else 0


async def _export(arguments: argparse.Namespace, config: Config) -> int:
    from proxy.database.upkeep.export import exported
    from proxy.database.upkeep.opened import opened

    begin = arguments.begin if arguments.begin is not None else 0.0
    end = arguments.end if arguments.end is not None else FOREVER
    async with opened(config.database, config.data_dir) as engine:
        async for page in exported(engine, begin, end, arguments.format):
            sys.stdout.write(page)
    return 0


async def _forget(arguments: argparse.Namespace, config: Config) -> int:
    from proxy.database.upkeep.forget import forget, keys_of, new_pseudonym
    from proxy.database.upkeep.opened import opened

    owner, pseudonym = arguments.owner, arguments.pseudonym or new_pseudonym()
    async with opened(config.database, config.data_dir) as engine:
        print(f"ledger: {owner} becomes {pseudonym}", flush=True)
        done = await forget(engine, owner, pseudonym, time.time())
        keys = await keys_of(engine, owner)
    sums = counted(done.sums, "sum without rows", "sums without rows")
    print(f"ledger: {counted(done.rows, 'row')} and {sums} changed")
    if done.transfers:
        print(f"ledger: {counted(done.transfers, 'transfer')} without rows changed; no amount did")
    if done.events:
        print(f"ledger: {counted(done.events, 'event')} that waited or were dead changed; those sent did not")
    print(f"ledger: what a running gateway has not written yet comes later; run this again then, with --as {pseudonym}")
    if keys:
        print(f"ledger: {counted(keys, 'API key')} of {owner} in the database stayed; revoke them if they must go")
    return 0


def _line(found: Difference) -> str:
    names = " ".join(f"{name}={value}" for name, value in found.dimensions.items() if value)
    return f"{_time(found.hour)} {names}: {found.name} is {found.kept}, the rows make it {found.found}"


def _verified(first: int, last: int, count: int, bare: int) -> str:
    if first >= last:
        return "ledger: there are no rows, so nothing was verified"
    verdict = (
        f"{counted(count, 'figure differs', 'figures differ')}"
        if count
        else "all sums by hour, budgets and accounts are right"
    )
    period = f"{_time(first)} to {_time(last)}"
    return f"ledger: {period}: {verdict}" + (
        f"; {counted(bare, 'earlier hour')} without all their rows" if bare else ""
    )


def _time(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%MZ}"


_STEPS: dict[str, Callable[[argparse.Namespace, Config], Awaitable[int]]] = {
    "verify": _verify,
    "export": _export,
    "forget": _forget,
    "consume": _consume,
}
