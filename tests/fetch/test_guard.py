from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import pytest
from aiohttp.abc import ResolveResult
from yarl import URL

from proxy.fetch.addresses import is_public
from proxy.fetch.guard import LONGEST, AddressGuard
from proxy.fetch.unavailable import ContentUnavailable
from proxy.runtime.workers import Workers


def resolver(*addresses: str) -> Callable[[str, int, int], list[ResolveResult]]:
    def look_up(host: str, port: int, family: int) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host=address, port=port, family=socket.AF_INET, proto=6, flags=0)
            for address in addresses
        ]

    return look_up


PUBLIC = AddressGuard(Workers(1), is_public)
PRIVATE = AddressGuard.of(Workers(1), True)


@pytest.mark.parametrize(
    "address",
    [
        "http://a.example/x.png",
        "https://a.example:443/x.png?size=1",
        "HTTP://A.example./",
        "https://8.8.8.8/x",
        "https://[2606:4700:4700::1111]/x",
        "https://müller.example/x y",
    ],
)
def test_addresses_on_the_web_are_allowed(address: str) -> None:
    assert PUBLIC.first(address).scheme in ("http", "https")


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("", "neither http"),
        ("/x.png", "neither http"),
        ("file:///etc/passwd", "neither http"),
        ("ftp://a.example/x", "neither http"),
        ("gopher://a.example:80/x", "neither http"),
        ("data:image/png;base64,AAAA", "neither http"),
        ("http://", "not valid"),
        ("http:///x", "not valid"),
        ("http://a.example:0/x", "not valid"),
        ("http://a.example:99999/x", "not valid"),
        ("http://[/x", "not valid"),
        ("https://user@a.example/x", "user name"),
        ("https://user:pass@a.example/x", "user name"),
        ("https://:@a.example/x", "user name"),
        ("https://8.8.8.8:pass@127.0.0.1/x", "user name"),
        ("https://a.example:8443/x", "another port"),
        ("http://a.example:443/x", "another port"),
        ("http://a.example:6379/x", "another port"),
        ("http://127.0.0.1/x", "not public"),
        ("http://169.254.169.254/latest/meta-data/", "not public"),
        ("http://[::1]/x", "not public"),
        ("http://[::ffff:127.0.0.1]/x", "not public"),
        ("http://[64:ff9b::7f00:1]/x", "not public"),
        ("http://[fe80::1%25lo]/x", "not public"),
        ("http://2130706433/x", "not public"),
        ("http://127.1/x", "not public"),
        ("https://a.example/" + "x" * LONGEST, "more than 8192 characters"),
    ],
)
def test_other_addresses_are_refused(address: str, reason: str) -> None:
    with pytest.raises(ContentUnavailable, match=reason):
        PUBLIC.first(address)


def test_the_fragment_stays_here() -> None:
    assert str(PUBLIC.first("https://a.example/x#page=2")) == "https://a.example/x"


def test_private_hosts_and_ports_can_be_allowed() -> None:
    assert PRIVATE.first("http://127.0.0.1:8080/x").port == 8080
    with pytest.raises(ContentUnavailable, match="user name"):
        PRIVATE.first("http://user@127.0.0.1/x")


@pytest.mark.parametrize(
    ("location", "there"),
    [
        ("/y", "https://a.example/y"),
        ("y?z", "https://a.example/b/y?z"),
        ("//b.example/y", "https://b.example/y"),
        ("https://b.example/y", "https://b.example/y"),
    ],
)
def test_a_redirect_may_lead_to_another_host(location: str, there: str) -> None:
    assert str(PUBLIC.following(URL("https://a.example/b/x"), location)) == there


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("http://a.example/x", "from https to http"),
        ("http://127.0.0.1/x", "not public"),
        ("//10.0.0.1/x", "not public"),
        ("file:///etc/passwd", "neither http"),
        ("https://user@b.example/", "user name"),
        ("https://b.example:22/", "another port"),
        ("http://[/", "not valid"),
    ],
)
def test_each_redirect_is_judged(location: str, reason: str) -> None:
    with pytest.raises(ContentUnavailable, match=reason):
        PUBLIC.following(URL("https://a.example/x"), location)


async def test_all_addresses_of_a_name_are_judged() -> None:
    guard = AddressGuard(Workers(1), is_public, look_up=resolver("8.8.8.8", "1.1.1.1"))
    assert [found["host"] for found in await guard.resolve("a.example", 80)] == ["8.8.8.8", "1.1.1.1"]
    guard = AddressGuard(Workers(1), is_public, look_up=resolver("8.8.8.8", "10.0.0.1"))
    with pytest.raises(ContentUnavailable, match="not public"):
        await guard.resolve("a.example", 80)


async def test_the_systems_resolver_is_used() -> None:
    found = await AddressGuard.of(Workers(1), True).resolve("localhost", 8080, socket.AF_INET)
    assert {(each["host"], each["port"], each["family"]) for each in found} == {("127.0.0.1", 8080, socket.AF_INET)}
    with pytest.raises(ContentUnavailable, match="not public"):
        await AddressGuard.of(Workers(1), False).resolve("localhost", 80)


async def test_a_lookup_that_hangs_holds_up_nothing_else() -> None:
    release = asyncio.Event()
    loop = asyncio.get_running_loop()

    def hang(host: str, port: int, family: int) -> list[ResolveResult]:
        asyncio.run_coroutine_threadsafe(release.wait(), loop).result()
        raise OSError("the name is unknown")

    guard = AddressGuard(Workers(1), is_public, look_up=hang)
    waiting = asyncio.create_task(guard.resolve("a.example", 80))
    assert await loop.getaddrinfo("localhost", 80)
    release.set()
    with pytest.raises(OSError, match="unknown"):
        await waiting


def test_a_socket_is_judged_whatever_made_its_address() -> None:
    with pytest.raises(PermissionError):
        PUBLIC.open((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 80)))
    PUBLIC.open((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", 80))).close()
    PRIVATE.open((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 80))).close()
