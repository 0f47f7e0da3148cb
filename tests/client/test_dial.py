from __future__ import annotations

import asyncio
import base64
import contextlib
import errno
import functools
import inspect
import os
import pty
import socket
import ssl
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import cast

import pytest
from cryptography.hazmat.primitives import serialization

from proxy.client import tls as trust
from proxy.client.dial import Dialer, Origin
from proxy.config.provider_schema import Tls
from proxy.errors import ClockExpired, ConnectFailed
from proxy.runtime.loop import Loop
from tests.support.blackhole import Blackhole
from tests.support.patience import PATIENCE, until, within
from tests.support.ports import free_port
from tests.support.tls import Authority

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
REQUEST = b"GET / HTTP/1.1\r\nHost: there\r\n\r\n"
LONG = 20.0  # a clock that only a hanging test would meet

LOOPS = {"asyncio": asyncio.SelectorEventLoop, "uvloop": Loop}


def on_both_loops(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """The dialer promises to work under asyncio's own loop and under the process's: every scene is played on both."""

    @functools.wraps(test)
    def play(loop_name: str, **fixtures: object) -> None:
        with asyncio.Runner(loop_factory=LOOPS[loop_name]) as runner:
            runner.run(_complaining(test(**fixtures)))

    own = inspect.signature(test)
    added = inspect.Parameter("loop_name", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    play.__signature__ = own.replace(parameters=[added, *own.parameters.values()])
    return pytest.mark.parametrize("loop_name", LOOPS)(play)


async def _complaining(scene: Awaitable[None]) -> None:
    """Whatever the loop's exception handler hears makes the test fail."""
    errors: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
    await scene
    assert errors == []


class Visitor(asyncio.BufferedProtocol):
    """The protocol that dial hands the connection to: asks once and keeps what it hears."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.received = bytearray()
        self.over = asyncio.get_running_loop().create_future()
        self._buffer = bytearray(65536)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert self.transport is None
        self.transport = transport

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._buffer

    def buffer_updated(self, count: int) -> None:
        assert self.transport is not None, "bytes before connection_made"
        self.received += self._buffer[:count]

    def data_received(self, data: bytes) -> None:
        raise AssertionError("a BufferedProtocol was fed as a plain one")

    def eof_received(self) -> None:
        pass

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.over.done():
            self.over.set_result(exc)


async def converse(dialer: Dialer, origin: Origin) -> bytes:
    transport, visitor = await dialer.dial(origin, Visitor, LONG)
    assert visitor.transport is transport
    transport.write(REQUEST)
    await within(visitor.over, "the answer's end")
    return bytes(visitor.received)


class Host:
    """A listener on loopback that remembers whom it saw."""

    def __init__(self) -> None:
        self.port = 0
        self.seen: list[ssl.SSLObject | None] = []
        self.requests: list[bytes] = []
        self.visits = 0


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter, Host], Awaitable[None]]


async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: Host) -> None:
    host.requests.append(await reader.readuntil(b"\r\n\r\n"))
    host.seen.append(writer.get_extra_info("ssl_object"))
    writer.write(ANSWER)


async def keeps_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: Host) -> None:
    await reader.read()


@contextlib.asynccontextmanager
async def listening(
    handler: Handler, context: ssl.SSLContext | None = None, address: str = "127.0.0.1"
) -> AsyncIterator[Host]:
    host = Host()
    present: set[asyncio.StreamWriter] = set()

    async def visit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host.visits += 1
        present.add(writer)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await handler(reader, writer, host)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            present.discard(writer)

    server = await asyncio.start_server(visit, address, 0, ssl=context)
    host.port = server.sockets[0].getsockname()[1]
    try:
        yield host
    finally:
        server.close()
        await server.wait_closed()
        for writer in present:
            writer.transport.abort()
        await until(lambda: not present, "the visits to end")


class Signer(Authority):
    """The shared authority, with its file written and the servers that these scenes need."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self.file = str(self.ca_file(directory))
        self.tls = Tls(ca_file=self.file)

    def serving(self, *names: str) -> ssl.SSLContext:
        context = self.server_context(*names)
        context.set_alpn_protocols(["h2", "http/1.1"])
        return context

    def demanding(self, *names: str) -> ssl.SSLContext:
        context = self.server_context(*names, client_certificate=True)
        # With TLS 1.3 a client hears of the refusal only after its handshake is done.
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        return context


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    return Signer(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def untrusted(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    return Signer(tmp_path_factory.mktemp("untrusted"))


@pytest.fixture
def system_trust(ca: Signer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy's certificate is judged by the system's store; OpenSSL lets the environment name that."""
    monkeypatch.setenv("SSL_CERT_FILE", ca.file)


def open_sockets() -> set[str]:
    found = set()
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            target = os.readlink(f"/proc/self/fd/{number}")
            if target.startswith("socket:"):
                found.add(target)
    return found


needs_proc = pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="open sockets are counted in /proc")


class Nothing:
    """No socket and no task more than when it was made."""

    def __init__(self) -> None:
        self._sockets = open_sockets()
        self._tasks = asyncio.all_tasks()

    async def is_left(self) -> None:
        def none_left() -> bool:
            return not (open_sockets() - self._sockets or asyncio.all_tasks() - self._tasks)

        await until(none_left, "sockets and tasks to go")


async def failure(dialer: Dialer, origin: Origin, timeout: float = LONG) -> ConnectFailed:
    with pytest.raises(ConnectFailed) as caught:
        await dialer.dial(origin, Visitor, timeout)
    fault = caught.value
    assert fault.status == 502
    assert not fault.response_begun
    # The client learns what failed, never where; the log learns both.
    assert origin.host not in fault.message
    assert str(origin.port) not in fault.message
    assert origin.host in fault.detail
    assert str(origin.port) in fault.detail
    return fault


def https(port: int, tls: Tls, host: str = "127.0.0.1") -> Origin:
    return Origin("https", host, port, tls)


def http(port: int, host: str = "127.0.0.1") -> Origin:
    return Origin("http", host, port, Tls())


# Origin


@pytest.mark.parametrize(
    ("url", "host", "port", "authority"),
    [
        ("https://api.openai.com/v1", "api.openai.com", 443, "api.openai.com"),
        ("HTTPS://API.OpenAI.com:443/", "api.openai.com", 443, "api.openai.com"),
        ("https://api.openai.com:80", "api.openai.com", 80, "api.openai.com:80"),
        ("http://localhost:11434/v1", "localhost", 11434, "localhost:11434"),
        ("http://my_service", "my_service", 80, "my_service"),
        ("http://[::1]:8080/x", "::1", 8080, "[::1]:8080"),
        ("http://[2001:DB8::0:1]/", "2001:db8::1", 80, "[2001:db8::1]"),
        ("http://[fe80::1%25eth0]:81", "fe80::1%eth0", 81, "[fe80::1]:81"),
        ("https://bücher.example/v1", "xn--bcher-kva.example", 443, "xn--bcher-kva.example"),
        ("https://example.com./", "example.com.", 443, "example.com."),
    ],
)
def test_an_origin_reads_a_base_url(url: str, host: str, port: int, authority: str) -> None:
    origin = Origin.of(url, Tls())
    assert (origin.host, origin.port, origin.authority) == (host, port, authority)


@pytest.mark.parametrize(
    "url",
    ["", "/v1", "api.openai.com", "ftp://h", "http://", "http://h:0", "http://h:65536", "http://[::1", "http://a b",
     "https://user:secret@h", "https://user@h", "http://a%0d%0ab"],
)  # fmt: skip
def test_an_origin_refuses_what_is_no_address(url: str) -> None:
    with pytest.raises(ValueError):
        Origin.of(url, Tls())


def test_origins_are_equal_if_address_and_tls_settings_are() -> None:
    one, other = Origin.of("https://h/v1", Tls()), Origin.of("https://H:443/v2", Tls())
    assert one == other
    assert hash(one) == hash(other)
    assert one != Origin.of("https://h/v1", Tls(verify=False))
    assert Origin.of("http://h", Tls()) == Origin.of("http://h", Tls(verify=False))


# Plain connections


@on_both_loops
async def test_a_plain_connection_carries_a_request() -> None:
    async with listening(answers) as host:
        assert await converse(Dialer({}), http(host.port)) == ANSWER
        assert host.requests == [REQUEST]


@on_both_loops
async def test_nagles_algorithm_is_off() -> None:
    async with listening(keeps_silent) as host:
        transport, _ = await Dialer({}).dial(http(host.port), Visitor, LONG)
        sock = transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        transport.abort()


@on_both_loops
async def test_ipv6_addresses_are_reached() -> None:
    try:
        async with listening(answers, address="::1") as host:
            assert await converse(Dialer({}), Origin.of(f"http://[::1]:{host.port}", Tls())) == ANSWER
    except OSError as unavailable:
        pytest.skip(f"no IPv6 loopback: {unavailable}")


@on_both_loops
async def test_an_unreachable_address_does_not_hide_a_reachable_one() -> None:
    async with listening(answers) as host:
        resolve_to(("127.0.0.2", free_port()), ("127.0.0.1", host.port))
        assert await converse(Dialer({}), http(host.port, "two.example")) == ANSWER


def resolve_to(*addresses: tuple[str, int]) -> None:
    """Names (not addresses: uvloop asks for these again to connect) resolve to ``addresses`` on this loop."""
    loop = asyncio.get_running_loop()
    resolve = loop.getaddrinfo

    async def several(host: str, port: int, **options: int) -> list[tuple[object, ...]]:
        if ".example" not in host:
            return await resolve(host, port, **options)
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", address) for address in addresses]

    loop.getaddrinfo = several  # type: ignore[method-assign]


@on_both_loops
async def test_a_refused_port_is_unreachable() -> None:
    fault = await failure(Dialer({}), http(free_port()))
    assert fault.code == "upstream_unreachable"
    assert not fault.again


@on_both_loops
@pytest.mark.parametrize(
    ("numbers", "again"),
    [
        ([errno.ENETUNREACH], True),
        ([errno.ENETDOWN], True),
        ([errno.ECONNRESET], True),
        ([errno.ENETUNREACH, errno.ENETUNREACH], True),
        ([errno.ENETUNREACH, errno.ECONNREFUSED], False),
        ([errno.ECONNREFUSED], False),
        ([errno.EHOSTUNREACH], False),
        ([errno.ETIMEDOUT], False),
    ],
)
async def test_only_a_reset_or_an_unreachable_network_is_worth_a_second_dial(numbers: list[int], again: bool) -> None:
    left = list(numbers)

    async def fails(sock: socket.socket, address: tuple[str, int]) -> None:
        raise OSError(left.pop(0), f"no way to {address}")

    asyncio.get_running_loop().sock_connect = fails  # type: ignore[method-assign]
    resolve_to(*((f"127.0.0.{place + 1}", 1) for place in range(len(numbers))))
    fault = await failure(Dialer({}), http(1, "far.example"))
    assert fault.code == "upstream_unreachable"
    assert fault.again is again


@on_both_loops
@pytest.mark.parametrize("way", ["direct", "tunnelled"])
async def test_a_reset_during_the_handshake_is_worth_a_second_dial(way: str, ca: Signer) -> None:
    async def resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: Host) -> None:
        await reader.read(1)
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async with listening(scripted(ESTABLISHED, resets) if way == "tunnelled" else resets) as host:
        dialer = Dialer({}) if way == "direct" else through(host)
        there = https(host.port, ca.tls, "localhost") if way == "direct" else https(1, ca.tls, "origin.test")
        fault = await failure(dialer, there)
        assert fault.code == "upstream_tls"
        assert fault.again


@on_both_loops
@pytest.mark.parametrize("name", ["nothing.invalid", "a..b", "x" * 64 + ".example"])
async def test_a_name_without_an_address_is_a_dns_fault(name: str) -> None:
    fault = await failure(Dialer({}), http(80, name))
    assert fault.code == "upstream_dns"
    assert not fault.again


# TLS


@on_both_loops
async def test_a_trusted_certificate_is_accepted_and_http_1_1_is_agreed(ca: Signer) -> None:
    async with listening(answers, ca.serving("localhost")) as host:
        assert await converse(Dialer({}), https(host.port, ca.tls, "localhost")) == ANSWER
        assert host.seen[0] is not None
        assert host.seen[0].selected_alpn_protocol() == "http/1.1"


@on_both_loops
async def test_a_certificate_for_an_address_is_matched_with_that_address(ca: Signer) -> None:
    async with listening(answers, ca.serving("127.0.0.1")) as host:
        assert await converse(Dialer({}), https(host.port, ca.tls)) == ANSWER


@on_both_loops
async def test_a_trailing_dot_is_not_part_of_the_certificates_name(ca: Signer) -> None:
    async with listening(answers, ca.serving("dotted.example")) as host:
        resolve_to(("127.0.0.1", host.port))
        assert await converse(Dialer({}), https(host.port, ca.tls, "dotted.example.")) == ANSWER


@on_both_loops
async def test_a_certificate_of_an_unknown_authority_is_refused(ca: Signer, untrusted: Signer) -> None:
    async with listening(answers, untrusted.serving("localhost")) as host:
        fault = await failure(Dialer({}), https(host.port, ca.tls, "localhost"))
        assert fault.code == "upstream_tls"
        assert not fault.again
        assert "certificate verify failed" in fault.detail


@on_both_loops
async def test_the_system_store_does_not_trust_the_test_authority(ca: Signer) -> None:
    async with listening(answers, ca.serving("localhost")) as host:
        assert (await failure(Dialer({}), https(host.port, Tls(), "localhost"))).code == "upstream_tls"


@on_both_loops
async def test_a_certificate_for_another_name_is_refused(ca: Signer) -> None:
    async with listening(answers, ca.serving("other.example")) as host:
        fault = await failure(Dialer({}), https(host.port, ca.tls, "localhost"))
        assert fault.code == "upstream_tls"
        assert "mismatch" in fault.detail


@on_both_loops
async def test_verification_can_be_switched_off(untrusted: Signer) -> None:
    async with listening(answers, untrusted.serving("other.example")) as host:
        assert await converse(Dialer({}), https(host.port, Tls(verify=False), "localhost")) == ANSWER


@on_both_loops
async def test_a_demanded_client_certificate_is_presented(ca: Signer, tmp_path: Path) -> None:
    chain, key = ca.client_files(tmp_path)
    tls = Tls(ca_file=ca.file, cert_file=str(chain), key_file=str(key))
    async with listening(answers, ca.demanding("localhost")) as host:
        assert await converse(Dialer({}), https(host.port, tls, "localhost")) == ANSWER
        assert host.seen[0] is not None
        subject = dict(host.seen[0].getpeercert() or {})["subjectAltName"]
        assert ("DNS", "client.test") in subject


@on_both_loops
async def test_a_demanded_client_certificate_that_is_missing_fails_the_handshake(ca: Signer) -> None:
    async with listening(answers, ca.demanding("localhost")) as host:
        assert (await failure(Dialer({}), https(host.port, ca.tls, "localhost"))).code == "upstream_tls"


@on_both_loops
async def test_a_server_without_tls_fails_the_handshake(ca: Signer) -> None:
    async def talks_plainly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: Host) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with listening(talks_plainly) as host:
        assert (await failure(Dialer({}), https(host.port, ca.tls))).code == "upstream_tls"


@on_both_loops
async def test_a_server_that_closes_during_the_handshake_is_a_tls_fault(ca: Signer) -> None:
    async def leaves(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: Host) -> None:
        await reader.read(1)

    async with listening(leaves) as host:
        assert (await failure(Dialer({}), https(host.port, ca.tls))).code == "upstream_tls"


@on_both_loops
async def test_an_unusable_trust_file_is_a_tls_fault(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").touch()
    for name in ("missing.pem", "empty.pem"):
        fault = await failure(Dialer({}), https(443, Tls(ca_file=str(tmp_path / name))))
        assert fault.code == "upstream_tls"
        assert name not in fault.message


def test_a_key_with_a_password_is_an_error_and_no_prompt(ca: Signer, tmp_path: Path) -> None:
    chain, key = ca.client_files(tmp_path)
    private = serialization.load_pem_private_key(key.read_bytes(), None)
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    outer, inner = pty.openpty()
    try:
        child = subprocess.run(
            [sys.executable, "-c", LOADING, str(chain), str(key)],
            stdin=inner, stdout=inner, stderr=inner, start_new_session=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
    finally:
        os.close(inner)
        os.close(outer)
    assert child.returncode == 7


# In a session of its own the first terminal that is opened becomes the controlling one: OpenSSL would ask there.
LOADING = """
import os, sys
os.open(os.ttyname(0), os.O_RDWR)
from proxy.config.proxies import Exemptions, Proxies, Proxy
from proxy.config.provider_schema import Tls
from proxy.client.tls import context
try:
    context(Tls(cert_file=sys.argv[1], key_file=sys.argv[2]))
except OSError:
    sys.exit(7)
"""


def test_a_context_is_built_once_for_each_setting(ca: Signer) -> None:
    dialer = Dialer({})
    assert dialer.context(ca.tls) is dialer.context(Tls(ca_file=ca.file))
    assert dialer.context(ca.tls) is not dialer.context(Tls())


# The proxy


def scripted(answer: bytes, then: Handler | None = None) -> Handler:
    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: Host) -> None:
        host.requests.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        if then is not None:
            await then(reader, writer, host)

    return proxy


async def forwards(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: Host) -> None:
    """The rest of a real forward proxy: bytes go both ways to the address that was asked for."""
    name, _, port = host.requests[-1].split()[1].decode().rpartition(":")
    assert name == "origin.test"
    far_reader, far_writer = await asyncio.open_connection("127.0.0.1", int(port))

    async def carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while piece := await source.read(65536):
                sink.write(piece)
                await sink.drain()
        sink.close()

    await asyncio.gather(carry(reader, far_writer), carry(far_reader, writer))


# Its length means nothing here.
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\nContent-Length: 5\r\n\r\n"


def through(host: Host, user: str = "", scheme: str = "http", name: str = "127.0.0.1") -> Dialer:
    return Dialer({"HTTPS_PROXY": f"{scheme}://{user}{name}:{host.port}"})


@on_both_loops
async def test_https_goes_through_the_proxy_with_tls_to_the_origin_inside(ca: Signer) -> None:
    async with (
        listening(answers, ca.serving("origin.test")) as host,
        listening(scripted(ESTABLISHED, forwards)) as way,
    ):
        assert await converse(through(way), https(host.port, ca.tls, "origin.test")) == ANSWER
        target = f"origin.test:{host.port}"
        assert way.requests == [f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode()]
        assert host.seen[0] is not None
        assert host.seen[0].selected_alpn_protocol() == "http/1.1"


@on_both_loops
async def test_the_proxy_itself_may_speak_tls(ca: Signer, system_trust: None) -> None:
    async with (
        listening(answers, ca.serving("origin.test")) as host,
        listening(scripted(ESTABLISHED, forwards), ca.serving("127.0.0.1")) as way,
    ):
        assert await converse(through(way, scheme="https"), https(host.port, ca.tls, "origin.test")) == ANSWER
        assert way.visits == 1


@on_both_loops
async def test_the_proxys_own_certificate_is_verified(ca: Signer, untrusted: Signer, system_trust: None) -> None:
    async with listening(scripted(ESTABLISHED), untrusted.serving("127.0.0.1")) as way:
        fault = await failure(through(way, scheme="https"), https(1, ca.tls, "origin.test"))
        assert fault.code == "upstream_proxy"
        assert way.requests == []


@on_both_loops
async def test_credentials_go_to_the_proxy_decoded_and_never_into_the_log(ca: Signer) -> None:
    async with listening(scripted(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")) as way:
        fault = await failure(through(way, user="al%40ice:s%3Acret@"), https(1, ca.tls, "origin.test"))
        assert fault.code == "upstream_proxy"
        assert "407" in fault.detail
        assert "407" not in fault.message
        assert "cret" not in fault.detail
    credentials = base64.b64encode(b"al@ice:s:cret")
    assert b"\r\nProxy-Authorization: Basic " + credentials + b"\r\n" in way.requests[0]


@on_both_loops
@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 301 Moved\r\nLocation: /\r\n\r\n",
        b"HTTP/1.1 2000 Odd\r\n\r\n",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/1.x 200 OK\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-Long: " + b"a" * 70_000,
        b"HTTP/1.1 200 OK\r\nX-Long: " + b"a" * 17_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nsurplus",
    ],
    ids=lambda answer: repr(answer[:30]),
)
async def test_a_proxy_that_does_not_answer_2xx_is_a_proxy_fault(answer: bytes, ca: Signer) -> None:
    # It waits for us to go: with garbage no clock may be needed to see it.
    async with listening(scripted(answer, keeps_silent)) as way:
        fault = await failure(through(way), https(1, ca.tls, "origin.test"))
        assert fault.code == "upstream_proxy"
        assert len(fault.detail) < 500


@on_both_loops
@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 Conn"])
async def test_a_proxy_that_closes_early_is_a_proxy_fault(answer: bytes, ca: Signer) -> None:
    async with listening(scripted(answer)) as way:
        assert (await failure(through(way), https(1, ca.tls, "origin.test"))).code == "upstream_proxy"


@on_both_loops
@pytest.mark.parametrize("address", ["nothing.invalid:3128", "127.0.0.1:{unused}"])
async def test_a_proxy_that_cannot_be_reached_is_a_proxy_fault(address: str, ca: Signer) -> None:
    dialer = Dialer({"HTTPS_PROXY": "http://" + address.format(unused=free_port())})
    assert (await failure(dialer, https(1, ca.tls, "origin.test"))).code == "upstream_proxy"


@on_both_loops
async def test_the_answer_to_connect_may_come_byte_by_byte(ca: Signer) -> None:
    async def dribbles(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: Host) -> None:
        host.requests.append(await reader.readuntil(b"\r\n\r\n"))
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in ESTABLISHED:
            writer.write(bytes([byte]))
            await asyncio.sleep(0)
        await forwards(reader, writer, host)

    async with listening(answers, ca.serving("origin.test")) as host, listening(dribbles) as way:
        assert await converse(through(way), https(host.port, ca.tls, "origin.test")) == ANSWER


@on_both_loops
async def test_an_untrusted_origin_behind_the_tunnel_is_a_tls_fault(ca: Signer, untrusted: Signer) -> None:
    async with (
        listening(answers, untrusted.serving("origin.test")) as host,
        listening(scripted(ESTABLISHED, forwards)) as way,
    ):
        fault = await failure(through(way), https(host.port, ca.tls, "origin.test"))
        assert fault.code == "upstream_tls"
        assert "certificate verify failed" in fault.detail


@on_both_loops
async def test_a_tunnel_that_breaks_during_the_handshake_is_a_tls_fault(ca: Signer) -> None:
    async def breaks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: Host) -> None:
        await reader.read(1)

    async with listening(scripted(ESTABLISHED, breaks)) as way:
        assert (await failure(through(way), https(1, ca.tls, "origin.test"))).code == "upstream_tls"


class Speaking(asyncio.Protocol):
    """Speaks in the same write as the end of its TLS 1.2 handshake; from the first bytes on it reads no more."""

    transport: asyncio.Transport
    received = False

    def __init__(self, words: bytes) -> None:
        self._words = words

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        if self._words:
            self.transport.write(self._words)

    def data_received(self, data: bytes) -> None:
        self.received = True
        self.transport.pause_reading()


@contextlib.asynccontextmanager
async def speaking(words: bytes, context: ssl.SSLContext) -> AsyncIterator[tuple[int, Speaking]]:
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    speaker = Speaking(words)
    server = await asyncio.get_running_loop().create_server(lambda: speaker, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1], speaker
    finally:
        server.close()
        speaker.transport.abort()
        await asyncio.sleep(0)


@on_both_loops
@pytest.mark.parametrize("way", ["direct", "tunnelled"])
async def test_bytes_before_the_first_request_are_never_lost_silently(way: str, ca: Signer) -> None:
    async with (
        speaking(b"HTTP/1.1 408 Request Timeout\r\n\r\n", ca.serving("localhost", "origin.test")) as (port, _),
        listening(scripted(ESTABLISHED, forwards)) as proxy,
    ):
        dialer = Dialer({}) if way == "direct" else through(proxy)
        try:
            there = https(port, ca.tls, "localhost" if way == "direct" else "origin.test")
            transport, visitor = await dialer.dial(there, Visitor, LONG)
        except ConnectFailed as fault:  # they came with the handshake's last flight
            seen = fault.detail.encode()
        else:
            await until(lambda: visitor.received, "the early answer")
            seen = bytes(visitor.received)
            transport.abort()
        assert b"HTTP/1.1 408" in seen or b"sent bytes before the first request" in seen


def forwarding(host: Host, variable: str = "HTTP_PROXY", user: str = "", scheme: str = "http") -> Dialer:
    return Dialer({variable: f"{scheme}://{user}127.0.0.1:{host.port}"})


@on_both_loops
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
async def test_plain_http_goes_to_its_proxy_in_absolute_form(variable: str) -> None:
    async with listening(answers) as way:
        dialer, origin = forwarding(way, variable, user="al%40ice:s%3Acret@"), Origin.of("http://origin.test:81", Tls())
        assert await converse(dialer, origin) == ANSWER
    found = dialer.forwarding(origin)
    assert found is not None
    assert "cret" not in repr(found)
    credentials = base64.b64encode(b"al@ice:s:cret")
    assert found.apply(b"POST /v1/x?a=b HTTP/1.1\r\nHost: h\r\n\r\n") == (
        b"POST http://origin.test:81/v1/x?a=b HTTP/1.1\r\n"
        b"Proxy-Authorization: Basic " + credentials + b"\r\nHost: h\r\n\r\n"
    )


@on_both_loops
async def test_the_proxy_for_plain_http_may_speak_tls(ca: Signer, system_trust: None) -> None:
    async with listening(answers, ca.serving("127.0.0.1")) as way:
        origin = Origin.of("http://origin.test", Tls())
        assert await converse(forwarding(way, scheme="https"), origin) == ANSWER
        assert way.seen[0] is not None


@on_both_loops
async def test_a_proxy_for_plain_http_that_cannot_be_reached_is_a_proxy_fault() -> None:
    dialer = Dialer({"HTTP_PROXY": f"http://127.0.0.1:{free_port()}"})
    assert (await failure(dialer, Origin.of("http://origin.test", Tls()))).code == "upstream_proxy"


@on_both_loops
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY"])
async def test_loopback_is_never_reached_through_a_proxy(variable: str, ca: Signer) -> None:
    async with (
        listening(answers, ca.serving("localhost")) as secure,
        listening(answers) as plain,
        listening(scripted(ESTABLISHED)) as way,
    ):
        dialer = Dialer({variable: f"http://127.0.0.1:{way.port}", "HTTPS_PROXY": f"http://127.0.0.1:{way.port}"})
        assert await converse(dialer, http(plain.port)) == ANSWER
        assert dialer.forwarding(http(plain.port)) is None
        assert await converse(dialer, https(secure.port, ca.tls, "localhost")) == ANSWER
        assert way.visits == 0


@on_both_loops
async def test_an_exempt_host_is_reached_directly(ca: Signer) -> None:
    async with listening(answers, ca.serving("origin.example")) as host, listening(scripted(ESTABLISHED)) as way:
        dialer = Dialer({"HTTPS_PROXY": f"http://127.0.0.1:{way.port}", "NO_PROXY": "origin.example"})
        resolve_to(("127.0.0.1", host.port))
        assert await converse(dialer, https(host.port, ca.tls, "origin.example")) == ANSWER
        assert way.visits == 0


# The clock, and leaving early


async def hanging(ca: Signer, place: str, stack: contextlib.AsyncExitStack) -> tuple[Dialer, Origin, Host]:
    """A dial that will hang at ``place``, and the listener that sees it there."""
    if place == "tls":
        host = await stack.enter_async_context(listening(keeps_silent))
        return Dialer({}), https(host.port, ca.tls), host
    if place == "connect":
        host = await stack.enter_async_context(listening(keeps_silent))
        return through(host), https(1, ca.tls, "origin.test"), host
    if place == "tls in tunnel":
        host = await stack.enter_async_context(listening(scripted(ESTABLISHED, keeps_silent)))
        return through(host), https(1, ca.tls, "origin.test"), host
    assert place == "tls in tls"
    silent = scripted(ESTABLISHED, keeps_silent)
    host = await stack.enter_async_context(listening(silent, ca.serving("127.0.0.1")))
    return through(host, scheme="https"), https(1, ca.tls, "origin.test"), host


PLACES = ["tls", "connect", "tls in tunnel", "tls in tls"]


@needs_proc
@on_both_loops
@pytest.mark.parametrize("place", PLACES)
async def test_the_connect_clock_covers_every_step_and_leaves_nothing(
    place: str, ca: Signer, system_trust: None
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        dialer, origin, _ = await hanging(ca, place, stack)
        nothing = Nothing()
        with pytest.raises(ClockExpired) as caught:
            await dialer.dial(origin, Visitor, 0.2)
        assert (caught.value.code, caught.value.status) == ("timeout_connect", 504)
        assert not caught.value.response_begun
        assert str(origin.port) in caught.value.detail
        await nothing.is_left()


@needs_proc
@on_both_loops
@pytest.mark.parametrize("place", PLACES)
async def test_cancelling_leaves_no_socket_and_no_task(place: str, ca: Signer, system_trust: None) -> None:
    async with contextlib.AsyncExitStack() as stack:
        dialer, origin, host = await hanging(ca, place, stack)
        nothing = Nothing()
        dial = asyncio.create_task(dialer.dial(origin, Visitor, 0))
        await until(lambda: host.visits if place in ("tls", "connect") else host.requests, "the dial to hang")
        dial.cancel()
        with pytest.raises(asyncio.CancelledError):
            await dial
        await nothing.is_left()


@needs_proc
@on_both_loops
async def test_the_connect_clock_covers_a_host_that_never_accepts() -> None:
    with Blackhole() as hole:
        nothing = Nothing()
        with pytest.raises(ClockExpired):
            await Dialer({}).dial(http(hole.port), Visitor, 0.2)
        await nothing.is_left()


@needs_proc
@on_both_loops
@pytest.mark.parametrize("way", ["direct", "tunnelled"])
async def test_cancelling_at_any_moment_leaves_nothing(way: str, ca: Signer) -> None:
    async with (
        listening(answers, ca.serving("localhost")) as host,
        listening(scripted(ESTABLISHED, forwards)) as proxy,
    ):
        dialer = Dialer({}) if way == "direct" else through(proxy)
        origin = https(host.port, ca.tls, "localhost")
        dialer.context(ca.tls)
        nothing = Nothing()
        for turns in range(0, 90, 3):
            dial = asyncio.create_task(dialer.dial(origin, Visitor, 0))
            for _ in range(turns):
                await asyncio.sleep(0)
            dial.cancel()
            try:
                transport, _ = await dial
            except asyncio.CancelledError:
                pass
            else:
                transport.abort()
        await nothing.is_left()


@needs_proc
@on_both_loops
async def test_a_cancellation_while_the_losers_of_the_race_close_is_not_lost() -> None:
    loop = asyncio.get_running_loop()
    connect = loop.sock_connect

    async def first_never_answers(sock: socket.socket, address: tuple[str, int]) -> None:
        if address[0] == "127.0.0.1":
            return await connect(sock, address)
        try:
            await loop.create_future()
        finally:
            dial.cancel()

    async with listening(keeps_silent) as host:
        resolve_to(("127.0.0.2", host.port), ("127.0.0.1", host.port))
        loop.sock_connect = first_never_answers  # type: ignore[method-assign]
        nothing = Nothing()
        dial = asyncio.create_task(Dialer({}).dial(http(host.port, "two.example"), Visitor, 0))
        with pytest.raises(asyncio.CancelledError):
            await dial
        await nothing.is_left()


@needs_proc
@on_both_loops
@pytest.mark.parametrize("way", ["plain", "tls"])
async def test_a_protocol_that_cannot_be_made_leaves_nothing(way: str, ca: Signer) -> None:
    def broken() -> Visitor:
        raise KeyError("a mistake of the caller's")

    async with listening(keeps_silent, None if way == "plain" else ca.serving("localhost")) as host:
        nothing = Nothing()
        origin = http(host.port, "localhost") if way == "plain" else https(host.port, ca.tls, "localhost")
        with pytest.raises(KeyError) as caught:
            await Dialer({}).dial(origin, broken, LONG)
        await nothing.is_left()
        assert caught.value.args  # held until here: its traceback must not be what closed the socket


@on_both_loops
async def test_no_handshake_is_begun_on_a_connection_that_is_closing(ca: Signer) -> None:
    async with listening(keeps_silent) as host:
        transport, _ = await Dialer({}).dial(http(host.port), Visitor, LONG)
        transport.close()
        with pytest.raises(ConnectionResetError):
            await within(trust.handshake(transport, trust.context(ca.tls), "localhost"), "the refusal")


@on_both_loops
async def test_a_timeout_of_zero_is_no_timeout() -> None:
    async with listening(answers) as host:
        transport, visitor = await Dialer({}).dial(http(host.port), Visitor, 0)
        transport.write(REQUEST)
        await visitor.over
        assert visitor.received == ANSWER


@on_both_loops
async def test_a_closed_tls_connection_does_not_wait_long_for_a_silent_peer(
    ca: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The peer never answers close_notify: our own short bound gives the socket up, not the loop's 30 s."""
    monkeypatch.setattr("proxy.client.tls.SHUTDOWN_SECS", 0.1)
    async with speaking(b"", ca.serving("localhost")) as (port, peer):
        transport, visitor = await Dialer({}).dial(https(port, ca.tls, "localhost"), Visitor, LONG)
        transport.write(REQUEST)
        await until(lambda: peer.received, "the peer to stop reading")
        transport.close()
        assert isinstance(await within(visitor.over, "the connection to be given up"), TimeoutError)
