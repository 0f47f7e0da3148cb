"""Following a name by a scripted server, with sleeps that a test ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from random import Random

import pytest

pytest.importorskip("dns")

from proxy.config.provider_schema import Tls
from proxy.config.service_schema import DiscoverySettings, DnsSettings, DnsSource, ServerAddress, ServiceSettings
from proxy.services.discovery.dns.lookup import DnsLookup
from proxy.services.discovery.dns.opening import DnsDiscovery, open_discovery
from proxy.services.discovery.dns.source import DnsAddresses, DnsClocks
from tests.support.dns import ScriptedDns
from tests.support.patience import until

WEB = "_http._tcp.web.example"
SRV = DnsSource(srv=WEB)
HOST = DnsSource(host="web.example", port=8080)


class Followed:
    """``found``: the addresses of each call. ``pauses``: the sleeps; ``look`` ends the present one."""

    def __init__(self, server: ScriptedDns, settings: ServiceSettings, **seconds: float) -> None:
        self.now = 1000.0
        self.found: list[list[str]] = []
        self.pauses: list[float] = []
        self._resumed = asyncio.Event()
        dns_settings = DnsSettings(servers=[server.address], least_secs=1.0, most_secs=60.0)
        lookup = DnsLookup(dns_settings, lambda: self.now, **({"server_secs": 20.0, "lookup_secs": 60.0} | seconds))
        clocks = DnsClocks(lambda: self.now, self._sleep, Random(1))
        self.source: DnsAddresses = DnsDiscovery(lookup, clocks).source("web", settings)
        self._task = asyncio.create_task(self.source.follow(self._note))

    def _note(self, addresses: Sequence[ServerAddress]) -> None:
        self.found.append([each.url for each in addresses])

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await self._resumed.wait()
        self._resumed.clear()

    async def first(self) -> None:
        await until(lambda: self.pauses, "the first look")

    async def look(self) -> None:
        """Let the present pause pass, and wait for the next one."""
        seen = len(self.pauses)
        self.now += self.pauses[-1]
        self._resumed.set()
        await until(lambda: len(self.pauses) > seen, "the next look")

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


@pytest.fixture
async def server() -> AsyncIterator[ScriptedDns]:
    async with ScriptedDns() as made:
        yield made


@pytest.fixture
async def started() -> AsyncIterator[list[Followed]]:
    """Those that a test starts; they are stopped in the end."""
    made: list[Followed] = []
    yield made
    for each in made:
        await each.stop()


async def follow(
    started: list[Followed], server: ScriptedDns, source: DnsSource, *, verify: bool = True, **seconds: float
) -> Followed:
    made = Followed(server, ServiceSettings(dns=source, tls=Tls(verify=verify)), **seconds)
    started.append(made)
    await made.first()
    return made


async def test_targets_of_srv_records_are_resolved(server: ScriptedDns, started: list[Followed]) -> None:
    server.set(WEB, "SRV", 30, "10 5 8001 a.example.", "10 5 8002 b.example.")
    server.set("a.example", "A", 300, "192.0.2.1")
    server.set("b.example", "AAAA", 300, "2001:db8::2")
    made = await follow(started, server, SRV)
    assert made.found == [["http://192.0.2.1:8001", "http://[2001:db8::2]:8002"]]
    assert made.source.state.up
    assert (made.source.state.at, made.source.state.error) == (1000.0, "")


async def test_it_looks_again_when_the_shortest_ttl_is_over(server: ScriptedDns, started: list[Followed]) -> None:
    server.set(WEB, "SRV", 50, "10 5 8001 a.example.")
    server.set("a.example", "A", 10, "192.0.2.1")
    made = await follow(started, server, SRV)
    assert 10.0 <= made.pauses[-1] <= 10.5
    server.set("a.example", "A", 10, "192.0.2.2")
    await made.look()
    assert made.found[-1] == ["http://192.0.2.2:8001"]
    assert [kind for _, kind, _ in server.asked] == ["SRV", "A", "A"]  # the SRV record still holds


async def test_only_changes_are_handed_over(server: ScriptedDns, started: list[Followed]) -> None:
    server.set("web.example", "A", 5, "192.0.2.1", "192.0.2.2")
    made = await follow(started, server, HOST)
    server.set("web.example", "A", 5, "192.0.2.2", "192.0.2.1")
    await made.look()
    assert made.found == [["http://192.0.2.1:8080", "http://192.0.2.2:8080"]]
    server.set("web.example", "A", 5, "192.0.2.2")
    await made.look()
    assert made.found[1:] == [["http://192.0.2.2:8080"]]


async def test_a_name_that_is_gone_has_no_addresses(server: ScriptedDns, started: list[Followed]) -> None:
    server.set("web.example", "A", 5, "192.0.2.1")
    made = await follow(started, server, HOST)
    server.forget("web.example")
    await made.look()
    assert made.found == [["http://192.0.2.1:8080"], []]
    assert made.source.state.up
    assert made.source.state.error == "web.example does not exist (NXDOMAIN)"
    assert 7.0 <= made.pauses[-1] <= 7.5  # by the SOA record
    server.set("web.example", "A", 5, "192.0.2.2")
    await made.look()
    assert made.found[-1] == ["http://192.0.2.2:8080"]
    assert made.source.state.error == ""


async def test_a_name_that_does_not_exist_yet_is_handed_over_as_none(
    server: ScriptedDns, started: list[Followed]
) -> None:
    made = await follow(started, server, SRV)
    assert made.found == [[]]
    server.set(WEB, "SRV", 30, "0 0 0 .")
    await made.look()
    assert made.found == [[]]


async def test_addresses_stay_while_servers_fail_and_delays_grow(server: ScriptedDns, started: list[Followed]) -> None:
    server.set("web.example", "A", 5, "192.0.2.1")
    made = await follow(started, server, HOST)
    server.fault = "servfail"
    for _ in range(8):
        await made.look()
    assert made.found == [["http://192.0.2.1:8080"]]
    state = made.source.state
    assert (state.up, state.at) == (False, 1000.0)
    assert "SERVFAIL" in state.error
    assert made.pauses[1] == 1.0  # leastSecs
    assert 15.0 <= made.pauses[-1] <= 30.0
    server.fault = ""
    server.set("web.example", "A", 5, "192.0.2.2")
    await made.look()
    assert made.found[-1] == ["http://192.0.2.2:8080"]
    assert made.source.state.up


async def test_a_silent_server_is_a_failure(server: ScriptedDns, started: list[Followed]) -> None:
    server.fault = "silent"
    made = await follow(started, server, HOST, server_secs=0.1, lookup_secs=0.1)
    assert made.found == []
    assert (made.source.state.up, made.source.state.at) == (False, 0.0)
    assert "no answer in time" in made.source.state.error


async def test_a_target_that_cannot_be_looked_up_keeps_its_addresses(
    server: ScriptedDns, started: list[Followed]
) -> None:
    server.set(WEB, "SRV", 5, "10 5 8001 a.example.", "10 5 8002 b.example.")
    server.set("a.example", "A", 5, "192.0.2.1")
    server.set("b.example", "A", 5, "192.0.2.2")
    made = await follow(started, server, SRV)
    server.fault = lambda name, kind: "servfail" if name in ("a.example", "c.example") else ""
    server.set("b.example", "A", 5, "192.0.2.3")
    server.set(WEB, "SRV", 5, "10 5 8001 a.example.", "10 5 8002 b.example.", "10 5 8003 c.example.")
    await made.look()
    assert made.found[-1] == ["http://192.0.2.1:8001", "http://192.0.2.3:8002"]
    assert made.source.state.up
    assert "a.example cannot be looked up" in made.source.state.error
    assert made.pauses[-1] <= 1.05


async def test_targets_without_addresses_are_left_out(server: ScriptedDns, started: list[Followed]) -> None:
    lines = [f"10 5 8001 {name}.example." for name in ("a", "b", "c", "d", "e")]
    server.set(WEB, "SRV", 5, *lines, r"10 5 8001 odd\032name.example.")
    server.set("a.example", "A", 5, "192.0.2.1")
    made = await follow(started, server, SRV)
    assert made.found == [["http://192.0.2.1:8001"]]
    assert "odd" in made.source.state.error
    assert made.source.state.error.endswith("; and 2 more")


async def test_names_stay_where_certificates_are_verified(server: ScriptedDns, started: list[Followed]) -> None:
    server.set(WEB, "SRV", 5, "10 5 8443 a.example.")
    made = await follow(started, server, DnsSource(srv=WEB, scheme="https"))
    assert made.found == [["https://a.example:8443"]]
    server.set("web.example", "A", 5, "192.0.2.1")
    made = await follow(started, server, DnsSource(host="web.example", port=8443, scheme="https"))
    assert made.found == [["https://web.example:8443"]]
    made = await follow(started, server, DnsSource(host="web.example", port=8443, scheme="https"), verify=False)
    assert made.found == [["https://192.0.2.1:8443"]]


async def test_the_technology_opens_sources_and_closes() -> None:
    opened = open_discovery(DiscoverySettings(dns=DnsSettings(servers=["127.0.0.1:53"])), {})
    source = opened.source("web", ServiceSettings(dns=SRV))
    assert not source.state.up
    await opened.close()
