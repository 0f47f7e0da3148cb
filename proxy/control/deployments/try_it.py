"""The route by which the dashboard's form tries a prompt: through the same pipeline as the API, as the admin.

The cookie never counts for the API itself, so the request is rewritten into one of the API's here, and handed to the
gateway with a client of its own that has no limits. What comes back is relayed content and must not run on our pages.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping

from aiohttp.base_protocol import BaseProtocol
from aiohttp.streams import StreamReader
from msgspec import Raw, Struct
from multidict import CIMultiDict, CIMultiDictProxy

from proxy.control.http.bodies import Bodies
from proxy.control.http.replies import UNKEPT
from proxy.control.http.requests import body_of
from proxy.errors import ClientFault
from proxy.identity import Client
from proxy.server.connection import Request

# How a request is served whose client is known: its answer has these header lines as well.
ServeAs = Callable[[Request, Client, bytes], Awaitable[None]]

ADMIN = Client("admin:try", "Try it")
PREFIX = "/v1/"
_LINES = b"Content-Security-Policy: sandbox\r\n" + UNKEPT
_PATH = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)*").fullmatch
_HEADER = re.compile(r"x-router-[a-z0-9-]+", re.IGNORECASE).fullmatch
_VALUE = re.compile(r"[\t\x20-\x7e]*").fullmatch  # RFC 9110 5.5, without what is obsolete
_KEPT = ("Host", "User-Agent", "Accept", "x-request-id", "traceparent", "tracestate")


class Trying(Struct, frozen=True, forbid_unknown_fields=True):
    """``path`` is what follows ``/v1/``, ``body`` the request's body there; of ``headers`` those named x-router-…"""

    path: str
    body: Raw
    headers: dict[str, str] = {}


class TryIt:
    """``serve_as`` is the gateway's."""

    def __init__(self, serve_as: ServeAs, bodies: Bodies) -> None:
        self._serve_as = serve_as
        self._bodies = bodies

    async def run(self, request: Request) -> None:
        """POST /admin/try: whatever the API answers, token by token where it streams."""
        wanted = await body_of(self._bodies, request, Trying)
        _check(wanted)
        rewrite(request, PREFIX + wanted.path, wanted.headers, bytes(wanted.body))
        await self._serve_as(request, ADMIN, _LINES)


def _check(wanted: Trying) -> None:
    """Raises ClientFault (400)."""
    if len(wanted.path) > 200 or not _PATH(wanted.path):
        raise ClientFault(
            "path: expected what follows /v1/, as in chat/completions.", param="path", code="invalid_value"
        )
    for name, value in wanted.headers.items():
        if not _HEADER(name) or not _VALUE(value):
            raise ClientFault(
                "headers: expected names that begin with x-router-, and printable ASCII values.",
                param="headers",
                code="invalid_value",
            )


def rewrite(request: Request, path: str, headers: Mapping[str, str], body: bytes) -> None:
    """Make another POST request of one whose own body has been read: in place, as its connection knows it."""
    kept = [(name, value) for name in _KEPT if (value := request.headers.get(name)) is not None]
    lines = [*kept, ("Content-Type", "application/json"), ("Content-Length", str(len(body))), *headers.items()]
    request.path, request.query = path, ""
    request.headers = CIMultiDictProxy(CIMultiDict(lines))
    request.raw_headers = tuple((name.encode(), value.encode("utf-8", "surrogateescape")) for name, value in lines)
    request.rare = True
    request.payload = _fed(body)


def _fed(body: bytes) -> StreamReader:
    """A body that is here."""
    loop = asyncio.get_running_loop()
    reader = StreamReader(BaseProtocol(loop), limit=len(body) + 1, loop=loop)  # so that it never asks for a pause
    reader.feed_data(body)
    reader.feed_eof()
    return reader
