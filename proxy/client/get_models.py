"""GET /models of a provider: off the hot path, by aiohttp's client, with the provider's key, headers and TLS."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from multidict import CIMultiDict

from proxy.config.provider_schema import Tls
from proxy.config.proxies import proxy_url
from proxy.providers.keys import Key
from proxy.providers.provider import Site

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession


class ModelsRequest:
    """``context`` makes a provider's TLS context, ``environ`` names the forward proxy."""

    def __init__(self, context: Callable[[Tls], ssl.SSLContext], environ: Mapping[str, str]) -> None:
        self._context = context
        self._environ = environ

    def session(self, seconds: float) -> ClientSession:
        """A session with this time limit for each request."""
        from aiohttp import ClientSession, ClientTimeout, DummyCookieJar  # a slow import, needed only here

        return ClientSession(timeout=ClientTimeout(total=seconds), cookie_jar=DummyCookieJar())

    @asynccontextmanager
    async def send(self, session: ClientSession, site: Site, key: Key) -> AsyncIterator[ClientResponse]:
        """The response of any status. Redirects are not followed: they could lead the key anywhere.

        Raises what aiohttp raises, and TimeoutError, OSError, ValueError. Their messages may contain the address.
        """
        from yarl import URL

        url = URL(site.url("models"), encoded=True)
        settings = site.provider.settings
        async with session.get(
            url,
            headers=_headers(settings.headers, site.key_line(key), site.provider.via),
            ssl=self._context(settings.tls) if url.scheme == "https" else True,
            proxy=proxy_url(str(url), self._environ),
            allow_redirects=False,
        ) as response:
            yield response


def _headers(configured: Mapping[str, str], *lines: bytes) -> CIMultiDict[str]:
    headers = CIMultiDict({"User-Agent": "sluice"})
    headers.update(configured)
    for line in filter(None, lines):
        name, _, value = line.decode("latin-1").partition(": ")
        headers[name] = value.rstrip()
    return headers
