"""Active probes against real servers."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest

from proxy.client.get_models import ModelsRequest
from proxy.config.observe_schema import ProbeSettings as Settings
from proxy.config.provider_schema import Tls
from proxy.control.clock import WallClock
from proxy.control.health.probes import ProviderProbes
from proxy.control.health.views import ProbeView
from proxy.routing.catalog import Catalog
from tests.control.health.rig import no_tls
from tests.support import Authority, Blackhole, Headers, Reset, Stall, Upstream, json_answer, until
from tests.support.catalogs import build
from tests.support.clock import MIDNIGHT, FakeClock

LIST = {"object": "list", "data": []}
ON = Settings(enabled=True, every_secs=60.0, timeout_secs=5.0)


def catalog(*ups: str, **provider: Any) -> Catalog:
    """Providers ``a``, ``b``, ... at these base URLs."""
    return build(
        [], {name: {"baseUrl": url, "apiKey": "secret"} | provider for name, url in zip("abc", ups, strict=False)}
    )


class Loaded(NamedTuple):
    """As the gateway, for its catalog."""

    catalog: Catalog


@contextmanager
def probing(
    known: Catalog,
    settings: Settings = ON,
    context: Callable[[Tls], ssl.SSLContext] = no_tls,
    sleep: Callable[[float], Any] | None = None,
) -> Iterator[ProviderProbes]:
    """Probes that are on, for one round unless there is a ``sleep``."""
    clock = FakeClock()
    never = asyncio.Event()
    request = ModelsRequest(context, {})
    wall_clock = WallClock(clock.now, clock.wall)
    probes = ProviderProbes(Loaded(known), request, wall_clock, sleep or (lambda seconds: never.wait()))
    probes.adopt(settings)
    try:
        yield probes
    finally:
        probes.close()


async def first(probes: ProviderProbes, name: str = "a") -> ProbeView:
    await until(lambda: bool(probes.of(name)), "the first round")
    return probes.of(name)[0]


async def test_a_probe_has_the_key_and_headers_of_its_provider() -> None:
    async with Upstream() as up:
        up.on(lambda request: json_answer(LIST))
        with probing(catalog(up.url, up.url, headers={"X-Title": "sluice", "user-agent": "mine"})) as probes:
            assert await first(probes) == ProbeView(MIDNIGHT, "up", 0.0, "")
            assert (await first(probes, "b")).status == "up"
        for request in up.requests:
            assert (request.method, request.target) == ("GET", "/v1/models")
            assert request.header("authorization") == "Bearer secret"
            assert request.header("x-title") == "sluice"
            assert request.header("user-agent") == "mine"
        assert len(up.requests) == 2


async def test_a_provider_without_a_key_is_probed_without_one() -> None:
    async with Upstream() as up:
        up.on(lambda request: json_answer(LIST))
        with probing(build([], {"a": {"baseUrl": up.url}})) as probes:
            assert (await first(probes)).status == "up"
        assert up.requests[0].header("authorization") is None


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (200, ""),
        (404, ""),
        (405, ""),
        (429, ""),
        (307, ""),
        (401, "the key is refused (status 401)"),
        (403, "we are refused (status 403)"),
        (500, "status 500"),
        (503, "status 503"),
    ],
)
async def test_a_response_means_up_unless_it_is_a_5xx_or_rejects_the_key(status: int, why: str) -> None:
    async with Upstream() as up:
        up.on(lambda request: json_answer(LIST, status, [("Location", f"{up.url}/elsewhere")]))
        with probing(catalog(up.url)) as probes:
            found = await first(probes)
        assert (found.status, found.why) == ("down" if why else "up", why)
        assert len(up.requests) == 1  # no redirect is followed: it could lead the key anywhere


async def test_every_address_of_a_provider_is_probed() -> None:
    async with Upstream() as one, Upstream() as two:
        one.on(lambda request: json_answer(LIST, 500))
        two.on(lambda request: json_answer(LIST))
        with probing(build([], {"a": {"baseUrls": [one.url, two.url]}})) as probes:
            await first(probes)
            assert [each.status for each in probes.of("a")] == ["down", "up"]


async def test_no_response_in_time_means_down() -> None:
    async with Upstream() as up:
        up.on(lambda request: [Stall()])
        with probing(catalog(up.url), Settings(enabled=True, timeout_secs=0.05)) as probes:
            found = await first(probes)
    assert (found.status, found.why) == ("down", "no answer within 0.05 s")


async def test_an_unreachable_provider_is_down_and_its_address_is_hidden() -> None:
    async with Upstream() as up:
        up.on(lambda request: [Reset()])
        gone = up.url
        with probing(catalog(up.url)) as probes:
            assert (await first(probes)).why.startswith("cannot be reached: ")
    with probing(catalog(gone)) as probes:
        assert (await first(probes)).why == "cannot be reached: ClientConnectorError"


async def test_a_response_that_is_no_http_means_down() -> None:
    async with Upstream() as up:
        up.on_connect(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
        up.on(lambda request: [Headers(200)])
        with probing(catalog(up.url)) as probes:
            assert (await first(probes)).status == "down"


async def test_a_hanging_provider_does_not_delay_other_probes() -> None:
    async with Upstream() as up:
        up.on(lambda request: json_answer(LIST))
        with (
            Blackhole() as hole,
            probing(catalog(hole.url, up.url), Settings(enabled=True, timeout_secs=1.0)) as probes,
        ):
            assert (await first(probes, "b")).status == "up"
            assert (await first(probes)).why == "no answer within 1 s"


async def test_probes_use_the_tls_settings_of_the_provider(authority: Authority) -> None:
    async with Upstream(tls=authority.server_context()) as up:
        up.on(lambda request: json_answer(LIST))
        with probing(catalog(up.url), context=lambda tls: authority.client_context()) as probes:
            assert (await first(probes)).status == "up"
        with probing(catalog(up.url), context=lambda tls: ssl.create_default_context()) as probes:
            found = await first(probes)
            assert (found.status, found.why) == ("down", "cannot be reached: ClientConnectorCertificateError")


async def test_no_probe_is_sent_while_every_key_is_in_cooldown() -> None:
    async with Upstream() as up:
        known = catalog(up.url)
        keys = known.providers["a"].keys
        key = keys.take(0.0)
        assert key is not None
        keys.cool_down(key, float("inf"))
        with probing(known) as probes:
            assert (await first(probes)).why == "every key is in cooldown"
        assert up.requests == []


async def test_rounds_repeat_at_the_interval() -> None:
    clock = FakeClock()
    async with Upstream() as up:
        up.on(lambda request: json_answer(LIST))
        with probing(catalog(up.url), sleep=clock.sleep):
            await until(lambda: len(up.requests) >= 3, "the third round")
    assert set(clock.slept) == {60.0}


async def test_probes_are_off_by_default_and_forgotten_when_disabled() -> None:
    async with Upstream() as up:
        up.on(lambda request: json_answer(LIST))
        with probing(catalog(up.url), Settings()) as probes:
            assert probes._task is None
            probes.adopt(ON)
            assert (await first(probes)).status == "up"
            task = probes._task
            probes.adopt(ON)  # the same settings change nothing
            assert probes._task is task
            probes.adopt(Settings(every_secs=5.0))
            assert (list(probes.of("a")), probes._task) == ([], None)
        assert len(up.requests) == 1
