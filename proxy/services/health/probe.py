"""One check of an address: a GET, and whether its answer is that of a healthy server."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from typing import TYPE_CHECKING, Final, Protocol

from proxy.client.plain_get import PlainGet
from proxy.errors import ConfigError
from proxy.services.health.address import CheckedAddress

if TYPE_CHECKING:
    from aiohttp import ClientSession

HEADERS: Final = {"User-Agent": "sluice", "Accept": "*/*"}
MOST_REASON: Final = 200  # characters


class Probe(Protocol):
    """Makes one check. Returns why it failed, ``""``: it passed."""

    async def check(self, address: CheckedAddress) -> str: ...

    async def close(self) -> None: ...


class HttpProbe:
    """Each check has a connection of its own: a server that accepts none is not healthy.

    Redirects are not followed. aiohttp repeats a request once whose connection breaks before the answer.
    """

    def __init__(self, get: PlainGet) -> None:
        self._get = get
        self._session: ClientSession | None = None

    async def check(self, address: CheckedAddress) -> str:
        from aiohttp import ClientConnectorError, ClientError, InvalidURL
        from yarl import URL

        if self._session is None:
            self._session = self._get.session(0.0, keeps=False)
        settings = address.check
        try:
            url = URL(target(address.live.url, settings.path), encoded=True)
            async with asyncio.timeout(settings.timeout_secs):
                async with self._get.send(self._session, url, HEADERS, address.tls) as response:
                    status = response.status
        except TimeoutError:
            return f"no answer within {settings.timeout_secs:g} s"
        except ConfigError as error:
            return _words("; ".join(error.mistakes))
        except InvalidURL:
            return "the address is not a URL"
        except ClientConnectorError as error:
            return _words(f"cannot connect: {_why(error.os_error)}")
        except (ClientError, OSError, ValueError) as error:
            return _words(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)
        return "" if accepts(settings.statuses, status) else f"status {status}"

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


def target(url: str, path: str) -> str:
    """``path`` after that of the address; a query of the address stays."""
    base, mark, query = url.partition("?")
    return f"{base.rstrip('/')}{path}{mark}{query}"


def accepts(statuses: str, status: int) -> bool:
    """Whether a status is among those of a setting such as ``200-399`` or ``200, 204``."""
    for part in statuses.split(","):
        first, _, last = part.partition("-")
        if int(first) <= status <= int(last or first):
            return True
    return False


def _why(error: OSError) -> str:
    """The system's words, or those of OpenSSL or the resolver. asyncio's own repeat the address."""
    if isinstance(error, ssl.SSLError | socket.gaierror) or error.errno is None:
        return error.strerror or str(error) or type(error).__name__
    return os.strerror(error.errno)


def _words(text: str) -> str:
    """On one line, and such that every store takes it."""
    return "".join(each if each.isprintable() else " " for each in text[:MOST_REASON])
