"""GET requests off the hot path, by aiohttp's client: lists of models, and checks of addresses."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from proxy.config.provider_schema import Tls
from proxy.config.proxies import Proxies

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession
    from yarl import URL


class PlainGet:
    """``context`` makes a TLS context of settings, ``environ`` names the forward proxies."""

    def __init__(self, context: Callable[[Tls], ssl.SSLContext], environ: Mapping[str, str]) -> None:
        self._context = context
        self._proxies = Proxies(environ)

    def session(self, seconds: float, *, keeps: bool = True) -> ClientSession:
        """A session with this time limit for each request. ``keeps``: connections are used for several of them."""
        # A slow import, needed only here.
        from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector

        return ClientSession(
            timeout=ClientTimeout(total=seconds),
            cookie_jar=DummyCookieJar(),
            connector=None if keeps else TCPConnector(limit=0, force_close=True),
        )

    @asynccontextmanager
    async def send(
        self, session: ClientSession, url: URL, headers: Mapping[str, str], tls: Tls
    ) -> AsyncIterator[ClientResponse]:
        """The response of any status. Redirects are not followed: they could lead a credential anywhere.

        Raises what aiohttp raises, and TimeoutError, OSError, ValueError, ConfigError. Their messages may contain the
        address.
        """
        found = self._proxies.choose(url.scheme, url.raw_host or "", url.port or 0) if url.raw_host else None
        async with session.get(
            url,
            headers=headers,
            ssl=self._context(tls) if url.scheme == "https" else True,
            proxy=None if found is None else found.url,
            allow_redirects=False,
        ) as response:
            yield response
