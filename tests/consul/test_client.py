"""Requests to the agent, and what its failures are called."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from proxy.client.tls import context
from proxy.config.provider_schema import Tls
from proxy.consul.client import ConsulClient, ConsulUnavailable
from proxy.consul.settings import ConsulTarget
from tests.consul.clients import client_of
from tests.support.consul import FakeConsul
from tests.support.patience import until, within
from tests.support.tls import Authority


async def test_an_answer_has_its_index_and_how_far_the_server_is_behind() -> None:
    async with FakeConsul() as agent, client_of(agent) as client:
        agent.register("web", 80)
        agent.api.leader, agent.api.contact = False, 2.5
        reply = await client.get("health/service/web", {"stale": ""})
        assert (reply.status, reply.led, reply.behind, reply.filtered) == (200, False, 2.5, False)
        assert reply.index == agent.api.catalog.index_of("web")


async def test_a_missing_key_is_not_found() -> None:
    async with FakeConsul() as agent, client_of(agent) as client:
        reply = await client.get("kv/missing")
        assert not reply.found
        assert reply.index > 0


async def test_the_token_and_the_datacenter_are_sent() -> None:
    async with FakeConsul(tokens=("secret",)) as agent:
        async with client_of(agent, token="secret") as client:
            assert (await client.put("kv/a", None, b"x")).body == b"true"
        async with client_of(agent, token="wrong") as client:
            with pytest.raises(ConsulUnavailable, match="refuses the token: ACL not found"):
                await client.get("kv/a")
        async with client_of(agent) as client:
            assert (await client.get("health/service/web")).filtered
        async with client_of(agent, token="secret", datacenter="moon") as client:
            with pytest.raises(ConsulUnavailable, match="500: No path to datacenter"):
                await client.get("kv/a")


async def test_an_agent_that_is_away_is_unavailable_and_used_again() -> None:
    async with FakeConsul() as agent, client_of(agent) as client:
        await client.put("kv/a", None, b"x")
        await agent.stop()
        with pytest.raises(ConsulUnavailable, match=r"Connect call failed|Connection refused"):
            await client.get("kv/a")
        await agent.start()
        assert (await client.get("kv/a")).status == 200


async def test_errors_cut_answers_and_refused_connections_are_unavailable() -> None:
    async with FakeConsul() as agent, client_of(agent) as client:
        agent.fail("error", "/v1/kv/")
        with pytest.raises(ConsulUnavailable, match="the agent answered 500: rpc error making call: EOF"):
            await client.get("kv/a")
        agent.heal()
        agent.fail("cut", "/v1/kv/")
        with pytest.raises(ConsulUnavailable, match="ClientPayloadError"):
            await client.get("kv/a")
    async with FakeConsul() as agent, client_of(agent) as client:
        agent.most_connections = 0
        with pytest.raises(ConsulUnavailable, match="too many connections"):
            await client.get("kv/a")


async def test_a_canceled_query_closes_its_connection() -> None:
    async with FakeConsul() as agent, client_of(agent) as client:
        task = asyncio.create_task(client.get("kv/a", {"index": "1000"}, 60.0))
        await until(lambda: agent.api.waiting == 1, "the query to wait")
        task.cancel()
        await asyncio.wait((task,))
        await until(lambda: not agent.transports, "the connection to end")


async def test_an_agent_by_tls_is_verified(tmp_path: Path) -> None:
    authority = Authority()
    async with FakeConsul(tls=authority.server_context()) as agent:
        trusting = Tls(ca_file=str(authority.ca_file(tmp_path)))
        for tls, why in (
            (trusting, ""),
            (Tls(), "certificate verify failed"),
            (Tls(ca_file="/missing"), "No such file"),
        ):
            client = ConsulClient(ConsulTarget(agent.url), lambda tls=tls: context(tls))
            try:
                if why:
                    with pytest.raises(ConsulUnavailable, match=why):
                        await within(client.get("kv/a"), "a refusal")
                else:
                    assert (await within(client.get("kv/a"), "an answer")).status == 404
            finally:
                await client.close()
