"""Grouped sums of the ledger, compared with a plain model in Python, over both databases."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio
from sqlalchemy.dialects import sqlite

from proxy.database import usage
from proxy.database.usage import Sums, TooManyRows, UsageTable
from proxy.database.usage_query import HOUR, SUMS, UsageQuery, statement
from proxy.ledger.row import Row
from tests.database.databases import KINDS, new_database
from tests.ledger.store import engine_of, measures, put

pytestmark = pytest.mark.asyncio(loop_scope="module")

BERLIN = ZoneInfo("Europe/Berlin")
UTC_ZONE = ZoneInfo("UTC")
# The clocks of Berlin go back on 2026-10-25 at 01:00 UTC: that day has 25 hours.
FIRST = int(datetime(2026, 10, 24, 12, tzinfo=UTC).timestamp())
LAST = int(datetime(2026, 11, 2, 7, tzinfo=UTC).timestamp())


def some_rows(count: int) -> list[Row]:
    """Rows of every kind, the same each time."""
    chance = Random(7)
    return [_row(chance, number) for number in range(count)]


def _row(chance: Random, number: int) -> Row:
    source = chance.choice(["provider", "provider", "estimated", "unknown", "none"])
    used = source in ("provider", "estimated")
    priced = used and chance.random() < 0.8
    return Row(
        id=f"n{number}",
        at=chance.uniform(FIRST - 2 * HOUR, LAST + 2 * HOUR),
        request_id=f"r{number // 2}",
        attempt=1,
        endpoint="chat/completions",
        stream=chance.random() < 0.5,
        client_dialect="openai.chat",
        provider_dialect="anthropic.messages",
        model=chance.choice("ab"),
        provider=chance.choice(["p", "q"]),
        deployment="p/a",
        upstream_model="up",
        client=f"key:{number % 3}",
        owner=chance.choice(["alice", "bob", ""]),
        team=chance.choice(["red", "blue"]),
        labels={"app": chance.choice(["x", "y"])} if chance.random() < 0.7 else {},
        run=chance.choice(["", "run-1"]),
        answered=chance.random() < 0.8,
        end=chance.choice(["ok", "timeout", "lost", "cached"]),
        ended_ms=chance.choice([None, 1.5, 12.4]),
        first_content_ms=chance.choice([None, 0.5, 700.49]),
        usage_source=source,  # type: ignore[arg-type]
        input=chance.randrange(1000) if used else None,
        output=chance.randrange(1000) if used else None,
        cost=chance.randrange(10**12) if priced else None,
        cost_source="operator" if priced else "none" if source == "none" else "unpriced",
        saved=chance.choice([None, 10**9]),
    )


@pytest_asyncio.fixture(params=KINDS, scope="module", loop_scope="module")
async def table(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[UsageTable]:
    folder: Path = tmp_path_factory.mktemp("usage")
    async with new_database(request.param, folder) as url:
        await put(url, some_rows(400))
        async with engine_of(url) as engine:
            yield UsageTable(engine)


def by(*groups: str, zone: ZoneInfo = UTC_ZONE, **filters: str) -> UsageQuery:
    return UsageQuery(groups, filters, FIRST + 1, LAST - 1, zone)


def model(query: UsageQuery, of: Callable[[Row], tuple[str, ...]], rows: Iterable[Row]) -> dict[tuple[str, ...], Sums]:
    found: dict[tuple[str, ...], Counter[str]] = {}
    latest: dict[tuple[str, ...], int] = {}
    for row in rows:
        if not query.first <= row.at // HOUR * HOUR < query.last:
            continue
        key = of(row)
        found.setdefault(key, Counter()).update(measures(row) | {"with_duration": int(row.end != "lost")})
        latest[key] = max(latest.get(key, 0), int(row.at // HOUR * HOUR))
    return {key: Sums(key, latest[key], {name: sums[name] for name in SUMS}) for key, sums in found.items()}


def local(row: Row, zone: ZoneInfo, form: str) -> str:
    return datetime.fromtimestamp(row.at, zone).strftime(form)


CASES = {
    "one dimension": (by("model"), lambda row: (row.model,)),
    "two dimensions": (by("owner", "provider"), lambda row: (row.owner, row.provider)),
    "a day of 25 hours": (by("day", zone=BERLIN), lambda row: (local(row, BERLIN, "%Y-%m-%d"),)),
    "months": (by("month", "model", zone=BERLIN), lambda row: (local(row, BERLIN, "%Y-%m"), row.model)),
    "ends": (by("end", "day", zone=BERLIN), lambda row: (row.end, local(row, BERLIN, "%Y-%m-%d"))),
    "hours": (
        by("hour", zone=BERLIN),
        lambda row: (datetime.fromtimestamp(row.at // HOUR * HOUR, BERLIN).isoformat(),),
    ),
    "a label": (by("label:app", "model"), lambda row: (row.labels.get("app", ""), row.model)),
    "days of rows": (
        by("run", "end", "day", zone=BERLIN),
        lambda row: (row.run, row.end, local(row, BERLIN, "%Y-%m-%d")),
    ),
    "sums of a label": (by("label:app"), lambda row: (row.labels.get("app", ""),)),
    "sums of runs by day": (by("run", "day", zone=BERLIN), lambda row: (row.run, local(row, BERLIN, "%Y-%m-%d"))),
    "sums of a label by month and owner": (
        by("owner", "month", "label:app", "team", zone=BERLIN),
        lambda row: (row.owner, local(row, BERLIN, "%Y-%m"), row.labels.get("app", ""), row.team),
    ),
    "sums of a label that no row has": (by("label:none", "team"), lambda row: ("", row.team)),
    "two labels": (by("label:app", "run"), lambda row: (row.labels.get("app", ""), row.run)),
}


@pytest.mark.parametrize("case", CASES)
async def test_sums_are_those_of_the_rows(table: UsageTable, case: str) -> None:
    query, of = CASES[case]
    found = await table.sums(query, 10_000)
    assert {each.group: each for each in found} == model(query, of, some_rows(400))


@pytest.mark.parametrize("name", ["owner", "label:app", "run"])
async def test_a_filter_leaves_the_others_out(table: UsageTable, name: str) -> None:
    value = {"owner": "alice", "label:app": "x", "run": "run-1"}[name]
    query = by("model", **{name: value})

    def matches(row: Row) -> bool:
        return row.labels.get("app") == value if name.startswith("label:") else getattr(row, name) == value

    rows = filter(matches, some_rows(400))
    found = await table.sums(query, 10_000)
    assert {each.group: each for each in found} == model(query, lambda row: (row.model,), rows)


async def test_without_groups_there_is_one_sum(table: UsageTable) -> None:
    [whole] = await table.sums(by(), 1)
    assert whole == model(by(), lambda row: (), some_rows(400))[()]
    [nothing] = await table.sums(by(owner="nobody"), 1)
    assert nothing == Sums((), None, dict.fromkeys(SUMS, 0))


async def test_too_many_rows_are_refused_before_they_are_read(
    table: UsageTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    alices = model(by(owner="alice"), lambda row: (), [row for row in some_rows(400) if row.owner == "alice"])
    monkeypatch.setattr(usage, "MOST_ROWS", alices[()].measures["attempts"])
    for query in (by("label:app", "model"), by("run", "end"), by("model", **{"label:app": "x"})):
        with pytest.raises(TooManyRows) as refused:
            await table.sums(query, 10)
        assert refused.value.count == model(by(), lambda row: (), some_rows(400))[()].measures["attempts"]
    assert await table.sums(by("label:app", "model", owner="alice"), 10)
    assert await table.sums(by("label:app", run="run-1"), 10)  # has an index
    for query in (by("model"), by("run"), by("label:app", "day"), by("owner", **{"label:app": "x"})):
        assert await table.sums(query, 10)


async def test_rows_of_a_run_are_found_by_their_index(tmp_path: Path) -> None:
    async with new_database("sqlite", tmp_path) as url:
        await put(url, some_rows(400))
        query = statement(by("model", run="run-1")).compile(
            dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}
        )
        async with engine_of(url) as engine:
            plan = await engine.read(lambda connection: connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}"))
        assert "USING INDEX ix_ledger_run (run=? AND at>? AND at<?)" in str(plan.all())


async def test_the_dearest_group_comes_first_and_times_in_order(table: UsageTable) -> None:
    found = await table.sums(by("owner"), 2)
    costs = [each.measures["cost"] for each in await table.sums(by("owner"), 9)]
    assert [each.measures["cost"] for each in found] == sorted(costs, reverse=True)[:2]
    days = [each.group[0] for each in await table.sums(by("day"), 100)]
    assert days == sorted(days)


async def test_a_limit_counts_months_and_leaves_out_none_of_their_days(table: UsageTable) -> None:
    months = await table.sums(by("month"), 10)
    assert [each.group for each in months] == [("2026-10",), ("2026-11",)]
    assert await table.sums(by("month"), 2) == months
    assert await table.sums(by("month"), 1) == months[:1]
    october = UsageQuery(("month",), {}, FIRST, FIRST + 24 * HOUR, BERLIN)
    assert [each.group for each in await table.sums(october, 1)] == [("2026-10",)]
