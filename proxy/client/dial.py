"""Opening an upstream connection: name resolution, TCP, proxy, TLS, all within one time limit.

Runs once per connection, not per request. Works the same under asyncio's own loop and uvloop.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, TypeVar

from aiohappyeyeballs import AddrInfoType, start_connection
from msgspec import Struct
from yarl import URL

from proxy.client import tls as secure
from proxy.client.tunnel import Tunnel
from proxy.config.provider_schema import Tls
from proxy.config.proxies import Proxies, Proxy, ascii_host, authority
from proxy.errors import ClockExpired, ConnectFailed
from proxy.net.shortage import shortage

P = TypeVar("P", bound=asyncio.BufferedProtocol)
Q = TypeVar("Q", bound=asyncio.BaseProtocol)

DEFAULT_PORTS: Final = {"http": 80, "https": 443}
EYEBALLS_DELAY: Final = 0.25  # RFC 8305 section 5

MESSAGES: Final = {
    "upstream_dns": "The provider's host name could not be resolved.",
    "upstream_unreachable": "The provider could not be reached.",
    "upstream_tls": "No secure connection to the provider could be made.",
    "upstream_proxy": "The proxy on the way to the provider failed or refused.",
}


class Origin(Struct, frozen=True, cache_hash=True):
    """Address and TLS settings of connections: the key of the connection pool.

    ``host`` is lower case, IDNA encoded, IPv6 without brackets.
    """

    scheme: str
    host: str
    port: int
    tls: Tls

    @staticmethod
    def of(base_url: str, tls: Tls) -> Origin:
        """The origin of an absolute http or https URL; its path and query are ignored.

        Raises ``ValueError`` for anything else, for user information too: it would be dropped silently.
        """
        url = URL(base_url)
        if url.scheme not in DEFAULT_PORTS:
            raise ValueError("the URL must begin with http:// or https://")
        if url.raw_user is not None or url.raw_password is not None:
            raise ValueError("the URL must not hold a user name or password")
        if not url.raw_host or not url.port:
            raise ValueError("the URL has no host, or port 0")
        # Plain connections have no TLS settings: one pool for all of them.
        return Origin(url.scheme, ascii_host(url.raw_host), url.port, tls if url.scheme == "https" else Tls())

    @property
    def authority(self) -> str:
        """The ``Host`` header's value (RFC 9110 section 7.2)."""
        full = authority(self.host, self.port)
        return full.rpartition(":")[0] if self.port == DEFAULT_PORTS[self.scheme] else full


class Forwarding(Struct, frozen=True):
    """How a plain request is sent to a forward proxy (RFC 9112 section 3.2.2).

    ``base`` is the origin's scheme and authority, ``authorization`` a whole header line or ``b""``.
    """

    base: bytes
    authorization: bytes

    def __repr__(self) -> str:
        return f"<Forwarding to {self.base.decode()}>"

    def apply(self, head: bytes) -> bytes:
        """A request's head with its target in absolute form, and with the proxy's credential."""
        method, _, rest = head.partition(b" ")
        line, _, rest = rest.partition(b"\r\n")
        return b"%b %b%b\r\n%b%b" % (method, self.base, line, self.authorization, rest)


