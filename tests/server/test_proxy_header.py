"""Connections that begin with a PROXY protocol header, over real sockets, plain and over TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path

import pytest

from proxy.config.schema import ListenTls
from tests.support import Authority, until
from tests.support.client import RawClient
from tests.support.front import Front, ended
from tests.support.secure import SecureClient

V1 = b"PROXY TCP4 203.0.113.7 192.0.2.1 5000 443\r\n"
SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
V2 = SIGNATURE + b"\x21\x11\x00\x0c" + bytes([203, 0, 113, 7, 192, 0, 2, 1]) + b"\x13\x88\x01\xbb"
LOCAL = SIGNATURE + b"\x20\x00\x00\x00"
REQUEST = b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n"
TRUSTED = {"proxy_protocol": True, "trusted_proxies": ["127.0.0.1"]}
NOT_TRUSTED = {"proxy_protocol": True, "trusted_proxies": ["127.0.0.9"]}


@pytest.fixture
def tls(authority: Authority, tmp_path: Path) -> ListenTls:
    chain, key = authority.server_files(tmp_path)
    return ListenTls(cert_file=str(chain), key_file=str(key))


def remotes(front: Front) -> list[str]:
    """The clients' addresses of all connections."""
    return [connection.remote for connection in front.server.connections]  # type: ignore[attr-defined]


def waiting(front: Front) -> int:
    assert front.listener._header_listener is not None
    return len(front.listener._header_listener.waiting)


async def read_first(front: Front, count: int, *, whole: bool) -> None:
    """Wait until exactly these bytes were read; ``whole``: they contain the header."""

    def are_read() -> bool:
        assert front.listener._header_listener is not None
        lengths = [len(connection._received) for connection in front.listener._header_listener.waiting]
        return bool(front.limiter.connections) and lengths == ([] if whole else [count])

    await until(are_read, f"the first {count} bytes to be read")


class SplitClient(SecureClient):
    """Sends ``first`` and its ClientHello together, cut at ``cut``."""

    def __init__(self, port: int, context: ssl.SSLContext, first: bytes, cut: int) -> None:
        super().__init__(port, context)
        self._first, self._cut = first, cut

    async def _flush(self) -> None:
        if self._first and self._outgoing.pending:
            data, self._first = self._first + self._outgoing.read(), b""
            await RawClient.send(self, data[: self._cut])
            await asyncio.sleep(0)
            await RawClient.send(self, data[self._cut :])
        await super()._flush()


# -- the header and what follows ----------------------------------------------------------------------


@pytest.mark.parametrize(("header", "remote"), [(V1, "203.0.113.7"), (V2, "203.0.113.7"), (LOCAL, "127.0.0.1")])
async def test_the_header_names_the_client_at_every_split(header: bytes, remote: str) -> None:
    async with Front(**TRUSTED) as front:
        data = header + REQUEST
        for cut in range(len(header) + 2):
            client = await front.client()
            await client.send(data[:cut])
            await read_first(front, cut, whole=cut >= len(header))
            await client.send(data[cut:])
            assert (await client.read_answer()).body == b"/hello"
            assert remotes(front) == [remote]
            client.close()
            await until(lambda: not front.limiter.connections, "the connection to be gone")
        assert front.lines == front.rejected == []


async def test_requests_behind_the_header_may_be_pipelined() -> None:
    async with Front(**TRUSTED) as front:
        client = await front.client()
        await client.send(V2 + REQUEST * 3)
        for _ in range(3):
            assert (await client.read_answer()).body == b"/hello"


async def test_a_second_header_is_no_request() -> None:
    async with Front(**TRUSTED) as front:
        client = await front.client()
        await client.send(V1 + V1 + REQUEST)
        assert (await client.read_answer()).status == 400
        assert front.rejected == ["malformed_request"]


@pytest.mark.parametrize("header", [V1, V2])
async def test_the_header_comes_before_the_tls_handshake(header: bytes, tls: ListenTls, authority: Authority) -> None:
    async with Front(tls=tls, **TRUSTED) as front:
        for cut in (*range(0, len(header) + 8, 3), len(header)):
            client = SplitClient(front.port, authority.client_context(), header, cut)
            front._clients.append(client)
            await client.connect()
            assert (await client.fetch("GET", "/hello")).body == b"/hello"
            assert remotes(front) == ["203.0.113.7"]
            client.close()
            await until(lambda: not front.limiter.connections, "the connection to be gone")
        assert front.lines == front.rejected == []


async def test_bytes_behind_the_header_may_exceed_the_buffer_of_tls(tls: ListenTls, authority: Authority) -> None:
    async with Front(tls=tls, **TRUSTED) as front:
        front.termination.buffer = memoryview(bytearray(50))  # less than a ClientHello
        client = SplitClient(front.port, authority.client_context(), V2, 0)
        front._clients.append(client)
        await client.connect()
        assert (await client.fetch("GET", "/hello")).body == b"/hello"


