from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from proxy.budgets.base import Charge, Wants, charge
from proxy.limits.base import Cost, Limit, Verdict
from proxy.limits.batch import Batch, ScriptReply
from proxy.limits.failover import StoreDown
from proxy.limits.redis import RedisStore
from proxy.redis.client import RedisClient
from tests.limits import neighbor
from tests.limits.budget_contract import BudgetContract
from tests.limits.contract import Advance, Contract
from tests.limits.neighbor import HALF, ONCE, SLOT
from tests.support import Blackhole, Close, Upstream, until, within
from tests.support.patience import PATIENCE
from tests.support.services import OwnRedis, redis_prefix, redis_url

redis = pytest.importorskip("redis.asyncio")


@pytest.fixture
async def prefix() -> AsyncIterator[str]:
    async with redis_prefix(redis_url()) as own:
        yield own


ANY = Cost(Limit("global", "requestsPerMinute", "any", 1e6, 1e6), "any")


Settled = tuple[Sequence[Cost], Sequence[Cost], int, Sequence[Charge]]


class Timed(RedisStore):
    """A store with a test clock and immediate settlements, which otherwise take up to 20 ms."""

    def __init__(self, prefix: str) -> None:
        client = RedisClient(redis_url(), prefix, 5.0)
        super().__init__(client, lease_secs=1e8, now=lambda: self.seconds, graces=(0.0, 0.0))
        self.seconds = 0.0
        self.happened: list[float | Settled] = []  # in order: waited, or settled

    async def take(self, costs: Sequence[Cost], lease: int, wants: Wants = ()) -> Verdict:
        for event in self.happened:
            if isinstance(event, tuple):
                super().settle(*event)
            else:
                await super().take([ANY], 0)  # what is queued goes with it
                self.seconds += event
        self.happened.clear()
        return await super().take(costs, lease, wants)

    def settle(
        self, corrections: Sequence[Cost], slots: Sequence[Cost], lease: int, charges: Sequence[Charge] = ()
    ) -> None:
        charge(charges)
        self.happened.append((corrections, slots, lease, [(counter, 0, 0) for counter, _, _ in charges]))


class TestContract(Contract, BudgetContract):
    @pytest.fixture
    async def store(self, prefix: str) -> AsyncIterator[Timed]:
        store = Timed(prefix)
        yield store
        await store.close()

    @pytest.fixture
    def advance(self, store: Timed) -> Advance:
        return store.happened.append


@pytest.fixture
async def own() -> AsyncIterator[OwnRedis]:
    async with OwnRedis() as server:
        yield server


@asynccontextmanager
async def opened(
    url: str, prefix: str = "sluice", timeout: float = PATIENCE, **options: float
) -> AsyncIterator[RedisStore]:
    store = RedisStore(RedisClient(url, prefix, timeout), **options)
    try:
        yield store
    finally:
        await store.close()


async def level(store: RedisStore, cost: Cost) -> float:
    verdict = await store.take([Cost(cost.limit, cost.key, 0.0)], 0)
    return verdict.remaining if verdict.admitted else -verdict.retry_after * cost.limit.rate


async def free(store: RedisStore, lease: int = 99) -> bool:
    """Whether the one slot is free; it is so again afterwards."""
    admitted = (await store.take([SLOT], lease)).admitted
    store.settle([], [SLOT], lease)
    return admitted


async def until_free(store: RedisStore) -> None:
    async def look() -> None:
        while not await free(store):  # noqa: ASYNC110
            await asyncio.sleep(0.005)

    await within(look(), "a free slot")


async def taken_under_way(store: RedisStore, costs: Sequence[Cost], lease: int = 1) -> asyncio.Task[Verdict]:
    """A take that has been sent, or at least belongs to the call that is under way."""
    task = asyncio.ensure_future(store.take(costs, lease))
    await until(lambda: store._in_call, "a call under way")
    return task


# -- many at once -------------------------------------------------------------------------------


async def test_two_processes_together_get_exactly_the_capacity(prefix: str) -> None:
    neighbors = [await neighbor.start(redis_url(), prefix, "hammer", "1000") for _ in range(2)]
    answers = [await within(each.communicate(), "a neighbor") for each in neighbors]
    granted = [int(output) for output, _ in answers]
    assert sum(granted) == 500
    async with opened(redis_url(), prefix) as store:
        assert await level(store, ONCE) == pytest.approx(0.0, abs=0.01)
        assert await level(store, HALF) == pytest.approx(100_000 - 500 * 137.5, abs=1.0)


