"""What every store of entries does, whatever keeps them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from proxy.services.entries import Entries, RoutingEntry
from proxy.services.store.base import EntriesChanged, EntryChange, EntryStore
from tests.services.store.contract.stores import KINDS, Opener, opened
from tests.support.patience import within

BACKEND: dict[str, Any] = {"addresses": [{"url": "http://10.0.0.1:8000", "weight": 0.5}], "strategy": "weighted"}
ROUTE: dict[str, Any] = {"path": "/api/v1/analyze", "service": "bäckend"}


@pytest.fixture(params=KINDS)
async def opener(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Opener]:
    async with opened(request.param, tmp_path) as found:
        yield found


@pytest.fixture
async def store(opener: Opener) -> EntryStore:
    return await opener()


def listed(entries: Entries) -> list[RoutingEntry]:
    return list(entries.by_key.values())


def service(name: str = "backend", body: dict[str, Any] | None = BACKEND) -> EntryChange:
    return EntryChange("service", name, body)


async def test_a_new_store_is_empty_and_has_version_0(store: EntryStore) -> None:
    assert await store.version(0) == 0
    assert await store.load() == Entries()
    assert list(await store.changes(10)) == []


async def test_what_was_put_is_loaded_with_its_version_and_who_put_it(store: EntryStore) -> None:
    version = await store.put([service(), EntryChange("route", "r1", ROUTE)], "admin", 0)
    entries = await store.load()
    assert version == entries.version == await store.version(0) > 0
    assert [(each.kind, each.name, each.body) for each in listed(entries)] == [
        ("route", "r1", ROUTE),
        ("service", "backend", BACKEND),
    ]
    assert {each.changed_by for each in listed(entries)} == {"admin"}
    assert min(each.changed_at for each in listed(entries)) > 1_600_000_000
    assert entries.get("route", "r1") == listed(entries)[0]
    assert entries.get("service", "r1") is None


async def test_each_change_raises_the_version_of_all_and_only_that_of_its_own_entry(store: EntryStore) -> None:
    first = await store.put([service("a")], "admin", 0)
    second = await store.put([service("b")], "admin", first)
    third = await store.put([service("a", {"addresses": []})], "session", second)
    assert first < second < third
    a, b = listed(await store.load())
    assert (a.version, b.version) == (third, second)
    assert (a.body, a.changed_by) == ({"addresses": []}, "session")


async def test_a_change_that_was_checked_against_older_entries_is_refused_whole(store: EntryStore) -> None:
    first = await store.put([service("a")], "admin", 0)
    await store.put([service("a", {"weight": 2})], "admin", first)
    before = await store.load()
    with pytest.raises(EntriesChanged):
        await store.put([service("a", None), service("b")], "admin", first)
    assert await store.load() == before
    assert len(await store.changes(10)) == 2


async def test_the_same_name_may_be_a_service_a_route_and_an_override(store: EntryStore) -> None:
    changes = [EntryChange(kind, "x", {"kind": kind}) for kind in ("override", "route", "service")]
    version = await store.put(changes, "admin", 0)
    await store.put([EntryChange("route", "x", None)], "admin", version)
    assert [each.kind for each in listed(await store.load())] == ["override", "service"]


async def test_what_is_deleted_is_gone_and_can_be_put_again(store: EntryStore) -> None:
    version = await store.put([service()], "admin", 0)
    deleted = await store.put([service(body=None)], "admin", version)
    assert await store.load() == Entries(deleted)
    again = await store.put([service()], "admin", deleted)
    assert listed(await store.load())[0].version == again > deleted > version


async def test_deleting_what_is_not_there_changes_nothing(store: EntryStore) -> None:
    version = await store.put([service("a")], "admin", 0)
    assert await store.put([service("b", None)], "admin", version) == version
    assert len(await store.changes(10)) == 1


async def test_changes_tell_what_was_before_and_after_the_last_first(store: EntryStore) -> None:
    first = await store.put([service()], "admin", 0)
    second = await store.put([service(body={"weight": 3})], "session", first)
    third = await store.put([service(body=None)], "admin", second)
    found = list(await store.changes(10))
    assert [(each.version, each.before, each.after, each.by) for each in found] == [
        (third, {"weight": 3}, None, "admin"),
        (second, BACKEND, {"weight": 3}, "session"),
        (first, None, BACKEND, "admin"),
    ]
    assert {(each.kind, each.name) for each in found} == {("service", "backend")}
    assert list(await store.changes(1)) == found[:1]
    assert list(await store.changes(10, third)) == found[1:]


async def test_another_replica_sees_what_was_put(opener: Opener) -> None:
    here, there = await opener(), await opener()
    version = await here.put([service()], "admin", 0)
    assert await there.version(0) == version
    assert await there.load() == await here.load()


async def test_of_two_writers_at_once_one_is_refused(opener: Opener) -> None:
    replicas = [await opener(), await opener()]
    await replicas[0].put([service("warm")], "admin", 0)
    version = (await replicas[1].load()).version
    results = await within(
        asyncio.gather(
            *(each.put([service(f"s{number}")], "admin", version) for number, each in enumerate(replicas)),
            return_exceptions=True,
        ),
        "two writers",
    )
    assert [type(each) for each in results].count(EntriesChanged) == 1
    assert len(listed(await replicas[0].load())) == 2


async def test_no_change_of_many_concurrent_writers_is_lost(opener: Opener) -> None:
    """Both add to the same list, each on what it loaded: an overwritten change would be missing."""
    replicas = [await opener(), await opener()]

    async def add(store: EntryStore, number: int) -> None:
        while True:
            entries = await store.load()
            found = entries.get("service", "shared")
            numbers = [*([] if found is None else found.body["numbers"]), number]
            try:
                await store.put([service("shared", {"numbers": numbers})], "admin", entries.version)
            except EntriesChanged:
                continue
            return

    async def add_all(store: EntryStore, numbers: range) -> None:
        for number in numbers:
            await add(store, number)

    await within(asyncio.gather(*map(add_all, replicas, (range(10), range(10, 20)))), "20 changes by two writers")
    found = (await replicas[0].load()).get("service", "shared")
    assert found is not None
    assert sorted(found.body["numbers"]) == list(range(20))
    assert len(await replicas[1].changes(100)) == 20
