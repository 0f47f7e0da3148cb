"""Addresses that follow a real dnsmasq, by the runner and the clocks of the gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

pytest.importorskip("dns")

from proxy.config.service_schema import DiscoverySettings, DnsSettings, DnsSource, ServiceSettings
from proxy.services.discovery.runner import DiscoveryRunner
from tests.services.discovery.scripted import Receiver
from tests.support.dnsmasq import OwnDnsmasq
from tests.support.patience import until

HOST = ServiceSettings(dns=DnsSource(host="web.example", port=8080))
SRV = ServiceSettings(dns=DnsSource(srv="_http._tcp.web.example"))


class Found:
    def __init__(self, server: OwnDnsmasq) -> None:
        self.receiver = Receiver()
        settings = DnsSettings(servers=[server.address], least_secs=0.1, most_secs=1.0)
        self.runner = DiscoveryRunner(
            self.receiver,
            DiscoverySettings(dns=settings),
            warn=lambda *_, **__: None,
            info=lambda *_, **__: None,
            environ={},
        )

    async def urls(self, *expected: str) -> None:
        await until(lambda: self.receiver.now.get(("web", "dns")) == expected, f"{expected}")


@pytest.fixture
async def server() -> AsyncIterator[OwnDnsmasq]:
    async with OwnDnsmasq() as made:
        yield made


@pytest.fixture
async def found(server: OwnDnsmasq) -> AsyncIterator[Found]:
    made = Found(server)
    made.runner.start()
    yield made
    await made.runner.close()


async def test_addresses_of_a_host_come_and_go(server: OwnDnsmasq, found: Found) -> None:
    server.hosts({"web.example": ["192.0.2.1"]})
    found.runner.put("web", HOST)
    await found.urls("http://192.0.2.1:8080")
    server.hosts({"web.example": ["192.0.2.1", "192.0.2.2"]})
    await found.urls("http://192.0.2.1:8080", "http://192.0.2.2:8080")
    server.hosts({"web.example": ["2001:db8::1"]})
    await found.urls("http://[2001:db8::1]:8080")
    server.hosts({})
    await found.urls()
    state = found.runner.states("web")["dns"]
    assert state.up
    assert "web.example" in state.error
    server.hosts({"web.example": ["192.0.2.3"]})
    await found.urls("http://192.0.2.3:8080")


async def test_srv_records_with_their_targets_through_a_restart(server: OwnDnsmasq, found: Found) -> None:
    server.hosts({"a.example": ["192.0.2.1"], "b.example": ["192.0.2.2"]})
    await server.serve(
        "srv-host=_http._tcp.web.example,a.example,8001,10,5", "srv-host=_http._tcp.web.example,b.example,8002,20,1"
    )
    found.runner.put("web", SRV)
    await found.urls("http://192.0.2.1:8001", "http://192.0.2.2:8002")
    server.hosts({"a.example": ["192.0.2.9"], "b.example": ["192.0.2.2"]})
    await found.urls("http://192.0.2.9:8001", "http://192.0.2.2:8002")
    await server.serve("srv-host=_http._tcp.web.example,b.example,8003,0,1")
    await found.urls("http://192.0.2.2:8003")


async def test_an_alias(server: OwnDnsmasq, found: Found) -> None:
    server.hosts({"real.example": ["192.0.2.1"]})
    await server.serve("cname=web.example,real.example")
    found.runner.put("web", HOST)
    await found.urls("http://192.0.2.1:8080")


async def test_many_targets_come_over_tcp(server: OwnDnsmasq, found: Found) -> None:
    """Their answer has more than the 1232 bytes that are taken over UDP."""
    names = [f"host-with-a-long-name-{number}.example" for number in range(60)]
    server.hosts({name: [f"192.0.2.{number + 1}"] for number, name in enumerate(names)})
    await server.serve(*(f"srv-host=_http._tcp.web.example,{name},80,0,1" for name in names))
    found.runner.put("web", SRV)
    await until(lambda: len(found.receiver.now.get(("web", "dns"), ())) == 60, "all targets")


async def test_addresses_stay_while_the_server_is_gone(server: OwnDnsmasq, found: Found) -> None:
    server.hosts({"web.example": ["192.0.2.1"]})
    found.runner.put("web", HOST)
    await found.urls("http://192.0.2.1:8080")
    await server.stop()
    await until(lambda: not found.runner.states("web")["dns"].up, "the failure")
    assert found.receiver.now["web", "dns"] == ("http://192.0.2.1:8080",)
    server.hosts({"web.example": ["192.0.2.2"]})
    await server.serve()
    await found.urls("http://192.0.2.2:8080")
