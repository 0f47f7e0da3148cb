from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from proxy.errors import Overloaded
from proxy.limits.base import Cost, Limit, Store, Verdict
from proxy.limits.failover import Failover, Policy
from proxy.limits.memory import Memory
from proxy.limits.redis import RedisStore
from proxy.redis.client import RedisClient
from tests.limits.budget_contract import BudgetContract
from tests.limits.contract import Advance, Contract, resolved
from tests.support import until, within
from tests.support.patience import PATIENCE
from tests.support.services import OwnRedis

pytest.importorskip("redis.asyncio")

ONCE = Limit("global", "requestsPerHour", "global:requestsPerHour", 500.0, 1e-6)
TOKENS = Limit("model", "tokensPerMinute", "model:tokensPerMinute", 1000.0, 1e-6)
ONE = Cost(ONCE, "")
SLOT = Cost(Limit("model", "concurrent", "model:concurrent", 1.0, 0.0), "gpt")
POLICIES: list[Policy] = ["local", "open", "closed"]


class Setting:
    """A store on a Redis that can be killed, with its local fallback."""

    def __init__(self, own: OwnRedis, policy: Policy, timeout: float) -> None:
        self.redis = own
        self.seconds = 0.0
        self.warnings: list[str] = []
        self.infos: list[str] = []
        self.remote = RedisStore(RedisClient(own.url, "sluice", timeout))
        self.local = Memory(self.now, 1000)
        self.store = Failover(
            self.remote,
            self.local,
            policy,
            warn=self.warnings.append,
            info=self.infos.append,
            now=self.now,
            interval=0.005,
        )

    def now(self) -> float:
        return self.seconds

    async def take(self, *costs: Cost, lease: int = 1) -> Verdict:
        return await resolved(self.store.take(costs, lease))

    async def lose(self) -> None:
        """Kill Redis, and let a take detect it."""
        await self.redis.kill()
        try:
            await self.take(Cost(ONCE, "finding out"), lease=0)
        except Overloaded:
            pass
        assert not self.store.state.up

    async def regain(self) -> None:
        await self.redis.start()
        await until(lambda: self.store.state.up, "the store to be found again")


async def level(store: Store, limit: Limit, key: str) -> float:
    return (await resolved(store.take([Cost(limit, key, 0.0)], 0))).remaining


async def free(store: Store, lease: int = 99) -> bool:
    admitted = (await resolved(store.take([SLOT], lease))).admitted
    store.settle([], [SLOT], lease)
    return admitted


@asynccontextmanager
async def setting(policy: Policy = "local", timeout: float = PATIENCE) -> AsyncIterator[Setting]:
    async with OwnRedis() as own:
        here = Setting(own, policy, timeout)
        try:
            yield here
        finally:
            await within(here.store.close(), "the store to close")


# -- at the start ---------------------------------------------------------------------------------


async def test_the_start_pings_redis_once() -> None:
    async with setting() as here:
        await here.store.start()
        assert here.store.state.up
        assert here.store.state.latency is not None
        assert here.warnings == []


@pytest.mark.parametrize("policy", POLICIES)
async def test_redis_down_at_start_is_logged_and_the_start_continues(policy: Policy) -> None:
    async with setting(policy) as here:
        await here.redis.kill()
        await here.store.start()
        assert not here.store.state.up
        assert len(here.warnings) == 1
        await here.regain()
        assert (await here.take(ONE)).limit is ONCE


# -- up -----------------------------------------------------------------------------------------


async def test_redis_up_is_used_silently() -> None:
    async with setting() as here:
        assert here.store.state.latency is None
        assert (await here.take(ONE)).remaining == pytest.approx(499.0, abs=0.01)
        here.store.settle([Cost(ONCE, "", 99.0)], [], 1)
        assert await level(here.remote, ONCE, "") == pytest.approx(400.0, abs=0.01)
        assert await level(here.local, ONCE, "") == 500.0
        state = here.store.state
        assert (state.up, state.since, state.latency, state.reason) == (True, 0.0, 0.0, "")
        assert here.warnings == here.infos == []


# -- down ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("timeout", [PATIENCE, 0.05])
async def test_a_take_that_fails_in_redis_is_answered_by_the_fallback(timeout: float) -> None:
    async with setting(timeout=timeout) as here:
        await here.take(ONE)
        if timeout == PATIENCE:
            await here.redis.kill()
        else:
            here.redis.hold()
        verdict = await here.take(Cost(TOKENS, "gpt", 300.0))
        assert verdict == Verdict(True, TOKENS, 700.0, 300e6, 0.0)


async def test_an_outage_logs_one_warning_and_one_recovery() -> None:
    async with setting() as here:
        await here.redis.kill()
        here.seconds = 100.0
        await asyncio.gather(*(here.take(ONE, lease=lease) for lease in range(20)))
        [warning] = here.warnings
        assert "approximate" in warning
        assert "ConnectionError" in warning
        state = here.store.state
        assert not state.up
        assert state.since == 100.0
        assert state.reason in warning
        assert here.infos == []
        here.seconds = 112.25
        await here.regain()
        assert here.infos == ["The rate limit store is back after 12.2 s."]
        assert here.store.state.since == 112.25
        assert len(here.warnings) == 1
        await here.lose()
        assert len(here.warnings) == 2


