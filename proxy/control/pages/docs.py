"""Swagger UI and Redoc for the OpenAPI document. Their files are part of the package, so they work offline.

The files are megabytes that are rarely requested, so each is read at its first request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from importlib.resources import files
from typing import Final

from proxy.control.http.router import ControlRoute
from proxy.control.pages.files import FILE_HEADERS, StaticFile, content_type, read_file, send_file, unknown_file
from proxy.server.request import Request
from proxy.server.security import page_lines

_FILES: Final = (
    "swagger-ui-bundle.js",
    "swagger-ui.css",
    "docs.js",
    "redoc.standalone.js",
    "redoc.js",
    "redoc.css",
)


class DocsPages:
    """Open to everyone: the files are the same in every copy of the package."""

    def __init__(self) -> None:
        self._folder = files("proxy.control.pages") / "docs_assets"
        self._files: dict[str, StaticFile] = {}

    def routes(self) -> Sequence[ControlRoute]:
        return (
            ControlRoute("GET", "/docs", "open", self.swagger),
            ControlRoute("GET", "/docs/{name}", "open", self.file),
            ControlRoute("GET", "/redoc", "open", self.redoc),
        )

    async def swagger(self, request: Request) -> None:
        """GET /docs."""
        await self._send(request, "docs.html", page_lines())

    async def redoc(self, request: Request) -> None:
        """GET /redoc. Its policy allows an empty style element, one with a known text, and a worker from a blob."""
        scrollbar = (self._folder / "redoc.scrollbar.css").read_bytes()
        await self._send(request, "redoc.html", page_lines(styles=[b"", scrollbar], workers=["blob:"]))

    async def file(self, request: Request, name: str) -> None:
        """GET /docs/{name}. Raises ClientFault (404) for any other name."""
        kind = content_type(name)
        if name not in _FILES or kind is None:
            raise unknown_file()
        await self._send(request, name, kind + FILE_HEADERS)

    async def _send(self, request: Request, name: str, header_lines: bytes) -> None:
        file = self._files.get(name)
        if file is None:  # in a thread: compressing a megabyte takes a tenth of a second
            file = self._files[name] = await asyncio.to_thread(read_file, self._folder / name, header_lines)
        await send_file(request, file)
