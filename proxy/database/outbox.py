"""Events are put into the outbox in the transaction of what they tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from proxy.database.tables import OUTBOX

OutboxRow = Mapping[str, Any]
"""Columns of an event for one receiver: ``id``, ``receiver``, ``type``, ``at`` (Unix seconds), ``body`` (JSON)."""


async def add_rows(connection: AsyncConnection, rows: Sequence[OutboxRow]) -> None:
    """Part of a transaction. Who sends them looks once a second."""
    if rows:
        await connection.execute(insert(OUTBOX), [dict(each) for each in rows])