async def test_requests_do_not_wait_for_a_store_that_is_down() -> None:
    async with setting() as here:
        await here.lose()
        for left in (499.0, 498.0):
            verdict = here.store.take([ONE], 1)
            assert verdict == Verdict(True, ONCE, left, pytest.approx((500 - left) * 1e6), 0.0)


async def test_open_admits_everything() -> None:
    async with setting("open") as here:
        await here.lose()
        assert "requests are not limited" in here.warnings[0]
        for lease in range(3):
            assert here.store.take([SLOT, Cost(ONCE, "", 500.0)], lease) == Verdict(True, None, 0.0, 0.0, 0.0)


async def test_closed_rejects_everything_and_names_no_address() -> None:
    async with setting("closed") as here:
        await here.redis.kill()
        for _ in range(2):
            with pytest.raises(Overloaded) as caught:
                await here.take(ONE)
            assert caught.value.status == 503
            assert caught.value.code == "limiter_unavailable"
            assert caught.value.retry_after == 1
            assert "redis" not in caught.value.message.lower()
            assert "/" not in caught.value.message
        assert "refused" in here.warnings[0]


async def test_a_read_only_redis_stays_down() -> None:
    redis = pytest.importorskip("redis.asyncio")
    async with setting() as here, redis.Redis.from_url(here.redis.url) as client:
        await client.config_set("maxmemory", 1)
        await here.take(ONE)

        async def errors() -> int:
            return int((await client.info("stats"))["total_error_replies"])

        async def several() -> None:
            seen = await errors()
            while await errors() < seen + 3:  # noqa: ASYNC110
                await asyncio.sleep(0.005)

        await within(several(), "some probes")
        assert not here.store.state.up
        await client.config_set("maxmemory", 0)
        await until(lambda: here.store.state.up, "the store to be found again")
        assert len(here.warnings) == len(here.infos) == 1


async def test_a_store_closed_during_an_outage_stops_probing() -> None:
    async with setting() as here:
        await here.lose()
        await within(here.store.close(), "the store to close")
        assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]


# -- where takes are settled --------------------------------------------------------------------


async def test_local_takes_are_settled_locally() -> None:
    async with setting() as here:
        await here.lose()
        await here.take(Cost(TOKENS, "gpt", 500.0), SLOT, lease=7)
        await here.regain()
        here.store.settle([Cost(TOKENS, "gpt", -400.0)], [SLOT], 7)
        assert await level(here.local, TOKENS, "gpt") == 900.0
        assert await free(here.local)
        assert await level(here.remote, TOKENS, "gpt") == 1000.0


async def test_redis_takes_are_settled_there_after_recovery() -> None:
    async with setting() as here:
        await here.take(Cost(TOKENS, "gpt", 500.0), SLOT, lease=7)
        await here.lose()
        here.store.settle([Cost(TOKENS, "gpt", 400.0)], [SLOT], 7)
        assert await level(here.local, TOKENS, "gpt") == 1000.0
        await here.regain()
        # Redis has lost the take, and gets only its correction.
        assert await level(here.remote, TOKENS, "gpt") == pytest.approx(600.0, abs=0.01)
        assert await free(here.remote)


async def test_a_lease_can_hold_takes_of_both_stores() -> None:
    async with setting() as here:
        await here.take(Cost(TOKENS, "one", 500.0), SLOT, lease=7)
        await here.lose()
        await here.take(Cost(TOKENS, "other", 500.0), lease=7)
        await here.regain()
        here.store.settle([Cost(TOKENS, "one", 100.0), Cost(TOKENS, "other", 100.0)], [SLOT], 7)
        assert await level(here.local, TOKENS, "one") == 1000.0
        assert await level(here.local, TOKENS, "other") == 400.0
        assert await level(here.remote, TOKENS, "one") == pytest.approx(900.0, abs=0.01)
        assert await level(here.remote, TOKENS, "other") == 1000.0
        assert await free(here.remote)


async def test_a_local_rejection_takes_nothing_locally() -> None:
    async with setting() as here:
        await here.take(Cost(TOKENS, "gpt", 500.0), lease=7)
        await here.lose()
        await here.take(Cost(TOKENS, "gpt", 800.0), lease=8)
        assert not (await here.take(Cost(TOKENS, "gpt", 300.0), lease=7)).admitted
        here.store.settle([Cost(TOKENS, "gpt", 100.0)], [], 7)
        assert await level(here.local, TOKENS, "gpt") == 200.0
        await here.regain()
        assert await level(here.remote, TOKENS, "gpt") == pytest.approx(900.0, abs=0.01)