async def test_concurrent_takes_share_a_call(own: OwnRedis) -> None:
    async with opened(own.url) as store, redis.Redis.from_url(own.url) as client:
        await store.take([ONCE], 1)
        for _ in range(3):
            before = await calls(client)
            verdicts = await asyncio.gather(*(store.take([ONCE], lease) for lease in range(100)))
            assert all(verdict.admitted for verdict in verdicts)
            assert await calls(client) == before + 1
        assert await level(store, ONCE) == pytest.approx(500 - 301, abs=0.01)


async def calls(client: Any) -> int:
    return int((await client.info("commandstats")).get("cmdstat_evalsha", {}).get("calls", 0))


async def test_takes_beyond_one_call_are_all_answered(own: OwnRedis) -> None:
    async with opened(own.url) as store:
        verdicts = await asyncio.gather(*(store.take([HALF, Cost(ONCE.limit, f"{n}")], n) for n in range(1700)))
        assert sum(verdict.admitted for verdict in verdicts) == int(100_000 / 137.5)
        assert {verdict.limit for verdict in verdicts if not verdict.admitted} == {HALF.limit}


# -- keys and values in Redis -------------------------------------------------------------------


async def test_all_keys_share_a_hash_tag_and_expire_when_full(own: OwnRedis) -> None:
    slow = Cost(Limit("client", "requestsPerHour", "client:requestsPerHour", 10.0, 0.01), "client:ann")
    async with opened(own.url, "here") as store, redis.Redis.from_url(own.url) as client:
        await store.take([slow, SLOT], 1)
        keys = {key: await client.pttl(key) for key in await client.keys()}
        assert set(keys) == {b"{here}:client:requestsPerHour:client:ann", b"{here}:model:concurrent:gpt"}
        assert 50_000 < keys[b"{here}:client:requestsPerHour:client:ann"] <= 100_000
        assert 5_000 < keys[b"{here}:model:concurrent:gpt"] <= 15_000
        store.settle([Cost(slow.limit, slow.key, -1.0)], [SLOT], 1)
        assert await free(store)
        await store.take([Cost(slow.limit, slow.key, 0.0)], 1)
        assert await client.keys() == []


async def test_prefixes_are_independent(own: OwnRedis) -> None:
    async with opened(own.url, "a") as one, opened(own.url, "b") as other:
        assert (await one.take([SLOT], 1)).admitted
        assert (await other.take([SLOT], 1)).admitted


@pytest.mark.parametrize("key", ["", "ä", "a b\r\n{c}:*", "\ud800\udc80", "\x00", "x" * 5000])
async def test_any_text_is_a_valid_key(own: OwnRedis, key: str) -> None:
    async with opened(own.url) as store:
        for left in (499, 498):
            verdict = await store.take([Cost(ONCE.limit, key)], 1)
            assert verdict.remaining == pytest.approx(left, abs=0.01)


async def test_an_invalid_stored_bucket_counts_as_full(own: OwnRedis) -> None:
    async with opened(own.url) as store, redis.Redis.from_url(own.url) as client:
        await client.set("{sluice}:global:requestsPerHour:", "nonsense")
        assert (await store.take([ONCE], 1)).remaining == pytest.approx(499.0, abs=0.01)


async def test_a_server_clock_set_back_changes_no_level(own: OwnRedis) -> None:
    moment = [1000.0]
    store = RedisStore(RedisClient(own.url, "sluice", PATIENCE), now=lambda: moment[0])
    cost = Cost(Limit("model", "tokensPerMinute", "model:tokensPerMinute", 100.0, 1.0), "gpt", 50.0)
    await store.take([cost], 1)
    moment[0] = 10.0
    assert await level(store, cost) == 50.0
    await store.take([Cost(cost.limit, cost.key, 10.0)], 1)
    moment[0] = 20.0
    assert await level(store, cost) == 50.0
    await store.close()


# -- settlements --------------------------------------------------------------------------------


async def test_settlements_are_sent_in_the_background(own: OwnRedis) -> None:
    async with opened(own.url) as store, opened(own.url) as other:
        await store.take([SLOT, HALF], 1)
        assert not await free(other)
        store.settle([Cost(HALF.limit, HALF.key, 1000.0)], [SLOT], 1)
        await until_free(other)
        assert await level(other, HALF) == pytest.approx(100_000 - 1137.5, abs=1.0)


