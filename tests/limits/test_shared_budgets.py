"""Budgets of several stores on one Redis, with their loops, timers and failures."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from msgspec import structs

from proxy.budgets.base import BudgetCounter, Want
from proxy.errors import Overloaded
from proxy.limits.base import Cost, Verdict
from proxy.limits.counter_seeds import SpendReader
from proxy.limits.failover import BudgetsUnknown, Failover, Policy, StoreDown
from proxy.limits.memory import Memory
from proxy.limits.redis import RedisStore
from proxy.redis.client import RedisClient
from tests.limits import neighbor
from tests.limits.budget_contract import copy, counter
from tests.limits.contract import resolved
from tests.limits.neighbor import ONCE, SLOT
from tests.support import until, within
from tests.support.services import OwnRedis

redis = pytest.importorskip("redis.asyncio")

SHORT = (0.0, 0.2)  # seconds of grace, at a first start and after a flush


@pytest.fixture
async def own() -> AsyncIterator[OwnRedis]:
    async with OwnRedis() as server:
        yield server


@asynccontextmanager
async def opened(
    own: OwnRedis,
    process: str = "",
    *,
    timeout: float = 10.0,
    graces: tuple[float, float] = SHORT,
    reader: SpendReader | None = None,
) -> AsyncIterator[RedisStore]:
    store = RedisStore(RedisClient(own.url, "sluice", timeout), process=process, reader=reader, graces=graces)
    try:
        yield store
    finally:
        await store.close()
        await store._redis.close()


class LedgerDouble:
    """A ledger in memory. ``gate``: reads wait for it."""

    def __init__(self, spent: dict[str, dict[str, int]] | None = None) -> None:
        self.spent = spent or {}
        self.gate = asyncio.Event()
        self.gate.set()
        self.fails = False
        self.reads: list[list[str]] = []

    async def read(self, counters: Sequence[BudgetCounter]) -> Mapping[str, Mapping[str, int]]:
        self.reads.append([each.key for each in counters])
        await self.gate.wait()
        if self.fails:
            raise OSError("no database")
        return {each.key: self.spent[each.key] for each in counters if each.key in self.spent}


async def take(store: RedisStore | Failover, *wants: Want, costs: tuple[Cost, ...] = ()) -> Verdict:
    return await within(_take(store, wants, costs), "a verdict")


async def _take(store: RedisStore | Failover, wants: tuple[Want, ...], costs: tuple[Cost, ...]) -> Verdict:
    return await resolved(store.take(costs, 1, wants))


async def admitted(store: RedisStore | Failover, *wants: Want) -> bool:
    return (await take(store, *wants)).admitted


async def eventually(store: RedisStore, want: Want) -> None:
    """The want is admitted before long."""

    async def look() -> None:
        while not await admitted(store, want):  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    await within(look(), f"room for {want}")


async def fields(own: OwnRedis, one: BudgetCounter) -> dict[str, str]:
    async with redis.Redis.from_url(own.url, decode_responses=True) as client:
        found: dict[str, str] = await client.hgetall(f"{{sluice}}:budget:{one.key}")
        return found


async def flushed(own: OwnRedis) -> None:
    async with redis.Redis.from_url(own.url) as client:
        await client.flushall()


# -- many at once -------------------------------------------------------------------------------


@pytest.mark.parametrize("flush", [False, True], ids=["", "flushed half-way"])
async def test_parallel_calls_of_two_processes_never_pass_the_cap(own: OwnRedis, flush: bool) -> None:
    """100 calls that may cost 13 and cost 7, of a cap of 450."""
    ledger = LedgerDouble()
    async with opened(own, "one", reader=ledger) as one, opened(own, "other", reader=ledger) as other:
        mine, theirs = counter(450), counter(450)
        both, most, passed = [(one, mine), (other, theirs)], 0, 0

        def used() -> int:
            return mine.spent + mine.held + theirs.spent + theirs.held

        async def call(number: int) -> None:
            nonlocal most, passed
            store, each = both[number % 2]
            if (await take(store, (each, 13))).admitted:
                passed += 1
                most = max(most, used())
                await asyncio.sleep(0)
                store.settle((), (), 1, [(each, 13, 7)])
            most = max(most, used())

        await asyncio.gather(*map(call, range(50)))
        if flush:
            await flushed(own)
        await asyncio.gather(*map(call, range(50, 100)))
        while (passed + 1) * 7 + 6 <= 450:
            await call(0)
        assert most <= 450
        assert mine.held == theirs.held == 0
        assert mine.spent + theirs.spent == passed * 7
        assert await admitted(one, (mine, 450 - used()))
        assert not await admitted(other, (theirs, 1))


async def test_takes_and_bills_of_many_share_calls(own: OwnRedis) -> None:
    async with opened(own) as store, redis.Redis.from_url(own.url) as client:
        daily = counter(10**6)
        assert await admitted(store, (daily, 1))

        async def calls() -> int:
            return int((await client.info("commandstats"))["cmdstat_evalsha"]["calls"])

        before = await calls()
        await asyncio.gather(*(take(store, (daily, 1)) for _ in range(100)))
        store.settle((), (), 1, [(daily, 101, 50)])
        assert await admitted(store, (daily, 10**6 - 50))
        assert await calls() - before <= 3  # a heartbeat may be one


async def test_without_budgets_nothing_of_them_is_in_redis(own: OwnRedis) -> None:
    async with opened(own) as store, redis.Redis.from_url(own.url) as client:
        await take(store, costs=(ONCE,))
        store.settle((), [SLOT], 1)
        assert await client.keys() == [b"{sluice}:global:requestsPerHour:"]
        assert store.budgets._heartbeat is None


async def test_all_keys_have_the_hash_tag_and_expire(own: OwnRedis) -> None:
    async with opened(own) as store, redis.Redis.from_url(own.url) as client:
        daily, total = counter(10), counter(10, "total")
        daily.ends = 1.0  # long ago
        assert await admitted(store, (daily, 1), (total, 1))
        keys = {key: await client.ttl(key) for key in await client.keys()}
        assert set(keys) == {
            b"{sluice}:budget:daily/total/alice",
            b"{sluice}:budget:total/total/alice",
            b"{sluice}:budgets",
        }
        assert 1.9 < keys[b"{sluice}:budget:daily/total/alice"] / 86400 <= 2
        assert 39.9 < keys[b"{sluice}:budget:total/total/alice"] / 86400 <= 40


# -- processes that end -------------------------------------------------------------------------


async def test_closing_sends_bills_and_ends_holds(own: OwnRedis) -> None:
    async with opened(own) as other:
        async with opened(own, "first") as store:
            daily, monthly = counter(100), counter(100, "monthly")
            assert await admitted(store, (daily, 60), (monthly, 10))
            store.settle((), (), 1, [(daily, 30, 20)])
        found = await fields(own, daily)
        assert (found["s:first"], "r:first" in found) == ("20", False)
        assert await admitted(other, (counter(100), 80), (counter(100, "monthly"), 100))


async def test_what_a_killed_process_holds_ends_with_its_heartbeat(own: OwnRedis) -> None:
    async with opened(own, graces=(0.6, 1.2)) as store:
        holder = await neighbor.start(own.url, "sluice", "budget")
        assert holder.stdout is not None
        assert await within(holder.stdout.readline(), "a neighbor") == b"held\n"
        daily = counter(100)
        assert not await admitted(store, (daily, 41))
        holder.kill()
        await holder.wait()
        assert not await admitted(store, (daily, 41))
        await eventually(store, (daily, 100))


async def test_heartbeats_keep_a_quiet_process_alive(own: OwnRedis) -> None:
    async with opened(own, "quiet") as store, redis.Redis.from_url(own.url) as client:
        assert await admitted(store, (counter(100), 60))
        expiries: set[float] = set()

        async def several() -> None:
            while len(expiries) < 4:
                state = msgspec.msgpack.decode(await client.get("{sluice}:budgets"))
                expiries.add(state["live"]["quiet"][0])
                await asyncio.sleep(0.01)

        await within(several(), "heartbeats")


# -- takes that are given up, and replies that are lost -----------------------------------------


async def test_a_take_canceled_in_flight_holds_nothing(own: OwnRedis) -> None:
    async with opened(own) as store, opened(own) as other:
        daily = counter(100)
        assert await admitted(store, (daily, 10))
        own.hold()
        task = asyncio.ensure_future(store.take((), 1, ((daily, 50),)))
        await until(lambda: store._in_call, "a call under way")
        queued = asyncio.ensure_future(store.take((), 1, ((daily, 40),)))
        await asyncio.sleep(0)
        for each in (task, queued):
            each.cancel()
        own.resume()
        await asyncio.wait([task, queued])
        assert task.cancelled()
        assert queued.cancelled()
        assert daily.held == 10
        await eventually(other, (counter(100), 90))


async def test_a_take_canceled_as_its_answer_arrives_holds_nothing(
    own: OwnRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(own) as store, opened(own) as other:
        daily = counter(100)
        task = asyncio.ensure_future(store.take((), 1, ((daily, 50),)))
        answered = store._answered

        def and_cancel(*reply: Any) -> None:
            answered(*reply)
            if daily.held:
                task.cancel()

        monkeypatch.setattr(store, "_answered", and_cancel)
        await asyncio.wait([task])
        assert task.cancelled()
        assert daily.held == 0
        await eventually(other, (counter(100), 100))


async def test_a_lost_reply_holds_nothing_for_long(own: OwnRedis) -> None:
    async with opened(own, timeout=0.3) as store, opened(own) as other:
        daily = counter(100)
        assert await admitted(store, (daily, 10))
        own.hold()
        with pytest.raises(StoreDown, match="no answer"):
            await take(store, (daily, 50))
        own.resume()
        assert daily.held == 10
        await eventually(other, (counter(100), 90))


async def test_a_restarted_redis_gets_all_sums_again(own: OwnRedis) -> None:
    ledger = LedgerDouble()
    async with opened(own, "one", reader=ledger) as one, opened(own, "other", reader=ledger) as other:
        mine, theirs = counter(100), counter(100)
        assert await admitted(one, (mine, 50))
        one.settle((), (), 1, [(mine, 30, 30)])
        ledger.spent[mine.key] = {"one": 20, "ended": 5}
        await own.kill()
        with pytest.raises(StoreDown):
            await take(other, (theirs, 1))
        await own.start()
        await asyncio.gather(eventually(one, (mine, 0)), eventually(other, (theirs, 0)))
        assert not await admitted(other, (theirs, 46))
        assert await admitted(other, (theirs, 45))
        assert theirs.base == 55


# -- the ledger ---------------------------------------------------------------------------------


async def test_a_new_counter_is_read_once_for_all_takes(own: OwnRedis) -> None:
    ledger = LedgerDouble({"daily/total/alice": {"": 10, "ended": 60}})
    ledger.gate.clear()
    async with opened(own, reader=ledger) as store:
        daily = counter(100)
        tasks = [asyncio.ensure_future(admitted(store, (daily, 20))) for _ in range(3)]
        await until(lambda: ledger.reads, "a read")
        tasks += [asyncio.ensure_future(admitted(store, (daily, 20))) for _ in range(2)]
        assert await admitted(store, (counter(1, soft=True, name="soft"), 5))  # does not wait
        ledger.gate.set()
        assert sum(await asyncio.gather(*tasks)) == 1
        assert ledger.reads.count(["daily/total/alice"]) == 1
        assert daily.base == 70


async def test_a_ledger_that_fails_is_told_to_the_takes_that_need_it(own: OwnRedis) -> None:
    ledger = LedgerDouble()
    ledger.fails = True
    async with opened(own, reader=ledger) as store:
        daily = counter(100)
        with pytest.raises(BudgetsUnknown, match=r"the ledger cannot be read \(OSError\)"):
            await take(store, (daily, 1))
        assert (await take(store, costs=(ONCE,))).admitted
        assert daily.held == 0
        ledger.fails = False
        assert await admitted(store, (daily, 100))


async def test_a_ledger_that_hangs_does_not_hold_takes_for_long(own: OwnRedis) -> None:
    ledger = LedgerDouble()
    ledger.gate.clear()
    async with opened(own, timeout=0.2, reader=ledger) as store:
        with pytest.raises(BudgetsUnknown, match=r"not known within 0\.4 s"):
            await take(store, (counter(100), 1))


async def test_a_waiting_take_ends_as_the_store_closes(own: OwnRedis) -> None:
    ledger = LedgerDouble()
    ledger.gate.clear()
    async with opened(own, reader=ledger) as store:
        task = asyncio.ensure_future(store.take((), 1, ((counter(100), 1),)))
        await until(lambda: ledger.reads, "a read")
        await store.close()
        with pytest.raises(StoreDown, match="closed"):
            await task


async def test_what_the_ledger_learns_later_can_be_added(own: OwnRedis) -> None:
    async with opened(own, "me") as store:
        daily = counter(100)
        assert await admitted(store, (daily, 10))
        store.budgets.seed(daily, {"ended": 50, "me": 0})
        assert not await admitted(store, (daily, 41))
        assert await admitted(store, (daily, 40))


async def test_processes_that_the_ledger_has_merged_do_not_count_twice(own: OwnRedis) -> None:
    daily = counter(100)
    ledger = LedgerDouble({daily.key: {"old": 30, "recent": 5}})
    async with opened(own, "me", reader=ledger) as store, opened(own, "other", reader=ledger) as other:
        assert await admitted(store, (daily, 10))
        assert await admitted(other, (counter(100), 7))
        store.budgets.seed(daily, {"": 30, "recent": 5})
        assert not await admitted(store, (daily, 100 - 30 - 5 - 10 - 7 + 1))
        assert await admitted(store, (daily, 100 - 30 - 5 - 10 - 7))


# -- what to do without a shared truth ----------------------------------------------------------


class PolicySetting:
    """Two processes with a policy, on a Redis that can be killed."""

    def __init__(self, own: OwnRedis, policy: Policy, ledger: LedgerDouble) -> None:
        self.said: list[str] = []
        self.remotes, self.stores, self.counters = [], [], [counter(100), counter(100)]
        for name in ("one", "other"):
            remote = RedisStore(RedisClient(own.url, "sluice", 1.0), process=name, reader=ledger, graces=SHORT)
            local = Memory(lambda: 0.0, 100)
            told = self.said.append
            self.remotes.append(remote)
            self.stores.append(Failover(remote, local, policy, warn=told, info=told, now=lambda: 0.0, interval=0.01))

    def want(self, place: int, amount: int) -> Want:
        return (self.counters[place], amount)

    async def take(self, place: int, amount: int) -> bool:
        return await admitted(self.stores[place], self.want(place, amount))

    async def down(self) -> None:
        for place, store in enumerate(self.stores):
            while store.state.up:
                try:
                    await self.take(place, 0)
                except Overloaded:
                    pass

    async def up(self) -> None:
        await until(lambda: all(store.state.up for store in self.stores), "the stores to be found again")


@asynccontextmanager
async def policies(own: OwnRedis, policy: Policy, ledger: LedgerDouble | None = None) -> AsyncIterator[PolicySetting]:
    here = PolicySetting(own, policy, ledger or LedgerDouble())
    try:
        yield here
    finally:
        for store in here.stores:
            await store.close()


async def test_alone_a_process_counts_what_it_last_knew_of_the_others(own: OwnRedis) -> None:
    async with policies(own, "local") as here:
        assert await here.take(0, 40)
        assert await here.take(1, 30)
        await own.kill()
        await here.down()
        assert not await here.take(1, 31)
        assert await here.take(1, 30)  # the other does not know it
        assert await here.take(0, 60)
        await own.start()
        await here.up()
        assert not await here.take(0, 0)  # 160 of 100 are held, and all know it
        assert not await here.take(1, 0)


async def test_open_admits_and_counts(own: OwnRedis) -> None:
    async with policies(own, "open") as here:
        assert await here.take(0, 100)
        await own.kill()
        await here.down()
        assert await here.take(1, 500)
        await own.start()
        await here.up()
        assert not await here.take(0, 0)
        assert here.counters[0].base == 500


async def test_closed_refuses(own: OwnRedis) -> None:
    async with policies(own, "closed") as here:
        assert await here.take(0, 40)
        await own.kill()
        await here.down()
        with pytest.raises(Overloaded):
            await here.take(0, 1)
        assert here.counters[0].held == 40


@pytest.mark.parametrize("policy", ["local", "open", "closed"])
async def test_a_ledger_that_fails_is_met_with_the_policy_and_the_store_stays_up(own: OwnRedis, policy: Policy) -> None:
    ledger = LedgerDouble()
    ledger.fails = True
    async with policies(own, policy, ledger) as here:
        if policy == "closed":
            with pytest.raises(Overloaded):
                await here.take(0, 60)
        else:
            assert await here.take(0, 60)
            assert await here.take(0, 60) is (policy == "open")
        assert here.stores[0].state.up
        assert len(here.said) == 1
        assert "the ledger cannot be read (OSError)" in here.said[0]
        ledger.fails = False
        assert not await here.take(0, 101)
        assert here.said[1:] == ["Budgets are counted over all processes again."]


@pytest.mark.parametrize("policy", ["local", "open", "closed"])
async def test_a_cap_survives_a_kill_of_redis_under_load(own: OwnRedis, policy: Policy) -> None:
    """Calls of 1 by two processes, of which each bills what it held; the ledger is up to date."""
    ledger = LedgerDouble()
    async with policies(own, policy, ledger) as here:
        for each in here.counters:
            each.cap = 3000
        stopped, refused = False, 0

        async def caller(place: int) -> None:
            nonlocal refused
            while not stopped:
                try:
                    passed = await here.take(place, 1)
                except Overloaded:
                    refused += 1
                else:
                    if passed:
                        here.stores[place].settle((), (), 1, [(here.counters[place], 1, 1)])
                await asyncio.sleep(0.001)

        callers = [asyncio.ensure_future(caller(number % 2)) for number in range(10)]

        def spent() -> int:
            return sum(each.spent for each in here.counters)

        for _ in range(2):
            seen = spent()
            await until(lambda: spent() > seen + 100, "calls under load")  # noqa: B023
            await own.kill()
            await until(lambda: not all(store.state.up for store in here.stores), "the failure to be met")
            await own.start()
            await here.up()
        stopped = True
        await within(asyncio.gather(*callers), "the load to end")
        assert sum(each.held for each in here.counters) == 0
        total = spent()
        if policy != "open":
            assert total <= 3000 * (2 if policy == "local" else 1)
        found = copy(here.counters[0])
        found.cap = 10**6
        async with opened(own) as third:

            async def all_is_sent() -> None:
                while not (await admitted(third, (found, 0)) and found.base == total):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)

            await within(all_is_sent(), "the sums to be sent")


async def test_a_budget_that_changes_its_unit_begins_anew(own: OwnRedis) -> None:
    """Nano-USD are no tokens. Replicas with another configuration do not disturb each other either."""
    async with opened(own, "one") as one, opened(own, "other") as other:
        usd = counter(10**9)
        assert await admitted(one, (usd, 5 * 10**8))
        tokens = copy(usd)
        tokens.budget = structs.replace(usd.budget, unit="tokens", cap=100)
        tokens.cap = 100
        assert await admitted(one, (tokens, 60))
        again = copy(tokens)
        assert not await admitted(other, (again, 60))
        assert again.base == 60
