"""Fetches content over HTTP, bounded in size, time, redirects and number.

Nothing of the client's request goes along: no header, no cookie, no credential.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from proxy.config.proxies import Proxies, Proxy
from proxy.config.schema import FetchSettings
from proxy.dialects.translation.absent import ContentKind, WantedContent
from proxy.dialects.translation.conversation import ContentSource
from proxy.errors import ConfigError
from proxy.fetch.content_type import BEGINNING, content_type_of
from proxy.fetch.guard import AddressGuard
from proxy.fetch.pieces import pieces_of
from proxy.fetch.unavailable import ContentUnavailable
from proxy.net.shortage import shortage
from proxy.runtime.workers import Workers

if TYPE_CHECKING:
    from aiohttp import ClientResponse
    from yarl import URL

MAX_REDIRECTS: Final = 3
MOST: Final = 16  # addresses of a request
AT_ONCE: Final = 32  # fetches of the process
LOOKUPS: Final = 8  # names at once

_MEGABYTE: Final = 1024 * 1024
_REDIRECTS: Final = frozenset((301, 302, 303, 307, 308))
_HEADERS: Final = {"User-Agent": "sluice", "Accept-Encoding": "identity"}

# Called with the number of bytes that arrived for a request. Raises Overloaded.
Hold = Callable[[int], None]
MakeGuard = Callable[[Workers, bool], AddressGuard]


class FetchBounds(Struct):
    """What all fetches of one request may still take. ``left``: bytes of ``max_mb``."""

    max_mb: float
    left: int
    hold: Hold

    def take(self, size: int) -> None:
        """Count bytes that arrived. Raises ContentUnavailable, Overloaded."""
        self.check(size)
        self.left -= size
        self.hold(size)

    def check(self, size: int) -> None:
        """Raises ContentUnavailable if so many bytes are too many."""
        if size > self.left:
            raise ContentUnavailable(f"is larger than {self.max_mb:g} MB, all of the request together")


class ContentFetcher:
    """Fetches content for all requests. ``tls`` makes the context of connections, ``environ`` names forward proxies."""

    def __init__(
        self,
        environ: Mapping[str, str],
        tls: Callable[[], ssl.SSLContext],
        make_guard: MakeGuard | None = None,
    ) -> None:
        """``make_guard`` replaces the guard in tests."""
        self._proxies = Proxies(environ)
        self._tls = tls
        self._make_guard = make_guard or AddressGuard.of
        self._lookups = Workers(LOOKUPS, "content lookup")
        self._places = asyncio.Semaphore(AT_ONCE)

    async def fetch(
        self, wanted: Collection[WantedContent], settings: FetchSettings, seconds: float, hold: Hold
    ) -> dict[WantedContent, ContentSource]:
        """Fetch all of ``wanted`` within ``seconds``, at the same time.

        Raises ContentUnavailable for the first that fails, and Overloaded if the process holds too much or lacks a
        resource. Then, and if it is canceled, nothing stays open.
        """
        if len(wanted) > MOST:
            raise ContentUnavailable(f"of the request is at more than {MOST} addresses")
        bounds = FetchBounds(settings.max_mb, int(settings.max_mb * _MEGABYTE), hold)
        guard = self._make_guard(self._lookups, settings.private_addresses)
        try:
            async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
                tasks = {each: group.create_task(self._fetch(each, guard, settings, bounds)) for each in wanted}
        except TimeoutError:
            raise ContentUnavailable(f"did not arrive within {seconds:g} s") from None
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return {each: task.result() for each, task in tasks.items()}

    async def _fetch(
        self, wanted: WantedContent, guard: AddressGuard, settings: FetchSettings, bounds: FetchBounds
    ) -> ContentSource:
        try:
            url = guard.first(wanted.address)
            async with self._places:
                for _ in range(MAX_REDIRECTS + 1):
                    async with self._get(url, guard, settings) as response:
                        if response.status not in _REDIRECTS:
                            return await _read(response, wanted.kind, bounds)
                        url = guard.following(url, response.headers.get("Location", ""))
            raise ContentUnavailable(f"is redirected more than {MAX_REDIRECTS} times")
        except ContentUnavailable as fault:
            fault.wanted = wanted
            raise

    @asynccontextmanager
    async def _get(self, url: URL, guard: AddressGuard, settings: FetchSettings) -> AsyncIterator[ClientResponse]:
        """The response of one server. Its errors become ContentUnavailable or Overloaded."""
        from aiohttp import ClientError, ClientSession, ClientSSLError, ClientTimeout, DummyCookieJar, TCPConnector

        proxy = self._proxy(url, settings)
        # A proxy's own address is the operator's, and it resolves names itself.
        connector = (
            TCPConnector(resolver=guard, socket_factory=guard.open, use_dns_cache=False, force_close=True)
            if proxy is None
            else TCPConnector(force_close=True)
        )
        host = url.raw_host or ""
        try:
            async with (
                ClientSession(
                    connector=connector, cookie_jar=DummyCookieJar(), headers=_HEADERS, auto_decompress=False
                ) as session,
                session.get(
                    url,
                    ssl=self._tls() if url.scheme == "https" else True,
                    proxy=None if proxy is None else proxy.url,
                    allow_redirects=False,
                    # A second limit: happy eyeballs can swallow the cancellation that ours is made of.
                    timeout=ClientTimeout(total=settings.timeout_secs),
                ) as response,
            ):
                yield response
        except ClientSSLError as error:
            raise ContentUnavailable("is at a server without a valid certificate", f"{host}: {error!r}") from None
        except (ClientError, OSError, ValueError) as error:
            cause = error.__cause__ or error
            if (ours := shortage(cause, host)) is not None:
                raise ours from None
            raise ContentUnavailable(
                "is at a server that cannot be reached, or breaks off", f"{host}: {cause!r}"
            ) from None

    def _proxy(self, url: URL, settings: FetchSettings) -> Proxy | None:
        """The forward proxy; ``None``: connect directly. Raises ContentUnavailable if it may not be used."""
        try:
            proxy = self._proxies.choose(url.scheme, url.raw_host or "", url.port or 0)
        except ConfigError as error:
            raise ContentUnavailable("is behind a proxy that is not configured correctly", str(error)) from None
        if proxy is not None and not settings.via_proxy:
            raise ContentUnavailable("is behind a proxy, which translate.fetch.viaProxy does not allow")
        return proxy


async def _read(response: ClientResponse, kind: ContentKind, bounds: FetchBounds) -> ContentSource:
    """The content of a response that is no redirect."""
    if response.status != 200:
        raise ContentUnavailable(f"is at a server that answers with status {response.status}")
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise ContentUnavailable("is sent compressed, although that was not asked for")
    bounds.check(response.content_length or 0)
    arriving = response.content.iter_any()
    beginning = b""
    async for piece in arriving:
        bounds.take(len(piece))
        beginning += piece
        if len(beginning) >= BEGINNING:
            break
    if not beginning:
        raise ContentUnavailable("is empty")
    pieces = pieces_of(content_type_of(kind, response.headers.get("Content-Type", ""), beginning))
    pieces.add(beginning)
    async for piece in arriving:
        bounds.take(len(piece))
        pieces.add(piece)
    return pieces.source()
