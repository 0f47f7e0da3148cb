"""Clients without authentication. Credentials are tested through the gateway."""

from __future__ import annotations

from hashlib import sha256
from types import SimpleNamespace
from typing import Any

import pytest
from multidict import CIMultiDict

from proxy.auth.authenticate import LONGEST_ID, MOST_CACHED, Authenticator, _nameless, _unproven
from proxy.identity import Client
from proxy.net.address import TrustedProxies


async def found(headers: dict[str, str], remote: str = "192.0.2.1", trusted: tuple[str, ...] = ()) -> Any:
    async def find(digest: bytes) -> None:
        raise AssertionError

    async def served(responder: Any) -> None:
        pass

    authenticator = Authenticator(keys=None, find=find, trusted=TrustedProxies(trusted), wall=lambda: 0.0)
    request: Any = SimpleNamespace(headers=CIMultiDict(headers), rare=bool(headers), remote=remote)
    responder: Any = SimpleNamespace(exchange=SimpleNamespace(), request=request)
    await authenticator.wrap(served)(responder)
    assert responder.exchange.client == authenticator.address(request)
    return responder.exchange


@pytest.mark.parametrize(
    ("name", "id_"),
    [
        ("ann", "client:ann"),
        ("ann@192.0.2.1", "client:ann@192.0.2.1"),
        ("a" * LONGEST_ID, "client:" + "a" * LONGEST_ID),
        ("a" * (LONGEST_ID + 1), "client:" + sha256(b"a" * (LONGEST_ID + 1)).hexdigest()),
        ("a\udcffb", "client:" + sha256(b"a\xffb").hexdigest()),
    ],
)
async def test_an_unauthenticated_name_belongs_to_its_address(name: str, id_: str) -> None:
    caller = (await found({"x-client-id": name})).caller
    assert caller == Client(f"{id_}@192.0.2.1", address="192.0.2.1")
    for remote in ("2001:db8::1", "2001:db8::2"):
        caller = (await found({"x-client-id": name}, remote)).caller
        assert caller == Client(f"{id_}@2001:db8::/64", address="2001:db8::/64")


@pytest.mark.parametrize("headers", [{}, {"X-Client-ID": ""}])
@pytest.mark.parametrize(
    ("remote", "key"), [("192.0.2.1", "192.0.2.1"), ("2001:db8::1", "2001:db8::/64"), ("", "unix")]
)
async def test_without_a_name_the_address_is_the_client(headers: dict[str, str], remote: str, key: str) -> None:
    exchange = await found(headers, remote)
    assert (exchange.client, exchange.caller) == (remote, Client(f"address:{key}"))


async def test_the_address_is_taken_from_trusted_proxies_only() -> None:
    headers = {"X-Forwarded-For": "198.51.100.7"}
    assert (await found(headers)).client == "192.0.2.1"
    exchange = await found(headers, trusted=("192.0.2.1",))
    assert (exchange.client, exchange.caller) == ("198.51.100.7", Client("address:198.51.100.7"))


async def test_unauthenticated_clients_are_cached_and_bounded() -> None:
    for headers in ({}, {"X-Client-ID": "ann"}):
        first = (await found(headers)).caller
        assert (await found(headers)).caller is first
    assert _unproven.cache_info().maxsize == _nameless.cache_info().maxsize == MOST_CACHED