async def test_later_redis_takes_of_a_lease_are_settled_there() -> None:
    async with setting() as here:
        await here.lose()
        await here.take(Cost(TOKENS, "gpt", 500.0), lease=7)
        here.store.settle([Cost(TOKENS, "gpt", -500.0)], [], 7)
        await here.regain()
        await here.take(Cost(TOKENS, "gpt", 300.0), lease=7)
        here.store.settle([Cost(TOKENS, "gpt", -100.0)], [], 7)
        assert await level(here.local, TOKENS, "gpt") == 1000.0
        assert await level(here.remote, TOKENS, "gpt") == pytest.approx(800.0, abs=0.01)


async def test_unlimited_takes_are_not_settled() -> None:
    async with setting("open") as here:
        await here.lose()
        await here.take(Cost(TOKENS, "gpt", 500.0), lease=7)
        await here.regain()
        here.store.settle([Cost(TOKENS, "gpt", 400.0)], [], 7)
        assert await level(here.remote, TOKENS, "gpt") == 1000.0
        assert await level(here.local, TOKENS, "gpt") == 1000.0


async def test_the_number_of_remembered_leases_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.limits.failover._MOST_LEASES", 10)
    async with setting() as here:
        await here.lose()
        for lease in range(100):
            await here.take(Cost(TOKENS, "gpt", 1.0), lease=lease)
        assert len(here.store._elsewhere) == 10
        assert here.store._elsewhere.get(90) is not None


# -- killed and started again under load --------------------------------------------------------


class Load:
    """Clients that take, hold and settle without a pause, and never see any error but Overloaded."""

    def __init__(self, here: Setting, clients: int = 20) -> None:
        self._here = here
        self._stopped = False
        self.granted = self.refused = self.overloaded = 0
        self._tasks = [asyncio.ensure_future(self._client(number)) for number in range(clients)]

    async def _client(self, number: int) -> None:
        costs = [Cost(TOKENS, f"{number}", 10.0), ONE, Cost(SLOT.limit, f"{number}")]
        lease = number + 1000
        while not self._stopped:
            try:
                verdict = await resolved(self._here.store.take(costs, lease))
            except Overloaded:
                self.overloaded += 1
            else:
                self.granted += verdict.admitted
                self.refused += not verdict.admitted
                if verdict.admitted:
                    self._here.store.settle([Cost(TOKENS, f"{number}", -10.0)], [costs[2]], lease)
            await asyncio.sleep(0)

    @property
    def answered(self) -> int:
        return self.granted + self.refused + self.overloaded

    async def goes_on(self) -> None:
        seen = self.answered
        await until(lambda: self.answered > seen + 200, "answers under load")

    async def stop(self) -> None:
        self._stopped = True
        await within(asyncio.gather(*self._tasks), "the load to end")


@pytest.mark.parametrize("policy", POLICIES)
async def test_limits_survive_a_restart_of_redis_under_load(policy: Policy) -> None:
    async with setting(policy) as here:
        load = Load(here)
        for times in (1, 2):
            await load.goes_on()
            await here.redis.kill()
            await until(lambda: not here.store.state.up, "the failure to be met")
            await load.goes_on()
            await here.regain()
            await load.goes_on()
            assert len(here.warnings) == len(here.infos) == times
        await load.stop()
        assert (load.overloaded > 0) is (policy == "closed")
        if policy != "open":  # a Redis that was killed knows nothing, thus thrice a bucket, and once what is local
            assert load.granted <= 500 * (4 if policy == "local" else 3)
        assert await level(here.remote, TOKENS, "0") == pytest.approx(1000.0, abs=0.01)
        assert (await resolved(here.remote.take([Cost(SLOT.limit, "0")], 1))).admitted


async def test_with_redis_the_limit_is_exact_under_load() -> None:
    async with setting() as here:
        load = Load(here)
        await until(lambda: load.refused > 100, "refusals")
        await load.stop()
        assert load.granted == 500


async def test_a_canceled_take_takes_nothing_from_either_store() -> None:
    async with setting() as here:
        await here.take(ONE)
        here.redis.hold()
        task = asyncio.ensure_future(here.take(Cost(TOKENS, "gpt", 500.0), SLOT, lease=3))
        await until(lambda: here.remote._in_call, "a call under way")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        here.redis.resume()
        assert await level(here.store, ONCE, "") == pytest.approx(499.0, abs=0.01)
        assert await level(here.store, TOKENS, "gpt") == 1000.0
        assert await free(here.store)
        assert here.local.take([SLOT], 4).admitted


# -- the contract -------------------------------------------------------------------------------


class TestContract(Contract, BudgetContract):
    """A store that is up behaves as if it were used directly."""

    @pytest.fixture
    def moment(self) -> list[float]:
        return [0.0]

    @pytest.fixture
    async def store(self, moment: list[float]) -> AsyncIterator[Failover]:
        def now() -> float:
            return moment[0]

        said: list[str] = []
        store = Failover(Memory(now, 10_000), Memory(now, 10_000), "local", warn=said.append, info=said.append, now=now)
        yield store
        await store.close()
        assert not said

    @pytest.fixture
    def advance(self, moment: list[float]) -> Advance:
        def advance(seconds: float) -> None:
            moment[0] += seconds

        return advance