async def test_closing_sends_queued_settlements_and_releases_held_slots(own: OwnRedis) -> None:
    async with opened(own.url) as other:
        async with opened(own.url) as store:
            await store.take([SLOT, HALF], 1)
            store.settle([Cost(HALF.limit, HALF.key, 1000.0)], [], 1)
        assert await free(other)
        assert await level(other, HALF) == pytest.approx(100_000 - 1137.5, abs=1.0)


async def test_settlements_wait_for_redis_to_recover(own: OwnRedis) -> None:
    async with opened(own.url) as store:
        await store.take([HALF], 1)
        await own.kill()
        with pytest.raises(StoreDown):
            await store.take([HALF], 2)
        store.settle([Cost(HALF.limit, HALF.key, 1000.0)], [], 1)
        with pytest.raises(StoreDown) as caught:
            await store.take([HALF], 3)  # it had them with it
        assert not caught.value.sent
        await own.start()
        assert await level(store, HALF) == pytest.approx(99_000, abs=1.0)


async def test_closing_does_not_wait_for_an_unavailable_redis(own: OwnRedis) -> None:
    async with opened(own.url) as store:
        await store.take([SLOT], 1)
        await own.kill()
        await within(store.close(), "the store to close")
        with pytest.raises(StoreDown, match="closed"):
            await store.take([SLOT], 1)


