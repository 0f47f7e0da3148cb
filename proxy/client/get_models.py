"""The list of models of a provider: off the hot path, by aiohttp's client, with the provider's key, headers and TLS."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from multidict import CIMultiDict

from proxy.client.credentials.base import UnsignedRequest
from proxy.client.credentials.refresher import CredentialRefresher
from proxy.client.plain_get import PlainGet
from proxy.config.provider_schema import Tls
from proxy.config.remote import FetchFailed, bounded
from proxy.providers.keys import Key
from proxy.providers.provider import Site
from proxy.routing.unlisted import LONGEST_UNLISTED

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

MOST_BYTES: Final = 4 * 1024 * 1024  # of a page; OpenRouter's whole list has 500 KB
MOST_NAMES: Final = 5_000
MOST_PAGES: Final = 20
_MOST_OF_ERROR: Final = 64 * 1024  # bytes


class ListRefused(FetchFailed):
    """The provider answered with another status than 200; the first 64 KB of ``body``."""

    def __init__(self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> None:
        super().__init__(f"answers with status {status}")
        self.status = status
        self.headers = headers
        self.body = body


class ModelsRequest:
    """``context`` makes a provider's TLS context, ``environ`` names the forward proxy.

    ``credentials``: those that clouds issue.
    """

    def __init__(
        self,
        context: Callable[[Tls], ssl.SSLContext],
        environ: Mapping[str, str],
        credentials: CredentialRefresher | None = None,
    ) -> None:
        self._get = PlainGet(context, environ)
        self._credentials = credentials or CredentialRefresher(environ)

    def session(self, seconds: float) -> ClientSession:
        """A session with this time limit for each request."""
        return self._get.session(seconds)

    async def names(self, session: ClientSession, site: Site, key: Key) -> list[str]:
        """All names in the list that a request can have, at most ``MOST_NAMES``.

        Raises FetchFailed, NotAList, and what ``send`` raises.
        """
        found: list[str] = []
        query = ""
        for _ in range(MOST_PAGES):
            async with self.send(session, site, key, query) as response:
                if response.status != 200:
                    body = await response.content.read(_MOST_OF_ERROR)
                    raise ListRefused(response.status, response.raw_headers, body)
                content = await bounded(response, MOST_BYTES)
            page = site.listing.kind.model_list.read(content)
            found += filter(_is_name, page.names)
            if not page.following or page.following == query or len(found) >= MOST_NAMES:
                break
            query = page.following
        return found[:MOST_NAMES]

    @asynccontextmanager
    async def send(
        self, session: ClientSession, site: Site, key: Key, query: str = ""
    ) -> AsyncIterator[ClientResponse]:
        """The response of any status to the request of one page; ``query``: of a page that is not the first.

        Raises what ``PlainGet.send`` raises, and UpstreamAuthFailed without a credential.
        """
        from yarl import URL

        site = site.listing
        found = site.kind.model_list
        url = URL(site.url(found.path, query or found.query), encoded=True)
        settings = site.provider.settings
        headers = _headers(found.headers, settings.headers, site.key_line(key), site.provider.via)
        if key.source is not None:
            headers.setdefault("Host", url.host_port_subcomponent or "")
            unsigned = UnsignedRequest("GET", url.raw_path_qs, [*headers.items()])
            _add_lines(headers, await self._credentials.lines(key.source, unsigned))
        async with self._get.send(session, url, headers, settings.tls) as response:
            yield response


def _is_name(text: str) -> bool:
    return 0 < len(text) <= LONGEST_UNLISTED and text.isprintable() and text == text.strip()


def _headers(required: Mapping[str, str], configured: Mapping[str, str], *lines: bytes) -> CIMultiDict[str]:
    headers = CIMultiDict({"User-Agent": "sluice", **required})
    headers.update(configured)
    for line in lines:
        _add_lines(headers, line)
    return headers


def _add_lines(headers: CIMultiDict[str], lines: bytes) -> None:
    for line in lines.decode("latin-1").split("\r\n"):
        name, _, value = line.partition(": ")
        if name:
            headers[name] = value
