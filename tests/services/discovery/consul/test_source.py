"""Following a service of the fake agent over real sockets, with its faults."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from random import Random

from proxy.config.service_schema import ConsulSource, ServerAddress
from proxy.consul.client import ConsulClient
from proxy.consul.settings import ConsulTarget
from proxy.consul.watching import PollSlots
from proxy.services.discovery.consul.source import ConsulAddresses, ConsulClocks
from tests.support.consul import FakeConsul
from tests.support.patience import until

WEB = ConsulSource(service="web")


class FollowedWeb:
    """``found``: the ports of each call. Sleeps after failures end at once, and are counted."""

    def __init__(self, client: ConsulClient, source: ConsulSource, slots: PollSlots) -> None:
        self.found: list[list[int]] = []
        self.sleeps: list[float] = []
        self.addresses: Sequence[ServerAddress] = ()
        clocks = ConsulClocks(lambda: 1234.5, asyncio.get_running_loop().time, self._sleep, Random(1))
        self.source = ConsulAddresses(source, client, slots, clocks, stale=True)

    def note(self, addresses: Sequence[ServerAddress]) -> None:
        self.addresses = addresses
        self.found.append([int(each.url.rpartition(":")[2]) for each in addresses])

    async def _sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        await asyncio.sleep(0.001)


@asynccontextmanager
async def following(
    agent: FakeConsul, source: ConsulSource = WEB, *, token: str = "", slots: PollSlots | None = None
) -> AsyncIterator[FollowedWeb]:
    client = ConsulClient(ConsulTarget(agent.url, token), ssl.create_default_context)
    web = FollowedWeb(client, source, slots or PollSlots())
    task = asyncio.create_task(web.source.follow(web.note))
    try:
        yield web
    finally:
        task.cancel()
        await asyncio.wait((task,))
        await client.close()


async def found(web: FollowedWeb, *ports: int) -> None:
    await until(lambda: web.found and web.found[-1] == list(ports), f"{ports}; so far {web.found}")


async def waits(agent: FakeConsul, count: int = 1) -> None:
    await until(lambda: agent.api.waiting == count, "queries to wait")


async def test_instances_come_change_and_go() -> None:
    async with FakeConsul() as agent:
        one = agent.register("web", 81)
        async with following(agent) as web:
            await found(web, 81)
            agent.register("web", 82)
            await found(web, 81, 82)
            agent.check(one, "critical")
            await found(web, 82)
            agent.check(one, "passing")
            await found(web, 81, 82)
            agent.deregister(one)
            await found(web, 82)
            agent.register("web", 82, Tags=["weight=3"])
            await until(lambda: web.addresses[0].weight == 3, "the weight")
            await until(lambda: web.source.state.up, "the state")
            assert web.source.state.at == 1234.5
            assert web.sleeps == []


async def test_a_change_of_another_service_hands_nothing_over() -> None:
    async with FakeConsul() as agent:
        agent.register("web", 81)
        agent.register("other", 1)
        async with following(agent) as web:
            await found(web, 81)
            await waits(agent)
            agent.register("other", 2)
            agent.register("web", 82)
            await found(web, 81, 82)
            assert len(web.found) == 2


async def test_a_service_that_is_not_there_yet_is_empty() -> None:
    async with FakeConsul() as agent, following(agent) as web:
        await found(web)
        await waits(agent)
        agent.register("web", 81)
        await found(web, 81)


async def test_addresses_stay_while_consul_is_away_and_follow_when_it_is_back() -> None:
    async with FakeConsul() as agent:
        agent.register("web", 81)
        async with following(agent) as web:
            await found(web, 81)
            await waits(agent)
            await agent.stop()
            await until(lambda: len(web.sleeps) > 3, "some tries")
            assert not web.source.state.up
            assert web.source.state.error
            assert web.found == [[81]]
            assert web.sleeps[0] < web.sleeps[3] <= 30
            agent.register("web", 82)
            await agent.start()
            await found(web, 81, 82)
            await until(lambda: web.source.state.up, "the state")


async def test_a_start_without_consul_goes_on_trying() -> None:
    async with FakeConsul() as agent:
        agent.register("web", 81)
        await agent.stop()
        async with following(agent) as web:
            await until(lambda: len(web.sleeps) > 2, "some tries")
            assert web.found == []
            await agent.start()
            await found(web, 81)


async def test_an_index_that_goes_backwards_loses_no_change() -> None:
    async with FakeConsul() as agent:
        agent.register("web", 81)
        agent.snapshot()
        async with following(agent) as web:
            await found(web, 81)
            for port in range(82, 90):
                agent.register("web", port)
            await found(web, *range(81, 90))
            await waits(agent)
            agent.restore()
            await waits(agent)
            agent.deregister("web-81")
            await found(web, *range(82, 90))
            assert web.sleeps == []


async def test_errors_garbage_and_cut_answers_change_nothing() -> None:
    async with FakeConsul() as agent:
        agent.register("web", 81)
        async with following(agent) as web:
            for kind, why in (("error", "answered 500"), ("garbage", "cannot be read"), ("cut", "ClientPayloadError")):
                await found(web, 81)
                await waits(agent)
                agent.fail(kind, "/v1/health/")  # type: ignore[arg-type]
                agent.deregister(agent.register("web", 99))  # ends the query that waits
                await until(lambda why=why: why in web.source.state.error, why)  # type: ignore[misc]
                assert web.found[-1] == [81] or web.found[-1] == [81, 99]
                agent.heal()
                await until(lambda: web.source.state.up, "an answer")


async def test_instances_that_the_token_hides_do_not_count_as_gone() -> None:
    async with FakeConsul(tokens=("secret",)) as agent:
        agent.register("web", 81)
        async with following(agent) as web:
            await until(lambda: "the token may not read" in web.source.state.error, "the state")
            assert web.found == []
        async with following(agent, token="secret") as web:
            await found(web, 81)


async def test_what_is_wrong_with_an_instance_is_the_state() -> None:
    async with FakeConsul() as agent:
        agent.register("web", 81, Tags=["weight=heavy"])
        async with following(agent) as web:
            await found(web, 81)
            await until(lambda: web.source.state.up, "the state")
            assert "weight=heavy" in web.source.state.error


async def test_settings_are_sent() -> None:
    async with FakeConsul() as agent:
        agent.register("web app", 81, Tags=["blue", "new"])
        agent.register("web app", 82, Tags=["blue"])
        source = ConsulSource(service="web app", tags=["blue", "new"], datacenter="dc1", passing_only=False)
        async with following(agent, source) as web:
            await found(web, 81)
            assert agent.requests[0] == "GET /v1/health/service/web%20app?dc=dc1&tag=blue&stale="


async def test_many_services_share_few_queries() -> None:
    slots = PollSlots(most=3, round_secs=0.3)
    async with FakeConsul() as agent:
        agent.most_connections = 3 + 8
        client = ConsulClient(ConsulTarget(agent.url), ssl.create_default_context, 3 + 8)
        webs = [FollowedWeb(client, ConsulSource(service=f"s{number}"), slots) for number in range(12)]
        for number in range(12):
            agent.register(f"s{number}", 100 + number)
        tasks = [asyncio.create_task(web.source.follow(web.note)) for web in webs]
        try:
            for number, web in enumerate(webs):
                await found(web, 100 + number)
            await waits(agent, 3)
            for number in range(12):
                agent.register(f"s{number}", 200 + number)
            for number, web in enumerate(webs):
                await found(web, 100 + number, 200 + number)
            assert agent.refused == 0
        finally:
            for each in tasks:
                each.cancel()
            await asyncio.wait(tasks)
            await client.close()
