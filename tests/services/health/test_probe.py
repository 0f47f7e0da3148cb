"""Single checks against real servers."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.addresses.book import AddressBook
from proxy.client.plain_get import PlainGet
from proxy.client.tls import context
from proxy.config.provider_schema import Tls
from proxy.config.service_schema import HealthCheck, ServerAddress, ServiceSettings
from proxy.services.health.address import CheckedAddress
from proxy.services.health.probe import HttpProbe, accepts, target
from tests.support import Authority, Blackhole, Headers, Reset, Stall, Upstream, json_answer
from tests.support.ports import free_port

SLOW = 30.0  # seconds: never reached


async def check(url: str, environ: dict[str, str] | None = None, tls: Tls | None = None, **settings: object) -> str:
    """Why one check fails."""
    found = HealthCheck(**{"path": "/health", "timeout_secs": SLOW} | settings)  # type: ignore[arg-type]
    book = AddressBook()
    book.put("s", ServiceSettings(health=found), [ServerAddress(url)], 0.0)
    probe = HttpProbe(PlainGet(context, environ or {}))
    try:
        return await probe.check(CheckedAddress(book.group("s").addresses[0], found, tls or Tls(), 0.0))
    finally:
        await probe.close()


async def test_it_is_a_plain_get_of_the_path_below_the_address() -> None:
    async with Upstream() as up:
        up.on(lambda request: json_answer({}))
        assert await check(f"{up.origin}/base") == ""
        assert await check(f"{up.origin}/base?version=1") == ""
        first, second = up.requests
        assert (first.method, first.target) == ("GET", "/base/health")
        assert first.header("host") == f"127.0.0.1:{up.port}"
        assert first.header("user-agent") == "sluice"
        assert second.target == "/base/health?version=1"


@pytest.mark.parametrize(("status", "why"), [(200, ""), (302, ""), (404, "status 404"), (503, "status 503")])
async def test_the_status_decides_and_redirects_are_not_followed(status: int, why: str) -> None:
    async with Upstream() as up:
        up.queue(json_answer({}, status, [("Location", f"{up.origin}/elsewhere")]))
        assert await check(up.origin) == why
        assert len(up.requests) == 1


async def test_other_statuses_can_be_those_of_a_success() -> None:
    async with Upstream() as up:
        up.on(lambda request: json_answer({}, 401))
        assert await check(up.origin, statuses="200, 401-403") == ""
        assert await check(up.origin, statuses="204") == "status 401"


async def test_a_body_is_not_waited_for() -> None:
    async with Upstream() as up:
        up.queue([Headers(200, [("Content-Length", "1000000")]), b"begin", Stall()])
        assert await check(up.origin) == ""


async def test_each_check_has_a_connection_of_its_own() -> None:
    async with Upstream() as up:
        up.on(lambda request: json_answer({}))
        found = HealthCheck(path="/health", timeout_secs=SLOW)
        book = AddressBook()
        book.put("s", ServiceSettings(health=found), [ServerAddress(up.origin)], 0.0)
        probe = HttpProbe(PlainGet(context, {}))
        address = CheckedAddress(book.group("s").addresses[0], found, Tls(), 0.0)
        for _ in range(3):
            assert await probe.check(address) == ""
        await probe.close()
        assert len(up.connections) == 3


async def test_failures_say_what_happened() -> None:
    assert await check(f"http://127.0.0.1:{free_port()}") == "cannot connect: Connection refused"
    async with Upstream() as up:
        up.queue([Reset()], [Reset()], [Stall()], [b"SSH-2.0-OpenSSH\r\n\r\n"])
        assert (await check(up.origin)).startswith(("ClientOSError", "ServerDisconnectedError"))
        assert await check(up.origin, timeout_secs=0.05) == "no answer within 0.05 s"
        assert (await check(up.origin)).isprintable()


async def test_a_host_that_does_not_answer_is_given_up() -> None:
    with Blackhole() as hole:
        assert await check(hole.url, timeout_secs=0.05) == "no answer within 0.05 s"


async def test_tls_is_that_of_the_service(authority: Authority, tmp_path: Path) -> None:
    async with Upstream(tls=authority.server_context("127.0.0.1")) as up:
        up.on(lambda request: json_answer({}))
        assert await check(up.origin, tls=Tls(ca_file=str(authority.ca_file(tmp_path)))) == ""
        assert await check(up.origin, tls=Tls(verify=False)) == ""
        assert "certificate" in (await check(up.origin)).lower()


async def test_the_environment_names_the_proxy() -> None:
    async with Upstream() as proxy:
        proxy.on(lambda request: json_answer({}))
        assert await check("http://server.invalid", {"http_proxy": proxy.origin}) == ""
        assert proxy.requests[0].target == "http://server.invalid/health"


async def test_an_unusable_proxy_is_a_failure() -> None:
    assert "PROXY" in (await check("http://server.invalid", {"HTTP_PROXY": "ftp://x"})).upper()


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("http://a", "http://a/health"),
        ("http://a/", "http://a/health"),
        ("http://a/b/", "http://a/b/health"),
        ("http://a/b?c=d", "http://a/b/health?c=d"),
    ],
)
def test_the_path_of_an_address_goes_before_that_of_the_check(url: str, found: str) -> None:
    assert target(url, "/health") == found


def test_statuses() -> None:
    assert [status for status in range(195, 405) if accepts("200-202,204, 399-400", status)] == [
        200,
        201,
        202,
        204,
        399,
        400,
    ]
