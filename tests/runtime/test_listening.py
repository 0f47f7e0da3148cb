"""Listening sockets: of every address of a name, on one port, or none at all."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import socket
import stat
from pathlib import Path
from typing import Any

import pytest

from proxy.runtime.listening import listen, listen_unix


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="no IPv6 loopback")


def resolve_to(*addresses: str) -> None:
    """Every name has these ``addresses`` on this loop, as a hosts file may give them."""
    loop = asyncio.get_running_loop()
    resolve = loop.getaddrinfo

    async def several(host: str, port: int, **hints: Any) -> list[Any]:
        return [info for address in addresses for info in await resolve(address, port, **hints)]

    loop.getaddrinfo = several  # type: ignore[method-assign, assignment]


async def test_a_socket_accepts_connections_and_its_port_can_be_reused_at_once() -> None:
    (sock,) = await listen("127.0.0.1", 0, 5)
    with sock, socket.create_connection(sock.getsockname()):
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
        assert not sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)


async def test_a_port_can_be_shared() -> None:
    (one,) = await listen("127.0.0.1", 0, 5, reuse_port=True)
    with one:
        (two,) = await listen("127.0.0.1", one.getsockname()[1], 5, reuse_port=True)
        two.close()


@needs_ipv6
async def test_the_addresses_of_a_name_share_a_free_port() -> None:
    resolve_to("127.0.0.1", "::1", "127.0.0.1")
    four, six = await listen("two.example", 0, 5)
    with four, six:
        assert (four.family, six.family) == (socket.AF_INET, socket.AF_INET6)
        assert four.getsockname()[1] == six.getsockname()[1] != 0
        assert six.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)


@needs_ipv6
async def test_without_a_host_it_is_every_address() -> None:
    sockets = await listen("", 0, 5)
    assert {sock.getsockname()[0] for sock in sockets} == {"0.0.0.0", "::"}
    for sock in sockets:
        sock.close()


async def test_an_address_in_use_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = taken.getsockname()
        with pytest.raises(OSError) as failed:
            await listen("127.0.0.1", address[1], 5)
    assert failed.value.errno == errno.EADDRINUSE
    assert failed.value.strerror == f"error while attempting to bind on address {address!r}: address already in use"


async def test_if_one_address_is_in_use_none_stays_open() -> None:
    with socket.create_server(("127.0.0.2", 0)) as taken:
        port = taken.getsockname()[1]
        resolve_to("127.0.0.1", "127.0.0.2")
        with pytest.raises(OSError, match=r"127\.0\.0\.2"):
            await listen("two.example", port, 5)
        socket.create_server(("127.0.0.1", port)).close()
    gc.collect()  # a socket that was forgotten would warn


async def test_an_address_of_another_machine_is_left_out_if_another_works() -> None:
    resolve_to("192.0.2.1", "127.0.0.1")
    (sock,) = await listen("two.example", 0, 5)
    with sock:
        assert sock.getsockname()[0] == "127.0.0.1"


async def test_an_address_of_another_machine_alone_is_an_error() -> None:
    with pytest.raises(OSError, match=r"'192\.0\.2\.1', 80.*cannot assign requested address"):
        await listen("192.0.2.1", 80, 5)


async def test_a_name_without_an_address_is_an_error() -> None:
    with pytest.raises(socket.gaierror):
        await listen("no-such-name.invalid", 0, 5)


@pytest.mark.parametrize(("mode", "wanted"), [("", 0o755), ("0666", 0o666), ("600", 0o600)])
def test_a_unix_socket_has_its_mode(tmp_path: Path, mode: str, wanted: int) -> None:
    path = str(tmp_path / "s")
    before = os.umask(0o022)
    try:
        with listen_unix(path, mode, 5), socket.socket(socket.AF_UNIX) as client:
            assert stat.S_IMODE(os.stat(path).st_mode) == wanted
            client.connect(path)
    finally:
        os.umask(before)


def test_a_unix_socket_that_cannot_be_made_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OSError):
        listen_unix(str(tmp_path / "missing" / "s"), "", 5)
    with pytest.raises(OSError):
        listen_unix(str(tmp_path / ("s" * 200)), "", 5)

    def refuse(path: str, mode: int) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("proxy.runtime.listening.os.chmod", refuse)
    with pytest.raises(PermissionError):
        listen_unix(str(tmp_path / "s"), "0666", 5)
    assert list(tmp_path.iterdir()) == []
    gc.collect()
