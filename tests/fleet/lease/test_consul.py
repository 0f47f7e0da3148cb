"""Leases by sessions of Consul: what every store of leases promises, with sessions that a test lets end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from proxy.fleet.lease.base import LeaseStore, LeaseUnavailable
from proxy.fleet.lease.consul import ConsulLeases
from proxy.fleet.lease.opening import open_leases
from tests.consul.clients import client_of
from tests.support.consul import FakeConsul

SECS = 15.0


@pytest.fixture
async def agent() -> AsyncIterator[FakeConsul]:
    async with FakeConsul() as agent:
        yield agent


@pytest.fixture
async def stores(agent: FakeConsul) -> AsyncIterator[list[LeaseStore]]:
    """Those of three processes."""
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(client_of(agent)) for _ in range(3)]
        yield [open_leases(None, None, each) for each in clients]


async def test_one_holder_has_it_until_it_is_released(agent: FakeConsul, stores: list[LeaseStore]) -> None:
    one, two, _ = stores
    assert isinstance(one, ConsulLeases)
    for _ in range(3):
        assert await one.take("checks", "one", SECS)
    assert not await two.take("checks", "two", SECS)
    await two.release("checks", "two")
    assert not await two.take("checks", "two", SECS)
    assert await two.take("other", "two", SECS)
    await one.release("checks", "one")
    await one.release("checks", "one")
    assert await two.take("checks", "two", SECS)
    assert not await one.take("checks", "one", SECS)
    assert len(agent.api.kv.sessions) == 3


async def test_a_lease_that_is_not_renewed_ends_after_its_time(agent: FakeConsul, stores: list[LeaseStore]) -> None:
    one, two, _ = stores
    assert await one.take("checks", "one", SECS)
    agent.api.ticker.advance(SECS - 5)
    assert await one.take("checks", "one", SECS)
    agent.api.ticker.advance(SECS - 5)  # no session ends before its time
    assert not await two.take("checks", "two", SECS)
    agent.api.ticker.advance(SECS + 5)  # the session of the first ends; then its lock-delay
    assert not await two.take("checks", "two", SECS)
    agent.api.ticker.advance(SECS)
    assert await two.take("checks", "two", SECS)
    assert not await one.take("checks", "one", SECS)


async def test_a_lost_session_is_replaced_after_its_lock_delay(agent: FakeConsul, stores: list[LeaseStore]) -> None:
    one, two, _ = stores
    assert await one.take("checks", "one", SECS)
    agent.api.kv.destroy(next(iter(agent.api.kv.sessions)))
    assert not await two.take("checks", "two", SECS)
    assert not await one.take("checks", "one", SECS)
    agent.api.ticker.advance(SECS)
    assert await one.take("checks", "one", SECS)


async def test_a_critical_node_does_not_end_a_lease(agent: FakeConsul, stores: list[LeaseStore]) -> None:
    assert await stores[0].take("checks", "one", SECS)
    agent.api.local.set("serfHealth", "critical")
    assert not await stores[1].take("checks", "two", SECS)
    assert await stores[0].take("checks", "one", SECS)


async def test_of_many_at_once_one_gets_it(stores: list[LeaseStore]) -> None:
    taken = await asyncio.gather(*(store.take("checks", f"p{n}", SECS) for n, store in enumerate(stores)))
    assert sum(taken) == 1


async def test_short_and_long_leases_have_what_consul_takes(agent: FakeConsul, stores: list[LeaseStore]) -> None:
    assert await stores[0].take("a", "one", 0.05)
    assert await stores[0].take("b", "one", 3600.0)
    assert [(each.ttl, each.lock_delay) for each in agent.api.kv.sessions.values()] == [("10s", 0.05), ("3600s", 60)]


async def test_an_agent_that_is_away_is_unavailable(agent: FakeConsul, stores: list[LeaseStore]) -> None:
    one, *_ = stores
    assert await one.take("checks", "one", SECS)
    await agent.stop()
    with pytest.raises(LeaseUnavailable, match="Consul: "):
        await one.take("checks", "one", SECS)
    with pytest.raises(LeaseUnavailable):
        await one.release("checks", "one")
    await agent.start()
    agent.fail("garbage", "/v1/session/create")
    with pytest.raises(LeaseUnavailable, match="cannot be read"):
        await one.take("checks", "one", SECS)
