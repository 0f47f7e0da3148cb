"""Records by a scripted server over real sockets, with its faults."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

pytest.importorskip("dns")

from proxy.config.service_schema import DnsSettings
from proxy.services.discovery.dns.lookup import DnsLookup, LookupFailed, NameAbsent
from proxy.services.discovery.dns.records import HostRecords, SrvRecord
from tests.support.dns import ScriptedDns
from tests.support.ports import free_port

WEB = "_http._tcp.web.example"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def server() -> AsyncIterator[ScriptedDns]:
    async with ScriptedDns() as made:
        yield made


def lookup(
    *servers: ScriptedDns | str,
    clock: Clock | None = None,
    least: float = 1.0,
    most: float = 60.0,
    server_secs: float = 20.0,
    lookup_secs: float = 60.0,
) -> DnsLookup:
    """With so much time that only a server without any answer uses it up."""
    listed = [each if isinstance(each, str) else each.address for each in servers]
    settings = DnsSettings(servers=listed, least_secs=least, most_secs=most)
    return DnsLookup(settings, clock or Clock(), server_secs=server_secs, lookup_secs=lookup_secs)


async def test_srv_records(server: ScriptedDns) -> None:
    server.set(WEB, "SRV", 30, "10 5 8001 a.web.example.", "20 0 8002 b.web.example.")
    found = await lookup(server).services(WEB)
    assert sorted(found.records) == [SrvRecord(10, 5, 8001, "a.web.example"), SrvRecord(20, 0, 8002, "b.web.example")]
    assert found.ttl == 30.0


async def test_the_target_of_a_service_that_is_not_there_is_empty(server: ScriptedDns) -> None:
    server.set(WEB, "SRV", 30, "0 0 0 .")
    assert (await lookup(server).services(WEB)).records == (SrvRecord(0, 0, 0, ""),)


async def test_ipv4_addresses_of_a_host(server: ScriptedDns) -> None:
    server.set("web.example", "A", 20, "192.0.2.1", "192.0.2.2")
    server.set("web.example", "AAAA", 20, "2001:db8::1")
    found = await lookup(server).hosts("web.example")
    assert (sorted(found.addresses), found.ttl) == (["192.0.2.1", "192.0.2.2"], 20.0)
    assert [kind for _, kind, _ in server.asked] == ["A"]


async def test_ipv6_addresses_of_a_host_without_others(server: ScriptedDns) -> None:
    server.set("web.example", "AAAA", 20, "2001:db8::1")
    assert await lookup(server).hosts("WEB.example.") == HostRecords(("2001:db8::1",), 20.0)


async def test_a_name_that_does_not_exist(server: ScriptedDns) -> None:
    with pytest.raises(NameAbsent, match=r"web\.example does not exist \(NXDOMAIN\)") as caught:
        await lookup(server).hosts("web.example")
    assert (caught.value.ttl, caught.value.exists) == (7.0, False)
    assert [kind for _, kind, _ in server.asked] == ["A"]  # RFC 8020: there is no other kind either


async def test_a_name_with_records_of_another_kind(server: ScriptedDns) -> None:
    server.set("web.example", "TXT", 20, '"text"')
    with pytest.raises(NameAbsent, match=r"web\.example has no AAAA records") as caught:
        await lookup(server).hosts("web.example")
    assert (caught.value.ttl, caught.value.exists) == (7.0, True)
    with pytest.raises(NameAbsent, match="has no SRV records"):
        await lookup(server).services("web.example")


async def test_an_alias_within_the_answer_counts_with_its_ttl(server: ScriptedDns) -> None:
    server.set("web.example", "CNAME", 5, "real.example.", beside=("real.example. 40 A 192.0.2.1",))
    assert await lookup(server).hosts("web.example") == HostRecords(("192.0.2.1",), 5.0)


async def test_an_alias_that_the_server_does_not_follow_is_asked_for(server: ScriptedDns) -> None:
    server.set("web.example", "CNAME", 50, "real.example.")
    server.set("real.example", "A", 40, "192.0.2.1")
    assert await lookup(server).hosts("web.example") == HostRecords(("192.0.2.1",), 40.0)
    assert [name for name, _, _ in server.asked] == ["web.example", "real.example"]


async def test_aliases_in_a_circle_end(server: ScriptedDns) -> None:
    server.set("a.example", "CNAME", 50, "b.example.")
    server.set("b.example", "CNAME", 50, "a.example.")
    with pytest.raises(NameAbsent, match=r"a\.example has no"):
        await lookup(server).hosts("a.example")
    assert len(server.asked) < 40


async def test_a_cut_answer_is_asked_for_over_tcp(server: ScriptedDns) -> None:
    server.fault = "cut"
    records = [f"1 1 80 host{number}.example." for number in range(300)]
    server.set(WEB, "SRV", 30, *records)
    assert len((await lookup(server).services(WEB)).records) == 300
    assert [transport for _, _, transport in server.asked] == ["udp", "tcp"]


@pytest.mark.parametrize("fault", ["servfail", "refused"])
async def test_the_next_server_is_asked_after_a_fault(server: ScriptedDns, fault: str) -> None:
    async with ScriptedDns() as broken:
        broken.fault = fault  # type: ignore[assignment]
        server.set("web.example", "A", 20, "192.0.2.1")
        assert (await lookup(broken, server).hosts("web.example")).addresses == ("192.0.2.1",)
        assert broken.asked


@pytest.mark.parametrize("fault", ["silent", "garbage", "other question"])
async def test_the_next_server_is_asked_when_one_is_silent(server: ScriptedDns, fault: str) -> None:
    """What does not fit the question is no answer, as anybody may send it."""
    async with ScriptedDns() as broken:
        broken.fault = fault  # type: ignore[assignment]
        server.set("web.example", "A", 20, "192.0.2.1")
        found = await lookup(broken, server, server_secs=0.2).hosts("web.example")
        assert found.addresses == ("192.0.2.1",)
        assert broken.asked


@pytest.mark.parametrize(("fault", "why"), [("servfail", "SERVFAIL"), ("refused", "REFUSED")])
async def test_no_server_has_an_answer(server: ScriptedDns, fault: str, why: str) -> None:
    server.fault = fault  # type: ignore[assignment]
    with pytest.raises(LookupFailed) as caught:
        await lookup(server).hosts("web.example")
    assert str(caught.value) == f"Do53:127.0.0.1@{server.port}: {why}"


async def test_nothing_listens_there() -> None:
    with pytest.raises(LookupFailed, match=r"127\.0\.0\.1"):
        await lookup(f"127.0.0.1:{free_port()}", lookup_secs=0.5).hosts("web.example")


async def test_while_no_server_answers_others_fail_at_once(server: ScriptedDns) -> None:
    server.fault = "silent"
    clock = Clock()
    made = lookup(server, clock=clock, server_secs=0.1, lookup_secs=0.1)
    with pytest.raises(LookupFailed, match="no answer in time"):
        await made.hosts("a.example")
    asked = len(server.asked)
    with pytest.raises(LookupFailed, match="no answer in time"):
        await made.hosts("b.example")
    assert len(server.asked) == asked
    clock.now += 1.0
    server.fault = ""
    server.set("b.example", "A", 20, "192.0.2.1")
    healed = lookup(server, clock=clock)
    assert (await healed.hosts("b.example")).addresses == ("192.0.2.1",)


async def test_a_single_name_without_an_answer_does_not_hinder_others(server: ScriptedDns) -> None:
    server.fault = lambda name, kind: "silent" if name == "bad.example" else ""
    clock = Clock()
    made = lookup(server, clock=clock, server_secs=0.5, lookup_secs=0.5)
    for number in range(20):  # until an answer comes while the other lookup waits, however slow the machine is
        clock.now += 1.0
        failing = asyncio.create_task(made.hosts("bad.example"))
        for name in (f"a{number}.example", f"b{number}.example"):
            server.set(name, "A", 20, "192.0.2.1")
        answered = await asyncio.gather(made.hosts(f"a{number}.example"), return_exceptions=True)
        with pytest.raises(LookupFailed):
            await failing
        asked = len(server.asked)
        if isinstance(answered[0], HostRecords):
            await asyncio.gather(made.hosts(f"b{number}.example"), return_exceptions=True)
            assert len(server.asked) > asked
            return
    raise AssertionError("no answer came within half a second")


async def test_answers_are_shared_until_they_expire(server: ScriptedDns) -> None:
    clock = Clock()
    made = lookup(server, clock=clock)
    server.set("web.example", "A", 20, "192.0.2.1")
    assert (await made.hosts("web.example")).ttl == 20.0
    clock.now += 15.0
    server.set("web.example", "A", 20, "192.0.2.2")
    assert await made.hosts("WEB.example") == HostRecords(("192.0.2.1",), 5.0)
    clock.now += 5.0
    assert await made.hosts("web.example") == HostRecords(("192.0.2.2",), 20.0)
    assert len(server.asked) == 2


@pytest.mark.parametrize(("ttl", "used"), [(0, 2.0), (1, 2.0), (5, 5.0), (600, 30.0)])
async def test_the_ttl_counts_between_its_bounds(server: ScriptedDns, ttl: int, used: float) -> None:
    clock = Clock()
    made = lookup(server, clock=clock, least=2.0, most=30.0)
    server.set("web.example", "A", ttl, "192.0.2.1")
    assert (await made.hosts("web.example")).ttl == used
    clock.now += used - 0.5
    await made.hosts("web.example")
    assert len(server.asked) == 1
    clock.now += 0.5
    await made.hosts("web.example")
    assert len(server.asked) == 2


async def test_addresses_of_targets_that_come_with_an_answer_are_not_asked_for(server: ScriptedDns) -> None:
    clock = Clock()
    made = lookup(server, clock=clock)
    server.set(
        WEB,
        "SRV",
        50,
        "1 1 80 a.example.",
        beside=("A.example. 10 A 192.0.2.1", "elsewhere.example. 10 A 192.0.2.9"),
    )
    await made.services(WEB)
    assert await made.hosts("a.example") == HostRecords(("192.0.2.1",), 10.0)
    server.set("elsewhere.example", "A", 20, "192.0.2.2")
    assert (await made.hosts("elsewhere.example")).addresses == ("192.0.2.2",)  # nobody asked for it before
    clock.now += 10.0
    server.set("a.example", "A", 20, "192.0.2.3")
    assert (await made.hosts("a.example")).addresses == ("192.0.2.3",)


async def test_a_server_by_its_name(server: ScriptedDns) -> None:
    server.set("web.example", "A", 20, "192.0.2.1")
    found = await lookup(f"localhost:{server.port}", lookup_secs=60.0).hosts("web.example")
    assert found.addresses == ("192.0.2.1",)


async def test_a_server_whose_name_is_unknown() -> None:
    with pytest.raises(LookupFailed):
        await lookup("no-such-host.invalid").hosts("web.example")


async def test_a_server_that_moved_is_found_again(server: ScriptedDns, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of servers are looked up again after a failure."""
    from proxy.services.discovery.dns import servers

    places = [("127.0.0.1", free_port()), ("127.0.0.1", server.port)]

    async def addresses(listed: object) -> list[tuple[str, int]]:
        return [places.pop(0)]

    monkeypatch.setattr(servers, "addresses", addresses)
    server.set("web.example", "A", 20, "192.0.2.1")
    clock = Clock()
    made = lookup("dns.example", clock=clock, lookup_secs=1.0)
    with pytest.raises(LookupFailed):
        await made.hosts("web.example")
    clock.now += 1.0
    for _ in range(100):
        try:
            assert (await made.hosts("web.example")).addresses == ("192.0.2.1",)
            break
        except LookupFailed:  # the machine was too slow
            places.append(("127.0.0.1", server.port))
            clock.now += 1.0
    assert server.asked


async def test_the_system_s_servers_are_asked_with_its_search_list(
    server: ScriptedDns, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    import dns.asyncresolver
    import dns.name
    import dns.resolver

    def configure(self: dns.resolver.BaseResolver, filename: str = "") -> None:
        self.nameservers = ["127.0.0.1"]
        self.port = server.port
        self.search = [dns.name.from_text("ns.svc.cluster.local."), dns.name.from_text("svc.cluster.local.")]
        self.ndots = 5

    monkeypatch.setattr(dns.resolver.BaseResolver, "read_resolv_conf", configure)
    server.set("web.svc.cluster.local", "A", 20, "192.0.2.1")
    assert (await lookup().hosts("web")).addresses == ("192.0.2.1",)
    assert [name for name, _, _ in server.asked] == ["web.ns.svc.cluster.local", "web.svc.cluster.local"]


async def test_many_lookups_at_once_all_end(server: ScriptedDns) -> None:
    for number in range(200):
        server.set(f"h{number}.example", "A", 20, f"192.0.2.{number}")
    made = lookup(server)
    found = await asyncio.gather(*(made.hosts(f"h{number}.example") for number in range(200)))
    assert [each.addresses for each in found] == [(f"192.0.2.{number}",) for number in range(200)]
