"""Results of checks in Consul, beyond what every board promises."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from proxy.consul.client import ConsulUnavailable
from proxy.services.health.board import base
from proxy.services.health.board.consul import TRIM_SECS, ConsulBoard
from tests.consul.clients import client_of
from tests.services.health.board.test_base import A, B, latest, result
from tests.support.clock import FakeClock
from tests.support.consul import FakeConsul


class Boards:
    """``here`` publishes and ``there`` reads, by clocks that the test sets."""

    def __init__(self, agent: FakeConsul, here: ConsulBoard, there: ConsulBoard, clock: FakeClock) -> None:
        self.agent = agent
        self.here = here
        self.there = there
        self.clock = clock

    def asked(self) -> list[str]:
        """The requests since the last call."""
        found = [each.removeprefix("GET /v1/kv/sluice/health/") for each in self.agent.requests]
        self.agent.requests.clear()
        return found

    def keys(self) -> int:
        """How many results are kept."""
        return sum("/health/" in key and not key.endswith("latest") for key in self.agent.api.kv.entries)


@pytest.fixture
async def boards() -> AsyncIterator[Boards]:
    clock = FakeClock()
    async with FakeConsul() as agent, client_of(agent) as one, client_of(agent) as two:
        yield Boards(agent, ConsulBoard(one, "sluice", clock.wall), ConsulBoard(two, "sluice", clock.wall), clock)


async def test_without_news_a_look_reads_one_key(boards: Boards) -> None:
    await boards.here.publish([result(A)])
    boards.asked()
    assert len(await boards.there.read()) == 1
    assert boards.asked() == ["latest", "?recurse="]
    assert await boards.there.read() == []
    assert boards.asked() == ["latest"]


async def test_ages_are_by_the_clocks_of_the_machines(boards: Boards) -> None:
    await boards.here.publish([result(A)])
    boards.clock.advance(30)
    assert [each.age for each in await boards.there.read()] == [30.0]
    await boards.here.publish([result(A)])
    boards.clock.advance(-5)  # as on a machine that is behind
    assert [each.age for each in await boards.there.read()] == [0.0]


async def test_results_that_nobody_renews_are_removed(boards: Boards) -> None:
    await boards.here.publish([result(A), result(B)])
    boards.clock.advance(base.KEEP_SECS - 1)
    await boards.here.publish([result(B)])
    assert boards.keys() == 2
    boards.clock.advance(TRIM_SECS)
    await boards.here.publish([result(B)])
    assert boards.keys() == 1
    assert await latest(boards.there) == {("s", B): result(B)}


async def test_after_a_restore_of_older_indexes_all_is_read(boards: Boards) -> None:
    await boards.here.publish([result(A)])
    boards.agent.snapshot()
    await boards.here.publish([result(A, False, "x"), result(B)])
    assert len(await latest(boards.there)) == 2
    boards.agent.restore()
    assert await latest(boards.there) == {("s", A): result(A)}


async def test_what_cannot_be_read_is_left_out(boards: Boards) -> None:
    async with client_of(boards.agent) as client:
        await boards.here.publish([result(A)])
        await client.put("kv/sluice/health/other", None, b"[1]")
        await client.put("kv/sluice/health/empty")
    assert await latest(boards.there) == {("s", A): result(A)}


async def test_an_agent_that_fails_is_an_error_of_the_board(boards: Boards) -> None:
    boards.agent.fail("error")
    with pytest.raises(ConsulUnavailable):
        await boards.here.publish([result(A)])
    with pytest.raises(ConsulUnavailable):
        await boards.there.read()
