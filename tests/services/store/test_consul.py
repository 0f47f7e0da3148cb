"""What the store in Consul does beyond the contract: it waits for changes, and survives faults of the agent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from proxy.services.entries import Entries
from proxy.services.store.base import EntriesDown, EntryChange
from proxy.services.store.consul import MOST_AT_ONCE, ConsulEntries
from proxy.services.store.follower import EntryFollower
from tests.consul.clients import client_of
from tests.support.consul import FakeConsul
from tests.support.patience import until, within


@pytest.fixture
async def agent() -> AsyncIterator[FakeConsul]:
    async with FakeConsul() as agent:
        yield agent


@pytest.fixture
async def store(agent: FakeConsul) -> AsyncIterator[ConsulEntries]:
    async with client_of(agent) as client:
        yield ConsulEntries(client, "sluice")


def service(name: str, **body: object) -> EntryChange:
    return EntryChange("service", name, body)


async def test_a_replica_waits_for_the_change_of_another(agent: FakeConsul, store: ConsulEntries) -> None:
    version = await store.put([service("a")], "admin", 0)
    async with client_of(agent) as client:
        other = ConsulEntries(client, "sluice")
        assert await other.version(0) == version
        task = asyncio.create_task(other.version(version))
        await until(lambda: agent.api.waiting == 1, "the replica to wait")
        changed = await store.put([service("b")], "admin", version)
        assert await within(task, "the change") == changed


async def test_a_follower_serves_what_another_replica_put_and_restored(agent: FakeConsul, store: ConsulEntries) -> None:
    seen: list[Entries] = []
    async with client_of(agent) as client:
        follower = EntryFollower(ConsulEntries(client, "sluice"), seen.append, str, str, every=0.01)
        task = asyncio.create_task(follower.run())
        first = await store.put([service("a")], "admin", 0)
        await until(lambda: seen and seen[-1].version == first, "the first change")
        agent.snapshot()
        second = await store.put([service("b")], "admin", first)
        await until(lambda: seen[-1].version == second, "the second change")
        await until(lambda: agent.api.waiting == 1, "the next query")
        agent.restore()
        await until(lambda: seen[-1].version == first, "the restored entries")
        await agent.stop()
        await until(lambda: not follower.state.up, "the state")
        assert seen[-1].get("service", "a") is not None
        await agent.start()
        await store.put([service("c")], "admin", first)
        await until(lambda: seen[-1].get("service", "c"), "the change after the restart")
        await until(lambda: follower.state.up, "the state")
        task.cancel()
        await asyncio.wait((task,))


async def test_names_may_have_any_characters(store: ConsulEntries) -> None:
    names = ["web.js", "a:b", "~x", "app.example.com", "A_-9"]
    await store.put([EntryChange("route", name, {"path": f"/{name}"}) for name in names], "admin", 0)
    entries = await store.load()
    assert {each.name for each in entries.of_kind("route")} == set(names)


async def test_a_change_whose_answer_was_lost_is_not_made_twice(agent: FakeConsul, store: ConsulEntries) -> None:
    """aiohttp sends the transaction again when the connection ends before an answer."""
    agent.fail("lost", "/v1/txn", times=1)
    version = await store.put([service("a")], "admin", 0)
    assert (await store.load()).version == version == 1
    assert sum(each.startswith("PUT /v1/txn") for each in agent.requests) == 2
    assert len(await store.changes(10)) == 1


async def test_more_changes_than_a_transaction_has_are_refused_whole(store: ConsulEntries) -> None:
    many = [service(f"s{number}") for number in range(MOST_AT_ONCE + 1)]
    with pytest.raises(ValueError, match="at most 62 changes at once, not 63"):
        await store.put(many, "admin", 0)
    assert await store.put(many[1:], "admin", 0) == MOST_AT_ONCE
    with pytest.raises(ValueError, match="at most 512 KB"):
        await store.put([service("big", text="x" * 600_000)], "admin", MOST_AT_ONCE)
    assert (await store.load()).version == MOST_AT_ONCE


async def test_only_the_last_changes_are_kept(
    agent: FakeConsul, store: ConsulEntries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.services.store.consul.MOST_CHANGES", 4)
    version = 0
    for number in range(12):
        version = await store.put([service(f"s{number}")], "admin", version)
    assert [each.version for each in await store.changes(100)] == [12, 11, 10, 9]
    assert len((await store.load()).by_key) == 12


async def test_faults_of_the_agent_are_told(agent: FakeConsul, store: ConsulEntries) -> None:
    agent.fail("error", "/v1/")
    for call in (store.load(), store.version(0), store.put([service("a")], "admin", 0), store.changes(1)):
        with pytest.raises(EntriesDown) as told:
            await call
        assert "500" in told.value.detail
    agent.heal()
    agent.api.kv.put("sluice/routing/service/a", b"no JSON")
    with pytest.raises(EntriesDown) as told:
        await store.load()
    assert "sluice/routing/service/a" in told.value.detail
