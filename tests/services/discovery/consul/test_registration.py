"""The gateway's own registration at the fake agent: kept passing, made again, and taken out in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest

from proxy.config.service_schema import ConsulRegistration
from proxy.consul.client import ConsulClient, ConsulReply
from proxy.services.discovery.consul.registration import OwnAddress, OwnRegistration, own_address
from tests.consul.clients import client_of
from tests.support.consul import FakeConsul
from tests.support.patience import until, within

GATE = "sluice-10.0.0.1-8080"
SETTINGS = ConsulRegistration(enabled=True, tags=["v1"])


class Registered:
    """A registration whose sleeps last until ``tick``."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.sleeps: list[float] = []
        self._wake = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self._wake.clear()
        await self._wake.wait()

    async def tick(self) -> None:
        """One more look, to its end."""
        before = len(self.sleeps)
        self._wake.set()
        await until(lambda: len(self.sleeps) > before, "a look")


@asynccontextmanager
async def registered(agent: FakeConsul, token: str = "") -> AsyncIterator[tuple[OwnRegistration, Registered]]:
    async with client_of(agent, token) as client:
        seen = Registered()
        own = OwnRegistration(
            SETTINGS, OwnAddress("10.0.0.1", 8080), client, seen.lines.append, seen.lines.append, sleep=seen.sleep
        )
        own.start()
        await until(lambda: seen.sleeps, "the first look")
        try:
            yield own, seen
        finally:
            await own.close()


def status(agent: FakeConsul) -> str:
    checks = agent.checks()
    return str(checks[f"service:{GATE}"]["Status"]) if checks else "gone"


async def test_it_is_registered_as_passing_and_passes_at_a_third_of_the_ttl() -> None:
    async with FakeConsul() as agent, registered(agent) as (_, seen):
        service = agent.api.local.services()[GATE]
        assert (service["Service"], service["Address"], service["Port"]) == ("sluice", "10.0.0.1", 8080)
        assert service["Tags"] == ["v1"]
        assert status(agent) == "passing"
        assert seen.sleeps == [5.0]
        for _ in range(4):
            agent.api.ticker.advance(5)
            await seen.tick()
        assert status(agent) == "passing"
        assert seen.lines == []


async def test_a_gateway_that_hangs_becomes_critical_and_is_removed() -> None:
    async with FakeConsul() as agent, registered(agent) as (_, seen):
        agent.api.ticker.advance(16)
        assert status(agent) == "critical"
        await seen.tick()
        assert status(agent) == "passing"
        agent.api.ticker.advance(16)
        agent.api.ticker.advance(300)
        assert status(agent) == "gone"
        await seen.tick()
        assert status(agent) == "passing"


async def test_it_registers_again_where_the_agent_forgot_it() -> None:
    async with FakeConsul() as agent, registered(agent) as (_, seen):
        agent.forget()
        await seen.tick()
        assert status(agent) == "passing"
        agent.forget()
        agent.fail("error", "/v1/agent/check/update/", times=1, text="Unknown check ID")  # as before Consul 1.11
        await seen.tick()
        assert status(agent) == "passing"
        assert seen.lines == []


async def test_an_agent_that_is_away_is_told_once_and_tried_again() -> None:
    async with FakeConsul() as agent, registered(agent) as (own, seen):
        await agent.stop()
        await seen.tick()
        await seen.tick()
        assert len(seen.lines) == 1
        assert "cannot be registered or kept passing" in seen.lines[0]
        assert own.error
        await agent.start()
        await seen.tick()
        assert seen.lines[1:] == [f"Consul: {GATE} is registered again."]
        assert own.error == ""


async def test_a_token_that_may_not_is_told() -> None:
    async with FakeConsul(tokens=("secret",)) as agent:
        async with registered(agent) as (own, seen):
            assert "refuses the token" in own.error
            assert len(seen.lines) == 1
        assert len(seen.lines) == 1  # nothing to take out
        async with registered(agent, "secret") as (own, _):
            assert own.error == ""


async def test_a_stop_drains_first_and_then_deregisters() -> None:
    async with FakeConsul() as agent, registered(agent) as (own, seen):
        await own.drain()
        assert status(agent) == "critical"
        assert agent.checks()[f"service:{GATE}"]["Output"] == "is stopping"
        await own.close()
        assert status(agent) == "gone"
        await own.close()
        assert seen.lines == []


async def test_a_stop_without_the_agent_ends() -> None:
    async with FakeConsul() as agent, registered(agent) as (own, seen):
        await agent.stop()
        await own.drain()
        await own.close()
        assert len(seen.lines) == 2
        assert "its TTL does it" in seen.lines[-1]
        await agent.start()


async def test_a_registration_that_a_stop_interrupts_is_taken_out(monkeypatch: pytest.MonkeyPatch) -> None:
    put, arrived = ConsulClient.put, asyncio.Event()

    async def unanswered(
        client: ConsulClient, path: str, params: Mapping[str, str] | None = None, body: bytes = b""
    ) -> ConsulReply:
        reply = await put(client, path, params, body)
        if path == "agent/service/register":
            arrived.set()
            await asyncio.Event().wait()
        return reply

    monkeypatch.setattr(ConsulClient, "put", unanswered)
    async with FakeConsul() as agent, client_of(agent) as client:
        lines: list[str] = []
        own = OwnRegistration(SETTINGS, OwnAddress("10.0.0.1", 8080), client, lines.append, lines.append)
        own.start()
        await within(arrived.wait(), "the registration")
        await own.drain()
        assert status(agent) == "critical"
        await own.close()
        assert status(agent) == "gone"
        assert lines == []


@pytest.mark.parametrize(
    ("settings", "host", "expected"),
    [
        (ConsulRegistration(), "10.0.0.7", OwnAddress("10.0.0.7", 80)),
        (ConsulRegistration(), "0.0.0.0", OwnAddress("", 80)),
        (ConsulRegistration(), "::", OwnAddress("", 80)),
        (ConsulRegistration(), "[2001:db8::1]", OwnAddress("2001:db8::1", 80)),
        (ConsulRegistration(), "localhost", OwnAddress("", 80)),
        (ConsulRegistration(address="gate.example", port=443), "0.0.0.0", OwnAddress("gate.example", 443)),
    ],
)
def test_the_address_is_the_configured_one_or_where_it_listens(
    settings: ConsulRegistration, host: str, expected: OwnAddress
) -> None:
    assert own_address(settings, host, 80) == expected
