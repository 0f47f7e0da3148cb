"""Rows and their sums by hour in a database, written by the plainest means."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import asynccontextmanager
from typing import Any

from msgspec import structs
from sqlalchemy import insert, text
from sqlalchemy.dialects import postgresql, sqlite

from proxy.database import drivers
from proxy.database.columns import CLASSES, DIMENSIONS, LABEL_DIMENSIONS, digest
from proxy.database.engine import Engine
from proxy.database.health import DatabaseHealth
from proxy.database.migrate import upgrade
from proxy.database.tables import LEDGER, LEDGER_HOURS, LEDGER_LABELS
from proxy.database.usage_query import MEASURES, SUMS
from proxy.ledger.row import Row
from tests.database.databases import address


async def put(url: str, rows: Iterable[Row]) -> None:
    """Make the tables, and insert the rows and their hours."""
    rows = list(rows)
    await upgrade(address(url))
    engine = drivers.open_single(address(url), 5.0)
    async with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            await connection.execute(text("CREATE TABLE IF NOT EXISTS ledger_all PARTITION OF ledger DEFAULT"))
        if rows:
            await connection.execute(insert(LEDGER), [structs.asdict(row) for row in rows])
            await connection.execute(insert(LEDGER_HOURS), [*hours(rows)])
            upsert = postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert
            new = upsert(LEDGER_LABELS)
            added = {name: LEDGER_LABELS.c[name] + new.excluded[name] for name in SUMS}
            key = ["name", "hour", "digest"]
            await connection.execute(new.on_conflict_do_update(index_elements=key, set_=added), [*labels(rows)])
    await engine.dispose()


def hours(rows: Iterable[Row]) -> Iterator[dict[str, Any]]:
    """The sums by hour, as the tables describe them."""
    found: dict[tuple[Any, ...], Counter[str]] = {}
    for row in rows:
        key = (int(row.at // 3600 * 3600), *(getattr(row, name) for name in DIMENSIONS))
        found.setdefault(key, Counter()).update(measures(row))
    for (hour, *names), sums in found.items():
        yield {
            "hour": hour,
            "digest": digest(names),
            **dict(zip(DIMENSIONS, names, strict=True)),
            **{name: sums[name] for name in MEASURES},
        }


def labels(rows: Iterable[Row]) -> Iterator[dict[str, Any]]:
    """The sums by hour and label, as the tables describe them."""
    found: dict[tuple[Any, ...], Counter[str]] = {}
    for row in rows:
        pairs = {"": "", "run": row.run, **{f"label:{name}": value for name, value in row.labels.items()}}
        for name, value in pairs.items():
            if value or not name:
                key = (name, int(row.at // 3600 * 3600), value, *(getattr(row, each) for each in LABEL_DIMENSIONS))
                found.setdefault(key, Counter()).update(measures(row) | {"with_duration": int(row.end != "lost")})
    for (name, hour, *names), sums in found.items():
        yield {
            "name": name,
            "hour": hour,
            "digest": digest(names),
            **dict(zip(("value", *LABEL_DIMENSIONS), names, strict=True)),
            **{each: sums[each] for each in SUMS},
        }


def measures(row: Row) -> dict[str, int]:
    """What one row adds to each sum."""
    estimated, unknown = row.usage_source == "estimated", row.usage_source == "unknown"
    first = row.first_content_ms
    return {
        "attempts": 1,
        "answered": int(row.answered),
        "failed": int(not row.answered),
        "estimated": int(estimated),
        "unknown": int(unknown),
        "unpriced": int(row.cost_source == "unpriced" and not unknown),
        "duration_ms": math.floor((row.ended_ms or 0.0) + 0.5),
        "first_content_ms": math.floor((first or 0.0) + 0.5),
        "with_first_content": int(first is not None),
        "cost": 0 if estimated else row.cost or 0,
        "cost_estimated": (row.cost or 0) if estimated else 0,
        **{name: getattr(row, name) or 0 for name in CLASSES},
        "from_cache": int(row.end == "cached"),
        "saved": row.saved or 0,
    }


@asynccontextmanager
async def engine_of(url: str) -> Any:
    engine = Engine(address(url), DatabaseHealth())
    try:
        yield engine
    finally:
        await engine.close()
