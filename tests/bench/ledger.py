"""Milliseconds of the ledger's queries over a million rows: ``python -m tests.bench.ledger [--rows N] [--plans]``.

The rows are those of 30 days: 50 keys of 20 owners, 20 models at 5 providers, more by day than by night, and most of
them of a few keys. They are inserted with the sums that the recorder would keep, into a SQLite file and into a
PostgreSQL with a partition for each month. Then each query of ``UsageTable.sums`` runs several times. The shortest time counts, as other
processes only ever add to it.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from proxy.database.engine import Engine
from proxy.database.health import DatabaseHealth
from proxy.database.usage import SETTINGS, UsageTable
from proxy.database.usage_labels import label_statement
from proxy.database.usage_query import DAY, UsageQuery, statement
from tests.bench.ledger_rows import DAYS, END, fill
from tests.bench.table import aligned
from tests.database.databases import KINDS, address, new_database
from tests.support.services import drop_databases

LIMIT: Final = 200.0  # ms
SAMPLES: Final = 5
PERIODS: Final = (1, 7, DAYS)  # days
GROUPS: Final = (
    *((), ("hour",), ("day",), ("day", "model"), ("day", "owner"), ("model",), ("owner",), ("key",), ("project",)),
    *(
        ("end",),
        ("day", "end"),
        ("run",),
        ("label:app",),
        ("label:app", "day"),
        ("label:app", "owner"),
        ("run", "model"),
    ),
)
BERLIN: Final = ZoneInfo("Europe/Berlin")


def queries() -> Iterator[tuple[str, UsageQuery]]:
    """With names."""
    for days in PERIODS:
        for groups in GROUPS:
            yield _query(days, groups, {})
        for filters in ({"owner": "owner-03"}, {"model": "model-03"}):
            yield _query(days, ("day",), filters)
        for groups_of, filters_of in (((), {"label:app": "app-1"}), (("run",), {"owner": "owner-03"})):
            yield _query(days, groups_of, filters_of)
        for filters in ({"run": "key:03-7"}, {"owner": "owner-03", "label:app": "app-1"}):
            yield _query(days, ("model",), filters)


def _query(days: int, groups: tuple[str, ...], filters: dict[str, str]) -> tuple[str, UsageQuery]:
    query = UsageQuery(groups, filters, END - days * DAY + 60, END - 60, BERLIN)
    source = "hours" if query.by_dimensions else "labels" if query.label else "rows"
    where = "".join(f", {name}={value}" for name, value in filters.items())
    return f"{days} d by {'+'.join(groups) or 'nothing'}{where} ({source})", query


async def milliseconds(table: UsageTable, query: UsageQuery) -> float:
    taken = []
    for _ in range(SAMPLES):
        began = time.perf_counter()
        await table.sums(query, 1000)
        taken.append(1e3 * (time.perf_counter() - began))
    return min(taken)


async def plan(engine: Engine, kind: str, query: UsageQuery) -> str:
    """How the database runs the query."""
    dialect, verb = (sqlite, "EXPLAIN QUERY PLAN") if kind == "sqlite" else (postgresql, "EXPLAIN ANALYZE")
    words = (label_statement(query) if query.label else statement(query)).compile(
        dialect=dialect.dialect(), compile_kwargs={"literal_binds": True}
    )
    plain = str(words).replace("%%", "%")  # as a driver without parameters has it

    async def work(connection: AsyncConnection) -> str:
        if kind == "postgresql":
            await connection.execute(SETTINGS)
        return "\n".join(str(each[-1]) for each in await connection.exec_driver_sql(f"{verb} {plain}"))

    return await engine.read(work)


async def measure(kind: str, folder: Path, rows: int, *, plans: bool) -> dict[str, float]:
    async with new_database(kind, folder) as url:
        began = time.perf_counter()
        sums = await fill(address(url), rows)
        print(f"{kind}: {rows:,} rows, {sums:,} sums, filled in {time.perf_counter() - began:.0f} s", flush=True)
        engine = Engine(address(url), DatabaseHealth(), time_limit=60.0)
        try:
            found = {}
            for name, query in queries():
                found[name] = await milliseconds(UsageTable(engine), query)
                if plans and found[name] > LIMIT:
                    print(f"{name}: {found[name]:.0f} ms\n{await plan(engine, kind, query)}", flush=True)
        finally:
            await engine.close()
        return found


async def run(rows: int, *, plans: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = [await measure(kind, Path(folder), rows, plans=plans) for kind in KINDS]
    lines = [["query", *(f"{kind}, ms" for kind in KINDS), f"at most {LIMIT:g} ms"]]
    for name, _ in queries():
        taken = [each[name] for each in found]
        verdict = "reached" if max(taken) <= LIMIT else "**not reached**"
        lines.append([name, *(f"{each:.0f}" for each in taken), verdict])
    print(aligned(lines))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--plans", action="store_true", help="print how slow queries are run")
    options = parser.parse_args()
    try:
        asyncio.run(run(options.rows, plans=options.plans))
    finally:
        drop_databases()


if __name__ == "__main__":
    main()