async def test_a_waiting_take_fails_when_the_store_closes(own: OwnRedis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.limits.redis._CLOSE_TIMEOUT", 0.0)
    async with opened(own.url) as store:
        await store.take([ONCE], 1)
        own.hold()
        task = await taken_under_way(store, [ONCE])
        await store.close()
        with pytest.raises(StoreDown, match="closed"):
            await task


# -- leases -------------------------------------------------------------------------------------


async def test_a_lease_is_renewed_until_its_process_is_killed(prefix: str) -> None:
    async with opened(redis_url(), prefix, lease_secs=neighbor.LEASE) as store:
        holder = await neighbor.start(redis_url(), prefix, "hold")
        assert holder.stdout is not None
        assert await within(holder.stdout.readline(), "a neighbor") == b"held\n"
        async with redis.Redis.from_url(redis_url()) as client:
            expiries = {await expiry(client, prefix)}
            while len(expiries) < 5:  # it was renewed beyond its first life
                assert not await free(store)
                await asyncio.sleep(0.01)
                expiries.add(await expiry(client, prefix))
        holder.kill()
        await holder.wait()
        assert not await free(store)
        await until_free(store)


async def expiry(client: Any, prefix: str) -> float:
    [(_, score)] = await client.zrange(f"{{{prefix}}}:model:concurrent:gpt", 0, -1, withscores=True)
    return float(score)


async def test_leases_are_renewed_on_a_new_redis(own: OwnRedis) -> None:
    async with opened(own.url) as store, opened(own.url) as other:
        await store.take([SLOT], 1)
        await own.kill()
        with pytest.raises(StoreDown):
            await store.take([ONCE], 2)
        await own.start()
        await store.take([ONCE], 2)
        await store.take([ONCE], 2)  # with what the first answer made it tell
        assert not await free(other)


async def test_a_slot_released_during_an_outage_is_not_renewed(own: OwnRedis) -> None:
    async with opened(own.url) as store, opened(own.url) as other:
        await store.take([SLOT], 1)
        own.hold()
        task = await taken_under_way(store, [ONCE])
        store.settle([], [SLOT], 1)
        own.resume()
        await task
        await store.take([ONCE], 2)
        assert await free(other)


# -- takes that are given up --------------------------------------------------------------------


async def test_a_take_canceled_in_flight_takes_nothing(own: OwnRedis) -> None:
    async with opened(own.url) as store:
        await store.take([ONCE], 1)
        own.hold()
        task = await taken_under_way(store, [HALF, SLOT])
        queued = asyncio.ensure_future(store.take([HALF, SLOT], 2))
        await until(lambda: store._takes, "a take that waits for its turn")
        await cancelled(task)
        await cancelled(queued)
        own.resume()
        assert await level(store, ONCE) == pytest.approx(499, abs=0.01)  # the answers have come by now
        assert await level(store, HALF) == pytest.approx(100_000)
        assert await free(store)


async def test_a_take_canceled_as_its_result_arrives_takes_nothing(
    own: OwnRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(own.url) as store:
        task = asyncio.ensure_future(store.take([HALF, SLOT], 1))
        answered = store._answered

        def and_cancel(batch: Batch, reply: ScriptReply) -> None:
            answered(batch, reply)
            task.cancel()

        monkeypatch.setattr(store, "_answered", and_cancel)
        with pytest.raises(asyncio.CancelledError):
            await task
        monkeypatch.undo()
        assert await level(store, HALF) == pytest.approx(100_000)
        assert await free(store)


async def test_a_canceled_take_keeps_the_earlier_slot_of_its_lease(own: OwnRedis) -> None:
    async with opened(own.url) as store:
        await store.take([SLOT], 1)
        own.hold()
        task = await taken_under_way(store, [HALF, SLOT])
        await cancelled(task)
        own.resume()
        assert await level(store, HALF) == pytest.approx(100_000)
        assert not await free(store)


async def cancelled(task: asyncio.Task[Verdict]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


# -- a Redis that is in trouble -----------------------------------------------------------------


async def test_a_flushed_script_is_loaded_again(own: OwnRedis) -> None:
    async with opened(own.url) as store, redis.Redis.from_url(own.url) as client:
        for left in (499, 498):
            await client.script_flush()
            assert (await store.take([ONCE], 1)).remaining == pytest.approx(left, abs=0.01)


async def test_a_silent_redis_times_out(own: OwnRedis) -> None:
    async with opened(own.url, timeout=0.1) as store:
        own.hold()
        with pytest.raises(StoreDown, match=r"no answer within 0\.1 s"):
            await store.take([ONCE], 1)
        own.resume()


async def test_connecting_to_redis_times_out() -> None:
    with Blackhole() as hole:
        async with opened(f"redis://127.0.0.1:{hole.port}/0", timeout=0.1) as store:
            with pytest.raises(StoreDown, match=r"no answer within 0\.1 s") as caught:
                await store.take([ONCE], 1)
            assert not caught.value.sent


async def test_repeated_failures_leak_nothing() -> None:
    with Blackhole() as hole:
        async with opened(f"redis://127.0.0.1:{hole.port}/0", timeout=0.001) as store:
            for _ in range(250):
                with pytest.raises(StoreDown, match="no answer"):
                    await store.take([ONCE], 1)


async def test_a_failure_reaches_all_waiting_takes(own: OwnRedis) -> None:
    async with opened(own.url) as store:
        await store.take([ONCE], 1)
        own.hold()
        tasks = [await taken_under_way(store, [ONCE])]
        tasks += [asyncio.ensure_future(store.take([ONCE], lease)) for lease in range(2, 10)]
        await until(lambda: len(store._takes) == 8, "takes that wait for their turn")
        await own.kill()
        failures = await within(asyncio.gather(*tasks, return_exceptions=True), "answers")
        assert {type(failure) for failure in failures} == {StoreDown}
        await own.start()
        assert (await store.take([ONCE], 1)).admitted


async def test_an_idle_connection_closed_by_redis_is_not_a_failure(
    own: OwnRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.redis.connection.IDLE", 0.0)
    async with opened(own.url) as store:
        await store.take([ONCE], 1)
        await own.kill()
        await own.start()
        await store.take([ONCE], 1)


async def test_a_read_only_redis_is_down(own: OwnRedis) -> None:
    async with opened(own.url) as store, redis.Redis.from_url(own.url) as client:
        await client.config_set("maxmemory", 1)
        with pytest.raises(StoreDown, match="memory"):
            await store.take([ONCE], 1)
        await client.config_set("maxmemory", 0)
        assert (await store.take([ONCE], 1)).admitted


async def test_a_server_that_is_not_redis_is_down() -> None:
    async with Upstream() as web:
        web.on_connect(b"HTTP/1.1 400 Bad Request\r\n\r\n", Close())
        async with opened(f"redis://127.0.0.1:{web.port}/0") as store:
            with pytest.raises(StoreDown):
                await store.take([ONCE], 1)


async def test_errors_do_not_contain_the_password(own: OwnRedis) -> None:
    async with opened(own.url.replace("unix://", "unix://someone:hunter2@")) as store:
        with pytest.raises(StoreDown) as caught:
            await store.take([ONCE], 1)
        assert "hunter2" not in str(caught.value)
