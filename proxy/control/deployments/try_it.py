"""The route behind the dashboard's "try it" page: a model call as the admin.

The session cookie is not accepted by the API itself. The request is therefore rewritten into a request of the API
and passed to the gateway as a client without limits. The response is content of a provider, so it must not run
scripts on our origin.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from aiohttp.base_protocol import BaseProtocol
from aiohttp.streams import StreamReader
from msgspec import Raw, Struct
from multidict import CIMultiDict, CIMultiDictProxy

from proxy.control.http.operation import EVENT_STREAM, JSON, Operation
from proxy.control.http.requests import RequestBodies
from proxy.control.http.responses import NO_STORE
from proxy.control.http.router import ControlRoute
from proxy.control.openapi.calls import EXAMPLES
from proxy.control.openapi.errors import API_ERRORS
from proxy.errors import ClientFault
from proxy.identity import Client
from proxy.server.request import Request
from proxy.serving import Handler, Serving

BeginAs = Callable[[Client, Request], tuple[Handler[Any], object]]

ADMIN: Final = Client("admin:try", "Try it")
PREFIX: Final = "/v1/"
_HEADER_LINES: Final = b"Content-Security-Policy: sandbox\r\n" + NO_STORE
# Colons and commas stand in paths of Google's API: models/a,b:generateContent.
_PATH = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._:,-]*(?:/[A-Za-z0-9_-][A-Za-z0-9._:,-]*)*").fullmatch
_HEADER = re.compile(r"x-router-[a-z0-9-]+", re.IGNORECASE).fullmatch
_VALUE = re.compile(r"[\t\x20-\x7e]*").fullmatch  # RFC 9110 5.5, without obsolete bytes
_ANTHROPIC: Final = {"anthropic-version": "2023-06-01"}  # what its clients always send
_KEPT: Final = ("Host", "User-Agent", "Accept", "x-request-id", "traceparent", "tracestate")


class TryItRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """``path`` follows ``/v1/``; ``body`` is the request body there; ``headers`` may only be named x-router-…"""

    path: str
    body: Raw
    headers: dict[str, str] = {}


class TryItHandler:
    """``begin_as`` begins a request of the model API for a client without limits."""

    def __init__(self, serving: Serving, begin_as: BeginAs, bodies: RequestBodies) -> None:
        self._serving = serving
        self._begin_as = begin_as
        self._bodies = bodies

    def routes(self) -> Sequence[ControlRoute]:
        operation = Operation(
            "operator",
            "Call the API as the admin",
            media=(JSON, EVENT_STREAM, "*/*"),
            body=TryItRequest,
            example={"path": "chat/completions", "body": EXAMPLES["chat/completions"]},
            errors=tuple(status for status in API_ERRORS if isinstance(status, int)),
            notes="`path` follows `/v1/`, `body` is the request body there; the response is the API's.",
        )
        return (ControlRoute("POST", "/admin/try", "admin", self.run, operation),)

    async def run(self, request: Request) -> None:
        """POST /admin/try: the response of the API, streamed token by token if it streams."""
        call = await self._bodies.decode(request, TryItRequest)
        _check(call)
        headers = call.headers | (_ANTHROPIC if call.path.startswith("messages") else {})
        query = "alt=sse" if call.path.endswith(":streamGenerateContent") else ""
        rewrite(request, PREFIX + call.path, headers, bytes(call.body), query)
        request.response_lines = _HEADER_LINES
        await self._serving.handle(request, self._begin_as(ADMIN, request))


def _check(call: TryItRequest) -> None:
    """Raises ClientFault (400)."""
    if len(call.path) > 200 or not _PATH(call.path):
        raise ClientFault(
            "path: expected a path below /v1/, such as chat/completions.", param="path", code="invalid_value"
        )
    for name, value in call.headers.items():
        if not _HEADER(name) or not _VALUE(value):
            raise ClientFault(
                "headers: expected names that begin with x-router-, and printable ASCII values.",
                param="headers",
                code="invalid_value",
            )


def rewrite(request: Request, path: str, headers: Mapping[str, str], body: bytes, query: str = "") -> None:
    """Turn a request whose body has been read into another POST request, in place: its connection refers to it."""
    kept = [(name, value) for name in _KEPT if (value := request.headers.get(name)) is not None]
    lines = [*kept, ("Content-Type", "application/json"), ("Content-Length", str(len(body))), *headers.items()]
    request.path, request.query = path, query
    request.headers = CIMultiDictProxy(CIMultiDict(lines))
    request.raw_headers = tuple((name.encode(), value.encode("utf-8", "surrogateescape")) for name, value in lines)
    request.rare = request.attributed = True
    request.payload = _complete(body)


def _complete(body: bytes) -> StreamReader:
    """A reader that holds the whole body."""
    loop = asyncio.get_running_loop()
    reader = StreamReader(BaseProtocol(loop), limit=len(body) + 1, loop=loop)  # a larger limit: it never pauses
    reader.feed_data(body)
    reader.feed_eof()
    return reader
