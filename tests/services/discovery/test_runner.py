"""Services that come, change and go, with sources that a test controls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from itertools import pairwise
from random import Random

import pytest

from proxy.config.service_schema import (
    ConsulSettings,
    ConsulSource,
    DiscoverySettings,
    DnsSettings,
    DnsSource,
    ServerAddress,
    ServiceSettings,
)
from proxy.errors import ConfigError
from proxy.services.discovery.base import Discovery
from proxy.services.discovery.runner import REPORT_SECS, SLICE_CHANGES, SLICE_SECS, DiscoveryRunner
from tests.services.discovery.scripted import Receiver, ScriptedDiscovery, ScriptedSource
from tests.support.patience import until

ENVIRON: Mapping[str, str] = {"CONSUL_HTTP_TOKEN": "t"}
DNS = ServiceSettings(dns=DnsSource(srv="_http._tcp.web"))
OTHER_DNS = ServiceSettings(dns=DnsSource(srv="_http._tcp.other"))
BOTH = ServiceSettings(dns=DnsSource(srv="_http._tcp.web"), consul=ConsulSource("web"))


class Bench:
    """A runner with scripted technologies. ``delays``: before sources are followed again.

    Each ends when ``pass_time`` is called. States are reported by ``look`` only.
    """

    def __init__(self) -> None:
        self.receiver = Receiver()
        self.opened: list[tuple[str, ScriptedDiscovery]] = []
        self.lines: list[tuple[str, dict[str, object]]] = []
        self.clock = 0.0
        self.broken: ConfigError | None = None
        self.delays: list[float] = []
        self._sleepers: list[asyncio.Future[None]] = []
        self._looks: list[asyncio.Future[None]] = []
        self.runner = DiscoveryRunner(
            self.receiver,
            DiscoverySettings(),
            warn=self._line,
            info=self._line,
            environ=ENVIRON,
            open_discovery=self._open,
            clock=lambda: self.clock,
            sleep=self._sleep,
            chance=Random(7),
        )

    def _open(self, name: str, settings: DiscoverySettings, environ: Mapping[str, str]) -> Discovery:
        assert environ is ENVIRON
        if self.broken is not None:
            raise self.broken
        made = ScriptedDiscovery(settings)
        self.opened.append((name, made))
        return made

    def _line(self, message: str, **fields: object) -> None:
        self.lines.append((message, fields))

    async def _sleep(self, seconds: float) -> None:
        if seconds != REPORT_SECS:
            self.delays.append(seconds)
        sleeper = asyncio.get_running_loop().create_future()
        (self._looks if seconds == REPORT_SECS else self._sleepers).append(sleeper)
        await sleeper

    async def look(self) -> None:
        """Until the states were reported once more."""
        await until(lambda: self._looks, "the report to wait")
        self._looks.pop().set_result(None)
        await until(lambda: self._looks, "the report")

    def pass_time(self) -> None:
        sleepers, self._sleepers = self._sleepers, []
        for each in sleepers:
            if not each.done():
                each.set_result(None)

    def discovery(self, name: str) -> ScriptedDiscovery:
        """The last one that was opened."""
        return [made for each, made in self.opened if each == name][-1]

    async def source(self, service: str, name: str = "dns") -> ScriptedSource:
        """Once it is followed."""
        found = lambda: any(  # noqa: E731
            each == name and service in made.sources and made.sources[service].follows for each, made in self.opened
        )
        await until(found, f"the source {name} of {service}")
        return self.discovery(name).sources[service]

    async def handed_over(self, service: str, *urls: str, name: str = "dns") -> None:
        await until(lambda: self.receiver.now.get((service, name)) == urls, f"{urls} for {service}")


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    made.runner.start()
    yield made
    await made.runner.close()


async def test_addresses_are_handed_over_at_first_and_after_each_change(bench: Bench) -> None:
    bench.runner.put("web", DNS)
    source = await bench.source("web")
    source.find("http://192.0.2.1")
    await bench.handed_over("web", "http://192.0.2.1")
    source.find("http://192.0.2.1", "http://192.0.2.2")
    await bench.handed_over("web", "http://192.0.2.1", "http://192.0.2.2")


async def test_services_of_one_technology_share_it(bench: Bench) -> None:
    bench.runner.put("a", DNS)
    bench.runner.put("b", DNS)
    await bench.source("a")
    await bench.source("b")
    assert [name for name, _ in bench.opened] == ["dns"]


async def test_a_service_without_sources_opens_nothing(bench: Bench) -> None:
    bench.runner.put("plain", ServiceSettings())
    bench.runner.put("web", DNS)
    await bench.source("web")
    assert bench.runner.states("plain") == {}


async def test_a_source_goes_on_when_other_settings_change(bench: Bench) -> None:
    bench.runner.put("web", DNS)
    source = await bench.source("web")
    bench.runner.put("web", ServiceSettings(dns=DNS.dns, weight=3.0))
    bench.runner.put("later", DNS)
    await bench.source("later")
    assert not source.ended
    assert bench.discovery("dns").opened == 2


async def test_another_source_takes_its_place_and_addresses_stay_until_it_answers(bench: Bench) -> None:
    bench.runner.put("web", DNS)
    first = await bench.source("web")
    first.find("http://192.0.2.1")
    await bench.handed_over("web", "http://192.0.2.1")
    bench.runner.put("web", OTHER_DNS)
    await until(lambda: bench.discovery("dns").opened == 2, "the other source")
    second = await bench.source("web")
    assert second is not first
    assert first.ended
    first.find("http://192.0.2.9")  # too late
    assert bench.receiver.now["web", "dns"] == ("http://192.0.2.1",)
    second.find("http://192.0.2.2")
    await bench.handed_over("web", "http://192.0.2.2")
    assert ("web", "dns", ("http://192.0.2.9",)) not in bench.receiver.calls


async def test_addresses_of_a_source_that_a_service_no_longer_names_are_withdrawn(bench: Bench) -> None:
    bench.runner.put("web", BOTH)
    (await bench.source("web")).find("http://192.0.2.1")
    consul = await bench.source("web", "consul")
    consul.find("http://192.0.2.2")
    await bench.handed_over("web", "http://192.0.2.1")
    await bench.handed_over("web", "http://192.0.2.2", name="consul")
    bench.runner.put("web", DNS)
    await bench.handed_over("web", name="consul")
    assert list(bench.runner.states("web")) == ["dns"]
    bench.runner.put("web", ServiceSettings())
    await bench.handed_over("web")
    assert bench.runner.states("web") == {}


async def test_nothing_is_handed_over_for_a_service_that_is_gone(bench: Bench) -> None:
    bench.runner.put("web", DNS)
    source = await bench.source("web")
    source.find("http://192.0.2.1")
    bench.runner.forget("web")  # before the loop handed that over
    await until(lambda: source.ended, "the source to end")
    assert bench.receiver.calls == []
    assert bench.runner.states("web") == {}
    bench.runner.forget("web")
    bench.runner.forget("unknown")


async def test_a_service_that_comes_and_goes_at_once_is_never_looked_for(bench: Bench) -> None:
    bench.runner.put("brief", DNS)
    bench.runner.forget("brief")
    bench.runner.put("web", DNS)
    await bench.source("web")
    assert "brief" not in bench.discovery("dns").sources


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (OSError("no route"), "unexpected OSError: no route"),
        (ConfigError(["dns: one", "dns: two"]), "dns: one; dns: two"),
        (None, "ended"),
    ],
)
async def test_a_source_that_fails_is_followed_again_and_addresses_stay(
    bench: Bench, error: Exception | None, shown: str
) -> None:
    bench.runner.put("web", DNS)
    source = await bench.source("web")
    source.find("http://192.0.2.1")
    await bench.handed_over("web", "http://192.0.2.1")
    source.fail(error)
    await until(lambda: not bench.runner.states("web")["dns"].up, "the failure")
    assert bench.runner.states("web")["dns"].error == shown
    assert bench.runner.states("web")["dns"].at == 1.0
    assert bench.receiver.calls == [("web", "dns", ("http://192.0.2.1",))]
    bench.pass_time()
    await until(lambda: source.follows == 2, "the second try")
    assert bench.runner.states("web")["dns"].up


async def test_delays_grow_until_the_source_answers(bench: Bench) -> None:
    bench.runner.put("web", DNS)
    source = await bench.source("web")

    async def fail() -> float:
        """The delay after it."""
        follows, slept = source.follows, len(bench.delays)
        source.fail(OSError("no"))
        await until(lambda: len(bench.delays) > slept, "the delay")
        made = bench.delays[-1]
        bench.pass_time()
        await until(lambda: source.follows > follows, "the next try")
        return made

    delays = [await fail() for _ in range(8)]
    assert delays[0] <= 0.5
    assert all(later > before / 2 for before, later in pairwise(delays))
    assert delays[-1] >= 15.0
    source.find("http://192.0.2.1")
    assert await fail() <= 0.5


async def test_a_technology_that_cannot_be_opened_says_why(bench: Bench) -> None:
    bench.broken = ConfigError(["dns needs a package that is not installed"])
    bench.runner.put("web", DNS)
    await until(lambda: bench.runner.states("web").get("dns"), "the source")
    await until(lambda: bench.runner.states("web")["dns"].error, "the failure")
    state = bench.runner.states("web")["dns"]
    assert (state.up, state.at, state.error) == (False, 0.0, "dns needs a package that is not installed")
    bench.broken = None
    bench.pass_time()
    (await bench.source("web")).find("http://192.0.2.1")
    await bench.handed_over("web", "http://192.0.2.1")


async def test_a_receiver_that_fails_for_one_service_gets_the_others(bench: Bench) -> None:
    real = bench.receiver.found

    def found(service: str, source: str, addresses: Sequence[ServerAddress]) -> None:
        if service == "bad":
            raise ValueError("broken")
        real(service, source, addresses)

    bench.receiver.found = found  # type: ignore[method-assign]
    for name in ("bad", "good"):
        bench.runner.put(name, DNS)
        (await bench.source(name)).find("http://192.0.2.1")
    await bench.handed_over("good", "http://192.0.2.1")
    assert [fields["service"] for _, fields in bench.lines] == ["bad"]


async def test_only_a_technology_with_other_settings_begins_anew(bench: Bench) -> None:
    bench.runner.put("web", BOTH)
    dns, consul = await bench.source("web"), await bench.source("web", "consul")
    dns.find("http://192.0.2.1")
    await bench.handed_over("web", "http://192.0.2.1")
    bench.runner.adopt(DiscoverySettings(region="eu"))
    bench.runner.adopt(DiscoverySettings(region="eu", dns=DnsSettings(servers=["192.0.2.53"])))
    await until(lambda: len(bench.opened) == 3, "DNS to be opened again")
    other = await bench.source("web")
    assert dns.ended
    assert not consul.ended
    first = next(made for name, made in bench.opened if name == "dns")
    assert first.closed
    assert bench.discovery("dns").settings.dns.servers == ["192.0.2.53"]
    assert bench.receiver.calls == [("web", "dns", ("http://192.0.2.1",))]
    other.find("http://192.0.2.2")
    await bench.handed_over("web", "http://192.0.2.2")
    bench.runner.adopt(DiscoverySettings(dns=DnsSettings(servers=["192.0.2.53"]), consul=ConsulSettings(token="t")))
    await until(lambda: consul.ended, "Consul's source to end")
    await bench.source("web", "consul")
    assert not other.ended


async def test_of_many_changes_at_once_the_loop_takes_a_few_at_a_time(bench: Bench) -> None:
    """Each costs a third of a slice by the clock, so four are taken: the last one ends the slice."""
    names = [f"s{number}" for number in range(1000)]
    for name in names:
        bench.runner.put(name, DNS)
    for name in names:
        await bench.source(name)
    taken: list[int] = []
    real = bench.receiver.found

    def found(service: str, source: str, addresses: Sequence[ServerAddress]) -> None:
        bench.clock += SLICE_SECS / 3
        taken[-1] += 1
        real(service, source, addresses)

    bench.receiver.found = found  # type: ignore[method-assign]
    for name in names:
        bench.discovery("dns").sources[name].find("http://192.0.2.1")
    while len(bench.receiver.calls) < len(names):
        taken.append(0)
        await asyncio.sleep(0)
    assert max(taken) <= 4
    assert len(bench.receiver.now) == 1000


async def test_services_are_begun_a_few_at_a_time(bench: Bench) -> None:
    """The clock says that a slice is over after each of them."""
    ticks = iter(range(10_000_000))
    bench.runner._clock = lambda: float(next(ticks))
    for number in range(50):
        bench.runner.put(f"s{number}", DNS)
    begun = [0]
    while begun[-1] < 50:
        await asyncio.sleep(0)
        begun.append(sum(1 for _ in bench.runner.sources()))
    assert max(after - before for before, after in pairwise(begun)) == 1


async def test_of_several_findings_of_a_service_the_last_one_is_handed_over(bench: Bench) -> None:
    bench.runner.put("web", DNS)
    source = await bench.source("web")
    for number in range(5):
        source.find(f"http://192.0.2.{number}")
    await bench.handed_over("web", "http://192.0.2.4")
    assert len(bench.receiver.calls) == 1


async def test_sources_that_fail_together_are_one_line(bench: Bench) -> None:
    for name in ("a", "b"):
        bench.runner.put(name, DNS)
        (await bench.source(name)).find("http://192.0.2.1")
    await bench.handed_over("b", "http://192.0.2.1")

    await bench.look()
    for name in ("a", "b"):
        (await bench.source(name)).fail(OSError("no route"))
        await until(lambda name=name: bench.runner.states(name)["dns"].error, "the failure")  # type: ignore[misc]
    await bench.look()
    await bench.look()
    [(message, fields)] = bench.lines
    assert "the last addresses stay" in message
    assert fields == {"source": "dns", "services": 2, "service": "a", "why": "unexpected OSError: no route"}
    bench.pass_time()
    await until(lambda: all(each.state.up for each in bench.runner.sources()), "both to be followed again")
    await bench.look()
    assert bench.lines[1:] == [
        ("A source of addresses answers again.", {"source": "dns", "services": 2, "service": "a"})
    ]


async def test_closing_ends_all_sources_and_technologies() -> None:
    bench = Bench()
    bench.runner.start()
    bench.runner.put("web", BOTH)
    sources = [await bench.source("web"), await bench.source("web", "consul")]
    await bench.runner.close()
    assert [each.ended for each in sources] == [True, True]
    assert [made.closed for _, made in bench.opened] == [True, True]
    await bench.runner.close()


async def test_services_that_cost_no_time_are_begun_a_few_at_a_time_too(bench: Bench) -> None:
    """Their tasks run in the next turn of the loop, where the clock of the slice does not see them."""
    for number in range(2 * SLICE_CHANGES + 1):
        bench.runner.put(f"s{number}", DNS)
    begun = [0]
    while begun[-1] < 2 * SLICE_CHANGES + 1:
        await asyncio.sleep(0)
        begun.append(sum(1 for _ in bench.runner.sources()))
    assert max(after - before for before, after in pairwise(begun)) == SLICE_CHANGES
