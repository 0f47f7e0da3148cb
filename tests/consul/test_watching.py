"""Blocking queries: indexes, staleness, and how many there are at once."""

from __future__ import annotations

import asyncio

import pytest

from proxy.consul.client import ConsulUnavailable
from proxy.consul.watching import BURST, LARGE, LONGEST_SECS, ConsulQuery, PollRate, PollSlots, next_index
from tests.consul.clients import client_of
from tests.support.consul import FakeConsul
from tests.support.patience import until, within


@pytest.mark.parametrize(
    ("known", "answered", "following"),
    [(0, 7, 7), (7, 7, 7), (7, 9, 9), (9, 7, 0), (0, 0, 1), (1, 1, 1), (5, 0, 0)],
)
def test_the_next_index_follows_the_documented_rules(known: int, answered: int, following: int) -> None:
    assert next_index(known, answered) == following


def test_a_result_that_changes_all_the_time_is_asked_for_ever_more_slowly() -> None:
    rate = PollRate()
    assert [rate.take(100.0) for _ in range(BURST)] == [0.0] * BURST
    assert rate.take(100.0) == 0.5
    assert rate.take(100.5) == 0.5
    assert rate.take(200.0) == 0.0


async def test_a_query_waits_for_a_change_from_its_second_time_on() -> None:
    async with FakeConsul() as agent, client_of(agent) as client:
        query = ConsulQuery(client, "kv/a", {}, stale=True)
        assert not (await query.ask(60.0)).found
        task = asyncio.create_task(query.ask(60.0))
        await until(lambda: agent.api.waiting == 1, "the query to wait")
        agent.api.kv.put("a", b"x")
        assert (await within(task, "the change")).found


async def test_a_query_begins_anew_when_the_index_goes_backwards() -> None:
    async with FakeConsul() as agent, client_of(agent) as client:
        agent.snapshot()
        agent.api.kv.put("a", b"x")
        query = ConsulQuery(client, "kv/a", {}, stale=False)
        await query.ask()
        assert query.index > 0
        task = asyncio.create_task(query.ask(60.0))
        await until(lambda: agent.api.waiting == 1, "the query to wait")
        agent.restore()
        assert not (await within(task, "the restored state")).found
        assert query.index == 0


async def test_a_query_begins_anew_after_a_failure() -> None:
    async with FakeConsul() as agent, client_of(agent) as client:
        query = ConsulQuery(client, "kv/a", {}, stale=False)
        await query.ask()
        agent.fail("error", times=1)
        with pytest.raises(ConsulUnavailable):
            await query.ask(60.0)
        assert query.index == 0
        await query.ask(60.0)
        assert agent.requests[-1] == "GET /v1/kv/a"


async def test_an_index_of_zero_does_not_make_queries_spin() -> None:
    async with FakeConsul() as agent, client_of(agent) as client:
        agent.api.index_zero = True
        query = ConsulQuery(client, "kv/a", {}, stale=False)
        await query.ask()
        assert query.index == 1


async def test_an_answer_that_is_too_stale_is_asked_of_the_leader() -> None:
    async with FakeConsul() as agent, client_of(agent) as client:
        query = ConsulQuery(client, "kv/a", {}, stale=True)
        agent.api.contact = 9.0
        await query.ask()
        assert agent.requests == ["GET /v1/kv/a?stale="]
        agent.api.contact = 12.0
        assert (await query.ask()).behind == 0
        assert agent.requests[1:] == ["GET /v1/kv/a?stale=", "GET /v1/kv/a"]
        agent.api.leader = False
        with pytest.raises(ConsulUnavailable, match=r"No cluster leader; the last answer is of 12 s ago"):
            await query.ask()


async def test_more_queries_than_slots_take_turns() -> None:
    async with FakeConsul() as agent, client_of(agent) as client:
        slots = PollSlots(most=2, round_secs=0.2)
        assert slots.wait == LONGEST_SECS
        queries = [ConsulQuery(client, f"kv/{name}", {}, stale=False) for name in "abcd"]
        slots.polls = len(queries)
        assert slots.wait == pytest.approx(0.1)
        for each in queries:
            await slots.ask(each, lambda: 0.0)
        before = len(agent.requests)
        most = 0

        async def watch() -> None:
            nonlocal most
            while True:
                most = max(most, agent.api.waiting)
                await asyncio.sleep(0.001)

        watching = asyncio.create_task(watch())
        await within(asyncio.gather(*(slots.ask(each, lambda: 0.0) for each in queries)), "all turns")
        watching.cancel()
        assert most <= 2
        asked = sorted(each.partition("?")[0] for each in agent.requests[before:])
        assert asked == [f"GET /v1/kv/{name}" for name in "abcd"]


async def test_only_large_answers_are_read_one_at_a_time() -> None:
    slots = PollSlots()
    async with slots.reading(LARGE), slots.reading(LARGE), slots.reading(LARGE + 1):

        async def read() -> None:
            async with slots.reading(LARGE + 1):
                pass

        other = asyncio.create_task(read())
        await asyncio.sleep(0)
        assert not other.done()
    await within(other, "the large answer")
