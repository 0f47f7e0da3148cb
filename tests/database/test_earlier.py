"""What was spent before a counter existed, over both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import insert

from proxy.database import usage
from proxy.database.columns import TOKENS
from proxy.database.earlier import EarlierSpend
from proxy.database.spend import Spent
from proxy.database.tables import BUDGET_SPEND
from proxy.database.usage import TooManyRows
from proxy.database.usage_query import HOUR
from proxy.ledger.row import Row
from tests.database.databases import KINDS, new_database
from tests.ledger.store import engine_of, put

BEGIN = 1_795_910_400.0 - 2.5 * HOUR  # a day in a zone whose offset is no whole hour
NOW = BEGIN + 6 * HOUR


def rows() -> list[Row]:
    """Of every kind, the same each time; half of them before the window."""
    chance = Random(3)
    return [
        Row(
            *(f"n{number}", BEGIN + chance.uniform(-6, 6) * HOUR, f"r{number}", 1, "chat/completions", False),
            *("openai.chat", "openai.chat", chance.choice(["alias", "m"]), chance.choice(["p", "q"])),
            *(chance.choice(["m", "n"]), "up"),
            client=chance.choice(["ann", "key:1"]),
            key=chance.choice(["k1", "k2"]),
            owner=chance.choice(["ann", "bob", ""]),
            team=chance.choice(["red", "blue"]),
            project=chance.choice(["x", "y"]),
            labels=chance.choice([{}, {"app": "chat"}, {"app": "code"}]),
            usage_source=chance.choice(["provider", "estimated"]),
            input=chance.randrange(1000),
            cached=chance.choice([None, 5]),
            output=chance.randrange(100),
            images=chance.choice([None, 2]),
            cost=chance.choice([None, chance.randrange(10**6)]),
        )
        for number in range(400)
    ]


CASES: dict[tuple[str, str], Any] = {
    ("everyone", ""): lambda row: True,
    ("owner", "ann"): lambda row: (row.owner or row.client) == "ann",
    ("team", "red"): lambda row: row.team == "red",
    ("key", "k2"): lambda row: row.key == "k2",
    ("project", "y"): lambda row: row.project == "y",
    ("model", "n"): lambda row: row.deployment == "n",
    ("provider", "q"): lambda row: row.provider == "q",
    ("label:app", "chat"): lambda row: row.labels.get("app") == "chat",
    ("team", "green"): lambda row: False,
}


@pytest.fixture(params=KINDS)
async def table(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[EarlierSpend]:
    async with new_database(request.param, tmp_path) as url:
        await put(url, rows())
        async with engine_of(url) as engine:
            yield EarlierSpend(engine)


async def test_each_level_has_its_rows_since_the_window_began(table: EarlierSpend) -> None:
    for (per, subject), counts in CASES.items():
        expected = [row for row in rows() if row.at >= BEGIN and counts(row)]
        tokens = sum(getattr(row, name) or 0 for row in expected for name in TOKENS)
        found = await table.read(f"b/day/{subject}", per, subject, BEGIN, NOW)
        assert found == Spent(sum(row.cost or 0 for row in expected), tokens), per


async def test_all_time_has_all_rows(table: EarlierSpend) -> None:
    found = await table.read("b/total/", "everyone", "", 0.0, NOW)
    assert found is not None
    assert found.nano == sum(row.cost or 0 for row in rows())


async def test_a_counter_that_rows_carry_is_not_asked_for(table: EarlierSpend) -> None:
    """Its rows are counted already."""
    values = {"counter": "b/day/ann", "process": "p1", "nano": 0, "tokens": 0, "last": 1.0}
    await table.engine.write(lambda connection: connection.execute(insert(BUDGET_SPEND).values(values)))
    assert await table.read("b/day/ann", "owner", "ann", BEGIN, NOW) is None
    assert await table.read("b/day/bob", "owner", "bob", BEGIN, NOW) is not None


async def test_too_many_rows_are_not_read(table: EarlierSpend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "MOST_ROWS", 10)
    with pytest.raises(TooManyRows):
        await table.read("b/day/m", "model", "m", BEGIN, NOW)


async def test_a_subject_that_no_row_can_have_spent_nothing(table: EarlierSpend) -> None:
    assert await table.read("b/day/\0", "owner", "\0", BEGIN, NOW) == Spent()