async def test_plain_http_behind_the_header_of_a_tls_listener_is_answered_as_without(tls: ListenTls) -> None:
    async with Front(tls=tls, **TRUSTED) as front:
        client = await front.client()
        await client.send(V1 + REQUEST)
        assert (await client.read_answer()).status == 400
        assert front.rejected == ["plain_on_tls_port"]


async def test_a_unix_socket_is_trusted_by_name(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    async with (
        Front(unix_socket=path, proxy_protocol=True, trusted_proxies=["unix"]) as front,
        RawClient(path) as client,
    ):
        await client.send(V1 + REQUEST)
        assert (await client.read_answer()).body == b"/hello"
        assert remotes(front) == ["203.0.113.7"]


# -- who may send one ---------------------------------------------------------------------------------


async def test_a_header_of_anybody_else_is_not_interpreted() -> None:
    async with Front(**NOT_TRUSTED) as front:
        for header in (V1, V2):
            client = await front.client()
            await client.send(header + REQUEST)
            assert (await client.read_answer()).status == 400
        client = await front.client()
        assert (await client.fetch("GET", "/hello")).body == b"/hello"
        assert "127.0.0.1" in remotes(front)
        assert front.rejected == ["malformed_request"] * 2
        assert front.lines == []


async def test_a_direct_client_of_a_tls_listener_needs_no_header(tls: ListenTls, authority: Authority) -> None:
    async with Front(tls=tls, **NOT_TRUSTED) as front:
        client = await front.secure(authority.client_context())
        assert (await client.fetch("GET", "/hello")).body == b"/hello"


async def test_without_the_setting_no_header_is_read() -> None:
    async with Front(trusted_proxies=["127.0.0.1"]) as front:
        client = await front.client()
        await client.send(V1 + REQUEST)
        assert (await client.read_answer()).status == 400


# -- what goes wrong ----------------------------------------------------------------------------------

START = "A connection from a proxy of server.trustedProxies was closed: "


async def test_a_trusted_proxy_without_a_header_is_closed_with_one_log_line(tls: ListenTls) -> None:
    async with Front(**TRUSTED) as plain, Front(tls=tls, **TRUSTED) as secure:
        for front in (plain, secure):
            for data in (REQUEST, b"\x16\x03\x01", V1.replace(b"7", b"x"), V1[:-2] + b"\n" + bytes(100)):
                client = front.silent()
                client.sendall(data)
                assert await ended(client) == b""
            assert front.rejected == ["proxy_header_invalid"] * 4
            assert front.lines == [
                (
                    f"{START}it does not begin with a PROXY protocol header.",
                    {"code": "proxy_header_invalid", "client": "127.0.0.1"},
                )
            ]


async def test_a_header_that_ends_too_early_is_logged_and_a_probe_without_bytes_is_not() -> None:
    async with Front(**TRUSTED) as front:
        for sent in (b"", V1[:10]):
            client = front.silent()
            await until(lambda: waiting(front) == 1, "the connection to be accepted")
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)
            assert await ended(client) == b""
            await until(lambda: waiting(front) == 0, "the connection to be gone")
            assert len(front.lines) == bool(sent)
        assert front.lines[0][0] == f"{START}it ended within its PROXY protocol header."


@pytest.mark.parametrize("sent", [b"", V1[:10], V2[:20]])
async def test_a_header_has_the_time_of_a_request_head(sent: bytes, tls: ListenTls) -> None:
    for certificate in (None, tls):
        async with Front(tls=certificate, header_timeout_secs=0.05, **TRUSTED) as front:
            client = front.silent()
            client.sendall(sent)
            assert await ended(client) == b""
            assert front.rejected == ["proxy_header_timeout"]
            assert front.lines[0][0] == f"{START}it did not send a complete PROXY protocol header in time."


# -- limits -------------------------------------------------------------------------------------------


async def test_a_connection_counts_before_its_header_has_come() -> None:
    async with Front(max_connections=2, **TRUSTED) as front:
        first, second = front.silent(), front.silent()
        await until(lambda: waiting(front) == 2, "two connections")
        client = await front.client()
        assert (await client.read_answer()).json["error"]["code"] == "too_many_connections"
        for each in (first, second):
            each.sendall(V1 + REQUEST)
        await until(lambda: remotes(front) == ["203.0.113.7"] * 2, "both headers")
        assert front.limiter.connections == 2


async def test_the_limit_per_address_counts_the_named_client() -> None:
    async with Front(max_connections_per_address=1, **TRUSTED) as front:
        clients = [await front.client() for _ in range(3)]
        statuses = []
        for client, header in zip(clients, (V1, V1, V1.replace(b"113.7", b"113.8")), strict=True):
            await client.send(header + REQUEST)
            statuses.append((await client.read_answer()).status)
        assert statuses == [200, 503, 200]


async def test_the_stop_closes_connections_without_a_header() -> None:
    async with Front(**TRUSTED) as front:
        client = front.silent()
        await until(lambda: waiting(front) == 1, "the connection to be accepted")
        await front.listener.stop()
        assert await ended(client) == b""
        assert front.lines == []
