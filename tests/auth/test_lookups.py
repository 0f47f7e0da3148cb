"""Concurrent lookups, with one query at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence

import pytest

from proxy.auth.apikey import ApiKey
from proxy.auth.lookups import MOST, Lookups
from tests.support.patience import until, within


class Table:
    """A table that returns when the test releases it; ``queries`` records the queries."""

    def __init__(self, *keys: ApiKey) -> None:
        self.keys = {key.hash: key for key in keys}
        self.queries: list[Sequence[str]] = []
        self.open = asyncio.Event()
        self.error: Exception | None = None

    async def query(self, hashes: Sequence[str]) -> Mapping[str, ApiKey]:
        self.queries.append(hashes)
        found = {hash_: self.keys[hash_] for hash_ in hashes if hash_ in self.keys}
        await self.open.wait()
        if self.error is not None:
            raise self.error
        return found


@pytest.fixture
def table() -> Table:
    return Table(ApiKey(id="1", name="one", hash="a"), ApiKey(id="2", name="two", hash="b"))


@pytest.fixture
async def lookups(table: Table) -> AsyncIterator[Lookups]:
    lookups = Lookups(table.query)
    yield lookups
    await lookups.close()


async def test_lookups_of_the_same_key_share_a_query(table: Table, lookups: Lookups) -> None:
    asking = [asyncio.create_task(lookups.find("a")) for _ in range(100)]
    await until(lambda: table.queries, "the query")
    asking += [asyncio.create_task(lookups.find("a")) for _ in range(100)]
    await asyncio.sleep(0)
    table.open.set()
    assert {key.id for key in await within(asyncio.gather(*asking), "answers") if key} == {"1"}
    assert table.queries == [["a"]]


async def test_lookups_during_a_query_join_the_next(table: Table, lookups: Lookups) -> None:
    asking = [asyncio.create_task(lookups.find("a"))]
    await until(lambda: table.queries, "the query")
    asking += [asyncio.create_task(lookups.find(hash_)) for hash_ in ("b", "c", "b")]
    await asyncio.sleep(0)
    table.open.set()
    found = await within(asyncio.gather(*asking), "answers")
    assert [key and key.name for key in found] == ["one", "two", None, "two"]
    assert table.queries == [["a"], ["b", "c"]]


async def test_a_flood_makes_queries_of_a_bounded_size(table: Table, lookups: Lookups) -> None:
    asking = [asyncio.create_task(lookups.find(f"made up {number}")) for number in range(3 * MOST)]
    table.open.set()
    assert await within(asyncio.gather(*asking), "answers") == [None] * 3 * MOST
    assert [len(hashes) for hashes in table.queries] == [MOST] * 3


async def test_a_canceled_lookup_does_not_cancel_others(table: Table, lookups: Lookups) -> None:
    leaving, staying = asyncio.create_task(lookups.find("a")), asyncio.create_task(lookups.find("a"))
    await until(lambda: table.queries, "the query")
    leaving.cancel()
    table.open.set()
    key = await within(staying, "the answer")
    assert key is not None
    assert key.id == "1"


async def test_a_failure_reaches_all_waiting_lookups_only(table: Table, lookups: Lookups) -> None:
    table.error = OSError("gone")
    asking = [asyncio.create_task(lookups.find("a")) for _ in range(3)]
    table.open.set()
    results = await within(asyncio.gather(*asking, return_exceptions=True), "answers")
    assert [str(each) for each in results] == ["gone"] * 3
    table.error = None
    assert await within(lookups.find("a"), "the answer") == table.keys["a"]


async def test_a_failure_without_waiters_is_not_logged(table: Table, lookups: Lookups) -> None:
    table.error = OSError("gone")
    asking = asyncio.create_task(lookups.find("a"))
    await until(lambda: table.queries, "the query")
    asking.cancel()
    table.open.set()
    await asyncio.wait((asking,))
    assert asking.cancelled()


async def test_after_a_change_no_older_result_is_returned(table: Table, lookups: Lookups) -> None:
    early = asyncio.create_task(lookups.find("a"))
    await until(lambda: table.queries, "the query")
    del table.keys["a"]
    lookups.renew()
    late = asyncio.create_task(lookups.find("a"))
    await asyncio.sleep(0)
    table.open.set()
    assert await within(early, "the old answer") is not None
    assert await within(late, "the new answer") is None


async def test_closing_cancels_the_query_and_its_waiters(table: Table, lookups: Lookups) -> None:
    asking = [asyncio.create_task(lookups.find("a"))]
    await until(lambda: table.queries, "the query")
    asking.append(asyncio.create_task(lookups.find("b")))
    await asyncio.sleep(0)
    await within(lookups.close(), "the end")
    await asyncio.wait(asking)
    assert all(each.cancelled() for each in asking)
