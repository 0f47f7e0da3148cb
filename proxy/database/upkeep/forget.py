"""Puts a pseudonym in the place of an owner, in all rows, sums and accounts.

A batch of rows and their share of the sums change in one transaction, so the sums are right at every moment. What is
done is no longer found under the owner, so a run that was stopped can be started again.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Sequence
from typing import Any, Final

from msgspec import Struct, structs
from sqlalchemy import and_, bindparam, delete, func, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from proxy.database.columns import DIMENSIONS, digest
from proxy.database.tables import API_KEYS, LEDGER, LEDGER_HOURS
from proxy.database.upkeep.forget_events import forget_events
from proxy.database.upkeep.forget_labels import forget_label_sums, forget_labels
from proxy.database.upkeep.forget_spending import forget_account, forget_counters, forget_spend
from proxy.database.upkeep.hours import sums_of_rows, values_of
from proxy.database.upkeep.opened import alone
from proxy.database.usage_query import HOUR, MEASURES

BATCH: Final = 1000  # rows or sums that change in one transaction
PREFIX: Final = "gone-"


class Forgotten(Struct):
    """Numbers of rows, of sums, of transfers, of budget sums and of events that changed."""

    rows: int = 0
    sums: int = 0
    transfers: int = 0
    spends: int = 0
    events: int = 0


def new_pseudonym() -> str:
    return f"{PREFIX}{secrets.token_hex(8)}"


async def forget(engine: AsyncEngine, owner: str, pseudonym: str, now: float) -> Forgotten:
    """Replace ``owner``, and what may name the person, in rows that began before ``now``, and in their sums.

    The client becomes the pseudonym too. Key, run and labels are cleared. So are budget counters, the account and its
    transfers, whose amounts stay, and events that were not sent. Between two transactions others get as much time as
    the last one took.
    """
    done, since = Forgotten(), 0.0
    while True:
        began = time.monotonic()
        async with alone(engine) as connection:
            keys = await _forget_rows(connection, owner, pseudonym, since, now)
            step = Forgotten(len(keys)) if keys else await _forget_rest(connection, owner, pseudonym, now)
        if step == Forgotten():
            done.events = await forget_events(engine, owner, pseudonym)
            return done
        done = Forgotten(*(a + b for a, b in zip(structs.astuple(done), structs.astuple(step), strict=True)))
        if keys:  # do not begin anew, as PostgreSQL's index still has the rows that changed
            since = keys[-1][0]
        await asyncio.sleep(time.monotonic() - began)


async def keys_of(engine: AsyncEngine, owner: str) -> int:
    """Number of API keys in the database that are the owner's."""
    found = select(func.count()).where(API_KEYS.c.owner == owner, ~API_KEYS.c.deleted)
    async with engine.connect() as connection:
        return (await connection.execute(found)).scalar_one()


async def _forget_rows(
    connection: AsyncConnection, owner: str, pseudonym: str, since: float, before: float
) -> list[tuple[float, str]]:
    """``at`` and ``id`` of the rows that changed, the oldest of those that began in [``since``, ``before``)."""
    row = LEDGER.c
    old = select(row.at, row.id).where(row.owner == owner, row.at >= since, row.at < before)
    found = await connection.execute(old.order_by(row.at, row.id).limit(BATCH))
    keys: list[tuple[float, str]] = [(at, identifier) for at, identifier in found]
    if not keys:
        return []
    first, last = keys[0][0], keys[-1]
    # The times too, by which PostgreSQL finds partitions and rows.
    batch = and_(row.owner == owner, row.at >= first, row.at <= last[0], tuple_(row.at, row.id) <= tuple_(*last))
    sums = [values_of(each) for each in await connection.execute(sums_of_rows(batch))]
    cleared = {"owner": pseudonym, "client": pseudonym, "key": "", "run": "", "labels": {}}
    await forget_counters(connection, batch, owner, pseudonym)
    await forget_labels(connection, batch, pseudonym)
    await connection.execute(update(LEDGER).where(batch).values(cleared))
    await _subtract(connection, sums)
    await _add(connection, [_renamed(each, pseudonym) for each in sums])
    return keys


async def _forget_rest(connection: AsyncConnection, owner: str, pseudonym: str, before: float) -> Forgotten:
    """Some of what no row has any more."""
    step = await _forget_sums(connection, owner, pseudonym, before)
    if step == Forgotten():
        step.sums = await forget_label_sums(connection, owner, pseudonym, before - HOUR, BATCH)
        step.spends = await forget_spend(connection, owner, pseudonym, BATCH)
        step.transfers = await forget_account(connection, owner, pseudonym, BATCH)
    return step


async def _forget_sums(connection: AsyncConnection, owner: str, pseudonym: str, before: float) -> Forgotten:
    """Some sums of hours that were over at ``before``, when the owner has no rows in them; else some of these rows."""
    hours = LEDGER_HOURS.c
    some = select(LEDGER_HOURS).where(hours.owner == owner, hours.hour <= before - HOUR)
    found = await connection.execute(some.order_by(hours.hour).limit(BATCH))
    sums = [each._asdict() for each in found]
    if not sums:
        return Forgotten()
    if late := await _forget_rows(connection, owner, pseudonym, sums[0]["hour"], sums[-1]["hour"] + HOUR):
        return Forgotten(rows=len(late))  # they were written while this runs
    keys = delete(LEDGER_HOURS).where(hours.hour == bindparam("of_hour"), hours.digest == bindparam("of_digest"))
    await connection.execute(keys, [{"of_hour": each["hour"], "of_digest": each["digest"]} for each in sums])
    await _add(connection, [_renamed(each, pseudonym) for each in sums])
    return Forgotten(sums=len(sums))


def _renamed(values: dict[str, Any], pseudonym: str) -> dict[str, Any]:
    found = {**values, "owner": pseudonym, "client": pseudonym, "key": ""}
    found["digest"] = digest([found[name] for name in DIMENSIONS])
    return found


async def _subtract(connection: AsyncConnection, sums: Sequence[dict[str, Any]]) -> None:
    hours = LEDGER_HOURS.c
    key = (hours.hour == bindparam("of_hour"), hours.digest == bindparam("of_digest"))
    less = update(LEDGER_HOURS).where(*key).values({name: hours[name] - bindparam(f"less_{name}") for name in MEASURES})
    parameters = [
        {"of_hour": each["hour"], "of_digest": each["digest"], **{f"less_{name}": each[name] for name in MEASURES}}
        for each in sums
    ]
    await connection.execute(less, parameters)
    await connection.execute(delete(LEDGER_HOURS).where(*key, hours.attempts == 0), parameters)


async def _add(connection: AsyncConnection, sums: Sequence[dict[str, Any]]) -> None:
    """Sums of the same hour and dimensions are added up."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    new = insert(LEDGER_HOURS)
    added = {name: LEDGER_HOURS.c[name] + new.excluded[name] for name in MEASURES}
    await connection.execute(new.on_conflict_do_update(index_elements=["hour", "digest"], set_=added), sums)
