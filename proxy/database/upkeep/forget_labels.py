"""Removes an owner's runs and labels from the sums by label. The sums of all rows get a pseudonym.

Each function is part of a transaction, after which all sums are right.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, bindparam, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from proxy.database.columns import ALL
from proxy.database.tables import LEDGER, LEDGER_LABELS
from proxy.database.upkeep.labels import begin_of, digest_of, label_sums
from proxy.database.usage_query import SUMS

_KEY: Final = ("name", "hour", "digest")


async def forget_labels(connection: AsyncConnection, batch: ColumnElement[bool], pseudonym: str) -> None:
    """Take some rows of an owner out of their sums, before the rows change."""
    sums = await label_sums(connection, batch, LEDGER.c.at >= await begin_of(connection))
    if sums:
        await _subtract(connection, sums)
        await _add(connection, [_renamed(each, pseudonym) for each in sums if each["name"] == ALL])


async def forget_label_sums(
    connection: AsyncConnection, owner: str, pseudonym: str, last_hour: float, most: int
) -> int:
    """Some sums of an owner that has no rows up to ``last_hour`` any more. Returns how many."""
    table = LEDGER_LABELS.c
    some = select(LEDGER_LABELS).where(table.owner == owner, table.hour <= last_hour).limit(most)
    sums = [each._asdict() for each in await connection.execute(some)]
    if sums:
        await connection.execute(delete(LEDGER_LABELS).where(*_bound()), [_key(each) for each in sums])
        await _add(connection, [_renamed(each, pseudonym) for each in sums if each["name"] == ALL])
    return len(sums)


def _renamed(values: dict[str, Any], pseudonym: str) -> dict[str, Any]:
    found = {**values, "owner": pseudonym}
    found["digest"] = digest_of(found)
    return found


async def _subtract(connection: AsyncConnection, sums: Sequence[dict[str, Any]]) -> None:
    table = LEDGER_LABELS.c
    less = (
        update(LEDGER_LABELS).where(*_bound()).values({name: table[name] - bindparam(f"less_{name}") for name in SUMS})
    )
    parameters = [{**_key(each), **{f"less_{name}": each[name] for name in SUMS}} for each in sums]
    await connection.execute(less, parameters)
    await connection.execute(delete(LEDGER_LABELS).where(*_bound(), table.attempts == 0), parameters)


async def _add(connection: AsyncConnection, sums: Sequence[dict[str, Any]]) -> None:
    """Sums of the same hour and dimensions are added up."""
    if not sums:
        return
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    new = insert(LEDGER_LABELS)
    added = {name: LEDGER_LABELS.c[name] + new.excluded[name] for name in SUMS}
    await connection.execute(new.on_conflict_do_update(index_elements=_KEY, set_=added), sums)


def _bound() -> list[ColumnElement[bool]]:
    return [LEDGER_LABELS.c[name] == bindparam(f"of_{name}") for name in _KEY]


def _key(values: dict[str, Any]) -> dict[str, Any]:
    return {f"of_{name}": values[name] for name in _KEY}
