"""A gateway that registers itself at Consul: from when it accepts requests to its end."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import pytest

from tests.support import Upstream, json_answer, until
from tests.support.answers import completion
from tests.support.consul import FakeConsul
from tests.support.gateway import GatewayProcess, one_provider
from tests.support.steps import Wait

CALL = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}


def registering(up: Upstream, agent: FakeConsul, **server: Any) -> dict[str, Any]:
    register = {"enabled": True, "name": "gate", "tags": ["v1"]}
    return one_provider(up, server=server, discovery={"consul": {"url": agent.url, "register": register}})


def status(agent: FakeConsul) -> str:
    """Of the only check; ``gone``: there is none."""
    return next((str(each["Status"]) for each in agent.checks().values()), "gone")


async def test_it_is_found_at_the_port_it_listens_at() -> None:
    async with FakeConsul() as agent, Upstream() as up, GatewayProcess(registering(up, agent)) as gw:
        await until(lambda: status(agent) == "passing", "the registration")
        (service,) = agent.api.local.services().values()
        assert (service["Service"], service["Address"], service["Port"]) == ("gate", "127.0.0.1", gw.port)
        assert service["Meta"]["pid"] == str(gw.pid)
        gw.signal()
        assert await gw.wait() == 0
        assert status(agent) == "gone"


async def test_others_learn_of_the_stop_while_running_requests_end() -> None:
    go = asyncio.Event()
    async with FakeConsul() as agent, Upstream() as up, GatewayProcess(registering(up, agent, drainSecs=60)) as gw:
        up.on_head(lambda request: [Wait(go), *json_answer(completion("late"))])
        await until(lambda: status(agent) == "passing", "the registration")
        client = await gw.client()
        await client.request("POST", "/v1/chat/completions", json=CALL)
        await up.head(0)
        gw.signal()
        await until(lambda: status(agent) == "critical", "the check to become critical")
        go.set()
        assert (await client.read_answer()).status == 200
        assert await gw.wait() == 0
        assert status(agent) == "gone"


async def test_requests_are_served_in_the_shutdown_delay_after_consul_was_told() -> None:
    """The delay is longer than the test may take: a second signal ends it."""
    server = {"shutdownDelaySecs": 600}
    async with FakeConsul() as agent, Upstream() as up, GatewayProcess(registering(up, agent, **server)) as gw:
        up.on(lambda request: json_answer(completion()))
        await until(lambda: status(agent) == "passing", "the registration")
        gw.signal()
        await until(lambda: status(agent) == "critical", "the check to become critical")
        answer = await (await gw.client()).fetch("POST", "/v1/chat/completions", json=CALL)
        assert answer.status == 200
        gw.signal(signal.SIGTERM)
        await gw.wait()


@pytest.mark.parametrize("fault", ["away", "silent"])
async def test_without_an_agent_it_serves_and_stops(fault: str) -> None:
    async with FakeConsul() as agent, Upstream() as up:
        if fault == "away":
            await agent.stop()
        else:
            agent.fail("silent")
        async with GatewayProcess(registering(up, agent)) as gw:
            up.on(lambda request: json_answer(completion()))
            answer = await (await gw.client()).fetch("POST", "/v1/chat/completions", json=CALL)
            assert answer.status == 200
            gw.signal()
            assert await gw.wait() == 0
            assert not any("Traceback" in line for line in gw.lines), gw.lines
