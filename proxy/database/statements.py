"""Statements that differ between the two databases, and the texts that both can store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection


async def insert_new(connection: AsyncConnection, table: Table, values: Mapping[str, Any]) -> bool:
    """Insert a row unless one with its primary key is there. Waits for another transaction that inserts that row.

    Returns whether it was inserted.
    """
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    key = list(table.primary_key.columns)
    new = insert(table).values(dict(values)).on_conflict_do_nothing(index_elements=key).returning(*key)
    return (await connection.execute(new)).first() is not None


def is_storable(text: str) -> bool:
    """Whether both databases can store it: PostgreSQL has no NUL in texts, and neither has half a surrogate pair."""
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False
