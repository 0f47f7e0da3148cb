"""The ledger's database as budget counters read it, over both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec import structs

from proxy.budgets import ledger_spend
from proxy.budgets.book import SeedsUnavailable
from proxy.budgets.ledger_spend import Earlier, LedgerSpend
from proxy.config.schema import Database
from proxy.database import usage
from proxy.database.opening import LazyEngine
from proxy.database.spend import BEFORE, Spent
from tests.database.databases import KINDS, new_database
from tests.ledger.rows import ROW
from tests.ledger.store import put

SPENT = [
    structs.replace(ROW, id="n1", at=7200.5, cost=30, input=10, output=3, owner="ann"),
    structs.replace(ROW, id="n2", at=7201.5, cost=4, input=1, output=None, owner="ann"),
    structs.replace(ROW, id="n3", at=7201.5, cost=9, owner="bob"),
]
ANN = Earlier("daily/1970-01-01/ann", "owner", "ann", 0.0)


class Site:
    """A database with rows, as one process reads it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.lines: list[str] = []
        self.engine = LazyEngine(Database(url=url), "", print, print)
        self.spend = self.reader()

    def reader(self, default: int = 500) -> LedgerSpend:
        return LedgerSpend(self.engine, lambda: default, self.lines.append)


@pytest.fixture(params=KINDS)
async def site(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Site]:
    async with new_database(request.param, tmp_path) as url:
        await put(url, SPENT)
        found = Site(url)
        yield found
        await found.engine.close()


async def test_the_past_of_a_counter_is_kept_for_all(site: Site) -> None:
    assert await site.spend.spent([ANN.key]) == {ANN.key: {}}
    assert await site.spend.begin([ANN], 8000.0) == {ANN.key: {BEFORE: Spent(34, 14)}}
    await put(site.url, [structs.replace(SPENT[0], id="n4", at=11000.0)])  # it carries the counter
    assert await site.spend.begin([ANN], 12000.0) == {ANN.key: {BEFORE: Spent(34, 14)}}
    assert await site.spend.spent([ANN.key]) == {ANN.key: {BEFORE: Spent(34, 14)}}


async def test_no_past_leaves_no_row(site: Site) -> None:
    none = Earlier("daily/1970-01-01/eve", "owner", "eve", 0.0)
    assert await site.spend.begin([none, ANN], 8000.0) == {none.key: {}, ANN.key: {BEFORE: Spent(34, 14)}}


async def test_too_long_a_past_is_left_out_with_a_line(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "MOST_ROWS", 1)
    model = Earlier("m/total/p/m", "model", "p/m", 0.0)
    assert await site.spend.begin([model, ANN], 8000.0) == {model.key: {}, ANN.key: {BEFORE: Spent(34, 14)}}
    (line,) = site.lines
    assert line.startswith("The budget counter m/total/p/m begins with 0: ")


async def test_accounts_are_opened_at_their_first_use_only(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_spend, "AT_ONCE", 2)
    assert await site.spend.credits(["ann"], opens=False) == {}
    assert await site.spend.credits(["ann"], opens=True) == {"ann": 500}
    found = await site.reader(default=700).credits(["ann", "bob", "eve", ":usage", "a\0"], opens=True)
    assert found == {"ann": 500, "bob": 700, "eve": 700, ":usage": 0, "a\0": 0}
    assert await site.spend.credits(["ann", "eve"], opens=False) == {"ann": 500, "eve": 700}


@pytest.mark.parametrize("url", ["postgresql://postgres@127.0.0.1:1/none", "mysql://x"])
async def test_a_database_that_does_not_answer_has_no_seeds(url: str) -> None:
    site = Site(url)
    for read in (
        site.spend.spent(["a"]),
        site.spend.begin([ANN], 1.0),
        site.spend.credits(["ann"], opens=True),
    ):
        with pytest.raises(SeedsUnavailable):
            await read
    await site.engine.close()
