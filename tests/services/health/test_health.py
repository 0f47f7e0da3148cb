"""Health checks over real sockets, of one replica and of several that share Redis, a database or Consul."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from proxy.database.migrate import upgrade
from proxy.redis.client import RedisClient
from tests.database.databases import address, new_database
from tests.fleet.lease.shared import Shared, lazy_engine
from tests.fleet.lease.stores import SHARED, WITH_CONSUL, Connector, shared_by
from tests.ledger.recorder.databases import make_file
from tests.services.health.replica import CHECK, NAME, HealthReplica
from tests.support import Upstream, json_answer, until, within
from tests.support.gateway import ROOT
from tests.support.patience import PATIENCE
from tests.support.services import OwnRedis, redis_prefix, redis_url

ALONE = Shared(None, None)
QUICK = 6.0  # seconds of a lease that ends within a test


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as found:
        answer(found, 200)
        yield found


@pytest.fixture(params=WITH_CONSUL)
async def connect(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Connector]:
    async with shared_by(request.param, tmp_path) as found:
        yield found


def answer(up: Upstream, status: int) -> None:
    up.on(lambda request: json_answer({}, status))


async def test_an_address_that_fails_is_left_out_until_it_recovers(up: Upstream) -> None:
    async with Upstream() as bad, HealthReplica(ALONE, up.origin, bad.origin) as replica:
        answer(bad, 503)
        group = replica.book.group(NAME)
        good, other = group.addresses
        await until(lambda: other.healthy is False and good.healthy, "the first checks")
        now = asyncio.get_running_loop().time()
        assert {group.choose(now) for _ in range(20)} == {good}
        answer(bad, 200)
        await until(lambda: other.healthy, "the recovery")
        assert {group.choose(now) for _ in range(20)} == {good, other}
        assert replica.health.checks
        view = replica.view(1)
        assert view is not None
        assert [(each.healthy, each.why) for each in view.changes] == [(True, ""), (False, "status 503")]


async def test_without_checks_nothing_is_opened(up: Upstream) -> None:
    class Untouched:
        def __getattr__(self, name: str) -> None:
            raise AssertionError(name)

    shared = Shared(None, Untouched())  # type: ignore[arg-type]
    async with HealthReplica(shared, check=CHECK.__class__()) as replica:
        replica.put(up.origin)
        await asyncio.sleep(0)
        assert not replica.health.checks
        assert replica.health.of(NAME) == []
    assert up.requests == []


async def test_services_of_a_book_that_is_filled_are_checked_as_well(up: Upstream) -> None:
    async with HealthReplica(ALONE) as replica:
        replica.put(up.origin, name="first")
        replica.put(up.origin, name="second")
        await until(lambda: all(replica.health.of(name) for name in ("first", "second")), "both services")
        await until(lambda: replica.counts.passed["second", True], "a check of the second service")
        assert replica.health.checked_addresses == 2
        replica.settings.clear()
        replica.book.forget("first")
        replica.book.forget("second")
        await until(lambda: not replica.health.of("first") and not replica.health.of("second"), "their end")


async def test_one_of_two_replicas_checks_and_the_other_knows(up: Upstream, connect: Connector) -> None:
    async with HealthReplica(connect(), up.origin) as one:
        await until(lambda: one.health.checks and one.knows(True, here=True), "the first replica to check")
        async with HealthReplica(connect(), up.origin) as two:
            await until(lambda: two.knows(True, here=False), "the second replica to know")
            answer(up, 500)
            await until(lambda: one.knows(False, here=True), "the first replica to notice")
            await until(lambda: two.knows(False, here=False), "the second replica to be told")
            view = two.view()
            assert view is not None
            assert (view.why, [each.healthy for each in view.changes]) == ("status 500", [False, True])
            assert (two.checked, two.health.checks) == (0, False)
            answer(up, 200)
            await until(lambda: two.knows(True, here=False), "the second replica to be told of the recovery")
            assert two.checked == 0
        await one.health._checker.close()
        # None came from elsewhere; the last one was perhaps ended on its way.
        assert len(up.requests) - one.checked in (0, 1)


async def test_the_others_go_on_when_the_one_that_checks_stops(up: Upstream, connect: Connector) -> None:
    async with HealthReplica(connect(), up.origin, lease_secs=QUICK) as one:
        await until(lambda: one.health.checks and one.checked, "the first replica to check")
        async with HealthReplica(connect(), up.origin, lease_secs=QUICK) as two:
            await until(lambda: two.view() is not None and two.view().healthy, "the second replica to know")  # type: ignore[union-attr]
            await one.health.close()
            before = len(up.requests)
            await until(lambda: two.health.checks and two.checked > 0, "the second replica to check")
            await until(lambda: len(up.requests) > before, "its request")
            one.health.close = noop  # type: ignore[method-assign]


async def noop() -> None:
    """It is closed already."""


@pytest.mark.parametrize("kind", SHARED)
async def test_another_replica_takes_over_from_one_that_was_killed(up: Upstream, kind: str, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        if kind == "redis":
            where = redis_url()
            prefix = await stack.enter_async_context(redis_prefix(where))
            client = RedisClient(where, prefix, PATIENCE)
            stack.push_async_callback(client.close)
            shared = Shared(client, None)
        else:
            where, prefix = await stack.enter_async_context(new_database(kind, tmp_path)), ""
            await (make_file(tmp_path / "keys.db") if kind == "sqlite" else upgrade(address(where)))
            shared = Shared(None, lazy_engine(where, stack))
        killed = await stack.enter_async_context(replica_process(kind, where, prefix, up.origin))
        two = await stack.enter_async_context(HealthReplica(shared, up.origin, lease_secs=QUICK))
        await until(lambda: two.view() is not None and two.view().healthy, "the second replica to know")  # type: ignore[union-attr]
        killed.kill()
        await within(killed.wait(), "the first replica to end")
        await until(lambda: two.health.checks, "the second replica to take over")
        answer(up, 500)
        await until(lambda: two.knows(False, here=True), "its checks")


@asynccontextmanager
async def replica_process(kind: str, where: str, prefix: str, url: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A replica that checks."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.services.health.replica", kind, where, prefix, url, str(QUICK)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        assert await within(process.stdout.readline(), "the replica to check") == b"checks\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_while_redis_is_away_each_replica_checks_for_itself(up: Upstream) -> None:
    async with OwnRedis() as redis, AsyncExitStack() as stack:

        def connect() -> Shared:
            client = RedisClient(redis.url, "test", PATIENCE)
            stack.push_async_callback(client.close)
            return Shared(client, None)

        one = await stack.enter_async_context(HealthReplica(connect(), up.origin, lease_secs=QUICK))
        two = await stack.enter_async_context(HealthReplica(connect(), up.origin, lease_secs=QUICK))
        await until(lambda: one.health.checks != two.health.checks, "one of them to check")
        await redis.kill()
        await until(lambda: one.knows(True, here=True) and two.knows(True, here=True), "both to check")
        await until(lambda: not (one.health.checks or two.health.checks), "the end of the lease")
        answer(up, 500)
        await until(lambda: one.knows(False, here=True) and two.knows(False, here=True), "both to notice")
        await redis.start()
        await until(lambda: one.health.checks != two.health.checks, "one of them to check again")
