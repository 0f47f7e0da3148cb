"""Following a store: what another replica made, an outage, and changes made here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from random import Random

import pytest

from proxy.errors import ClientFault
from proxy.services.entries import Entries
from proxy.services.store.base import EntriesChanged, EntriesDown, EntryChange
from proxy.services.store.follower import EntryFollower, FollowerState
from proxy.services.store.memory import MemoryEntries
from tests.support.patience import until, within


class Scripted(MemoryEntries):
    """``failure``: raised by each read. ``faster``: what another replica puts before each of the next puts here."""

    def __init__(self) -> None:
        super().__init__()
        self.failure: Exception | None = None
        self.faster: list[EntryChange] = []
        self.loads = 0

    async def load(self) -> Entries:
        self.loads += 1
        if self.failure is not None:
            raise self.failure
        return await super().load()

    async def version(self, known: int) -> int:
        if self.failure is not None:
            raise self.failure
        return await super().version(known)

    async def put(self, changes: Sequence[EntryChange], by: str, expected: int) -> int:
        if self.faster:
            await super().put([self.faster.pop(0)], "another", (await super().load()).version)
        return await super().put(changes, by, expected)


class Followed:
    """A follower with what it applied and said."""

    def __init__(self, store: Scripted, every: float = 1.0) -> None:
        self.applied: list[Entries] = []
        self.lines: list[str] = []
        self.follower = EntryFollower(
            store, self.applied.append, self.lines.append, self.lines.append, every=every, chance=Random(1)
        )


def service(name: str) -> EntryChange:
    return EntryChange("service", name, {"addresses": []})


def planned(name: str) -> Callable[[Entries], list[EntryChange]]:
    return lambda now: [service(name)]


def names(entries: Entries) -> list[str]:
    return [each.name for each in entries.by_key.values()]


async def put(store: MemoryEntries, name: str) -> None:
    await MemoryEntries.put(store, [service(name)], "another", (await MemoryEntries.load(store)).version)


async def test_a_new_version_is_applied_once() -> None:
    store = Scripted()
    found = Followed(store)
    await found.follower.look()
    assert found.applied == []
    await put(store, "a")
    await found.follower.look()
    await found.follower.look()
    assert list(map(names, found.applied)) == [["a"]]
    assert (store.loads, found.follower.state) == (1, FollowerState(1))


async def test_what_another_replica_makes_is_applied_while_it_runs() -> None:
    store = Scripted()
    found = Followed(store, every=0.001)
    running = asyncio.create_task(found.follower.run())
    await put(store, "a")
    await until(lambda: [names(each) for each in found.applied] == [["a"]], "the first service")
    await put(store, "b")
    await until(lambda: names(found.applied[-1]) == ["a", "b"], "the second service")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_the_last_entries_stay_while_the_store_is_away_and_it_is_logged_once() -> None:
    store = Scripted()
    found = Followed(store)
    await put(store, "a")
    await found.follower.look()
    store.failure = EntriesDown("no route to host")
    await found.follower.look()
    await found.follower.look()
    assert list(map(names, found.applied)) == [["a"]]
    assert found.follower.state == FollowerState(1, "no route to host")
    assert len(found.lines) == 1
    assert "no route to host" in found.lines[0]
    store.failure = None
    await put(store, "b")
    await found.follower.look()
    assert (names(found.applied[-1]), found.follower.state.up, len(found.lines)) == (["a", "b"], True, 2)


async def test_an_unexpected_error_does_not_end_it() -> None:
    store = Scripted()
    found = Followed(store)
    store.failure = RuntimeError("odd")
    await found.follower.look()
    assert found.follower.state.error == "unexpected RuntimeError: odd"
    store.failure = None
    await put(store, "a")
    await found.follower.look()
    assert names(found.applied[-1]) == ["a"]


async def test_a_store_that_was_restored_from_a_backup_is_applied_although_its_version_is_lower() -> None:
    found = Followed(store := Scripted())
    await put(store, "a")
    await put(store, "b")
    await found.follower.look()
    found.follower.store = older = Scripted()
    await put(older, "a")
    await found.follower.look()
    assert (names(found.applied[-1]), found.follower.state.version) == (["a"], 1)


async def test_a_change_is_in_force_when_it_returns() -> None:
    found = Followed(Scripted())
    entries = await found.follower.change(planned("a"), "admin")
    assert names(entries) == names(found.applied[-1]) == ["a"]
    assert (entries.by_key["service", "a"].changed_by, found.follower.state.version) == ("admin", entries.version)


async def test_a_change_is_planned_again_when_another_replica_was_faster() -> None:
    store = Scripted()
    found = Followed(store)
    store.faster = [service("x"), service("y")]
    seen: list[list[str]] = []

    def plan(now: Entries) -> list[EntryChange]:
        seen.append(names(now))
        return [service("a")]

    entries = await found.follower.change(plan, "admin")
    assert seen == [[], ["x"], ["x", "y"]]
    assert names(entries) == ["a", "x", "y"]


async def test_a_change_that_is_always_too_late_is_given_up() -> None:
    store = Scripted()
    found = Followed(store)
    store.faster = [service(f"s{number}") for number in range(100)]
    with pytest.raises(EntriesDown):
        await found.follower.change(planned("a"), "admin")
    assert found.applied == []


async def test_a_refused_plan_changes_nothing() -> None:
    store = Scripted()
    found = Followed(store)

    def plan(now: Entries) -> list[EntryChange]:
        raise ClientFault("No.")

    with pytest.raises(ClientFault):
        await found.follower.change(plan, "admin")
    assert (found.applied, (await store.load()).version) == ([], 0)


async def test_a_look_does_not_bring_back_what_was_before_a_change() -> None:
    """The look has loaded older entries when the change is made: it must apply them before, or not at all."""
    store = Scripted()
    found = Followed(store)
    await put(store, "a")
    await within(asyncio.gather(found.follower.look(), found.follower.change(planned("b"), "admin")), "both")
    assert names(found.applied[-1]) == ["a", "b"]


async def test_the_memory_store_refuses_what_was_checked_against_older_entries() -> None:
    store = MemoryEntries()
    await store.put([service("a")], "admin", 0)
    with pytest.raises(EntriesChanged):
        await store.put([service("b")], "admin", 0)