class Dialer:
    """Opens connections; owns the TLS contexts, one for each distinct setting, and chooses the proxy."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """``environ`` names the proxies; those for configured addresses can be used (``config/loader.py``)."""
        self._proxies = Proxies(environ)
        self._contexts: dict[Tls, ssl.SSLContext] = {}

    def context(self, tls: Tls) -> ssl.SSLContext:
        """The one context for this setting. Building it reads files: call it at start-up.

        Raises ``OSError`` for unusable files.
        """
        if (context := self._contexts.get(tls)) is None:
            context = self._contexts[tls] = secure.context(tls)
        return context

    async def dial(self, origin: Origin, factory: Callable[[], P], timeout: float) -> tuple[asyncio.Transport, P]:
        """A connection ready for the first request; ``timeout`` in seconds bounds the whole, 0 is none.

        The transport is a TLS one for https. Raises ConnectFailed with a code from ``MESSAGES``, ClockExpired, and
        Overloaded if this machine ran out of a resource. If it fails or is canceled, nothing stays open (a resolver's
        thread cannot be interrupted and ends by itself).
        """
        clock = asyncio.timeout(timeout or None)
        try:
            async with clock:
                proxy = self._proxies.choose(origin.scheme, origin.host, origin.port)
                if proxy is None:
                    return await self._direct(origin, factory)
                if origin.scheme == "https":
                    return await self._tunnelled(proxy, origin, factory)
                return await self._forwarded(proxy, origin, factory)
        except TimeoutError as expired:
            # Only the clock's own: the system's ETIMEDOUT has become a ConnectFailed further in.
            raise ClockExpired("connect", timeout, detail=authority(origin.host, origin.port)) from expired

    def forwarding(self, origin: Origin) -> Forwarding | None:
        """How requests to ``origin`` are sent to its forward proxy; ``None``: connections lead to the origin itself, or
        through a tunnel.
        """
        proxy = self._proxies.choose(origin.scheme, origin.host, origin.port) if origin.scheme == "http" else None
        if proxy is None:
            return None
        return Forwarding(f"http://{origin.authority}".encode(), proxy.authorization.encode())

    async def _direct(self, origin: Origin, factory: Callable[[], P]) -> tuple[asyncio.Transport, P]:
        if origin.scheme == "http":
            return await _reach(origin.host, origin.port, factory)
        where = authority(origin.host, origin.port)
        context = self._origin_context(origin, where)
        transport, _ = await _reach(origin.host, origin.port, secure.HandshakeProtocol)
        with _abort_unless_done(transport):
            return await _secured(transport, context, origin, where, factory)

    async def _tunnelled(self, proxy: Proxy, origin: Origin, factory: Callable[[], P]) -> tuple[asyncio.Transport, P]:
        target = authority(origin.host, origin.port)
        where = f"{target} through {authority(proxy.host, proxy.port)}"
        context = self._origin_context(origin, where)
        with _blame("upstream_proxy", where):
            transport, tunnel = await self._to_proxy(proxy)
        with _abort_unless_done(transport):
            with _blame("upstream_proxy", where):
                await tunnel.establish(transport, target, proxy.authorization)
            return await _secured(transport, context, origin, where, factory)

    async def _to_proxy(self, proxy: Proxy) -> tuple[asyncio.Transport, Tunnel]:
        if not proxy.secure:
            return await _reach(proxy.host, proxy.port, Tunnel)
        upper, tunnel = await self._to_secure_proxy(proxy), Tunnel()
        upper.set_protocol(tunnel)
        return upper, tunnel

    async def _forwarded(self, proxy: Proxy, origin: Origin, factory: Callable[[], P]) -> tuple[asyncio.Transport, P]:
        """A connection to the proxy, which takes requests for ``origin`` in the form of ``forwarding``."""
        where = f"{authority(origin.host, origin.port)} through {authority(proxy.host, proxy.port)}"
        with _blame("upstream_proxy", where):
            if not proxy.secure:
                return await _reach(proxy.host, proxy.port, factory)
            upper, protocol = await self._to_secure_proxy(proxy), factory()
            upper.set_protocol(protocol)
            protocol.connection_made(upper)
            return upper, protocol

    async def _to_secure_proxy(self, proxy: Proxy) -> asyncio.Transport:
        context = self.context(Tls())
        transport, _ = await _reach(proxy.host, proxy.port, secure.HandshakeProtocol)
        with _abort_unless_done(transport):
            return await secure.handshake(transport, context, proxy.host)

    def _origin_context(self, origin: Origin, where: str) -> ssl.SSLContext:
        with _blame("upstream_tls", where):
            return self.context(origin.tls)


async def _reach(host: str, port: int, factory: Callable[[], Q]) -> tuple[asyncio.Transport, Q]:
    """A plain TCP connection to the first address of the name that answers."""
    where = authority(host, port)
    with _blame("upstream_dns", where):
        found = await asyncio.get_running_loop().getaddrinfo(
            host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
        )
        if not found:
            raise OSError("the name has no address")
    with _blame("upstream_unreachable", where):
        sock = await _race(found)
        try:
            # Both loops set TCP_NODELAY.
            return await asyncio.get_running_loop().create_connection(factory, sock=sock)
        except BaseException:
            sock.close()
            raise


async def _race(found: Sequence[AddrInfoType]) -> socket.socket:
    """Happy eyeballs (RFC 8305) over the addresses, families interleaved."""
    task = asyncio.current_task()
    assert task is not None
    cancelled_before = task.cancelling()
    sock = await start_connection(found, happy_eyeballs_delay=EYEBALLS_DELAY, interleave=1)
    # start_connection swallows a cancellation that arrives while it closes the losers. The time limit would be lost.
    if task.cancelling() > cancelled_before:
        sock.close()
        raise asyncio.CancelledError
    return sock


async def _secured(
    transport: asyncio.Transport,
    context: ssl.SSLContext,
    origin: Origin,
    where: str,
    factory: Callable[[], P],
) -> tuple[asyncio.Transport, P]:
    """TLS with the origin, then the caller's protocol on top of it."""
    with _blame("upstream_tls", where):
        upper = await secure.handshake(transport, context, origin.host)
    protocol = factory()
    upper.set_protocol(protocol)
    protocol.connection_made(upper)
    return upper, protocol


@contextmanager
def _abort_unless_done(transport: asyncio.Transport) -> Iterator[None]:
    try:
        yield
    except BaseException:
        transport.abort()
        raise


@contextmanager
def _blame(code: str, where: str) -> Iterator[None]:
    """What fails inside becomes a ``ConnectFailed`` with this code, a shortage of ours ``Overloaded``.

    ``ssl.SSLError`` and ``socket.gaierror`` are ``OSError``; ``UnicodeError``, for a name that no resolver
    takes, is a ``ValueError``; uvloop raises ``RuntimeError`` for some failures of connect.
    """
    try:
        yield
    except (OSError, ValueError, RuntimeError, ConnectFailed) as cause:
        if (ours := shortage(cause, where)) is not None:
            raise ours from cause
        if isinstance(cause, ConnectFailed):
            why, again = cause.detail, cause.again
        else:
            why, again = repr(cause), _passes(cause)
        raise ConnectFailed(MESSAGES[code], code=code, again=again, detail=f"{where}: {why}") from cause


def _passes(cause: Exception) -> bool:
    """Whether the same dial may succeed a moment later: it was reset, or the network was unreachable."""
    return isinstance(cause, ConnectionResetError) or (
        isinstance(cause, OSError) and cause.errno in (errno.ENETUNREACH, errno.ENETDOWN)
    )
