"""The pages that show the API description: Swagger UI and Redoc, from files that are packaged, so that they work alone.

They are megabytes that few ever ask for: each is read when somebody first does.
"""

from __future__ import annotations

import asyncio
from importlib.resources import files

from proxy.control.pages.assets import Asset, answer, read
from proxy.errors import ClientFault
from proxy.server.connection import Request
from proxy.server.security import NOSNIFF, page_lines

_SCRIPT = b"text/javascript; charset=utf-8"
_STYLE = b"text/css; charset=utf-8"
_SERVED = {
    "swagger-ui-bundle.js": _SCRIPT,
    "swagger-ui.css": _STYLE,
    "docs.js": _SCRIPT,
    "redoc.standalone.js": _SCRIPT,
    "redoc.js": _SCRIPT,
    "redoc.css": _STYLE,
}
_FILE = NOSNIFF + b"Cross-Origin-Resource-Policy: same-origin\r\nCache-Control: no-cache\r\nVary: Accept-Encoding\r\n"


class Docs:
    """None of it is worth a credential: it is what the package of anybody has."""

    def __init__(self) -> None:
        self._folder = files("proxy.control.pages") / "docs_assets"
        self._read: dict[str, Asset] = {}

    async def swagger(self, request: Request) -> None:
        """GET /docs."""
        await self._answer(request, "docs.html", page_lines())

    async def redoc(self, request: Request) -> None:
        """GET /redoc. Of its two style elements one is empty when it is made; its search is a worker out of a blob."""
        scrollbar = (self._folder / "redoc.scrollbar.css").read_bytes()
        await self._answer(request, "redoc.html", page_lines(styles=[b"", scrollbar], workers=["blob:"]))

    async def file(self, request: Request, name: str) -> None:
        """GET /docs/{name}. Raises ClientFault (404) for any other name."""
        kind = _SERVED.get(name)
        if kind is None:
            raise ClientFault("There is no such file.", status=404, code="unknown_path")
        await self._answer(request, name, b"Content-Type: %b\r\n" % kind + _FILE)

    async def _answer(self, request: Request, name: str, lines: bytes) -> None:
        found = self._read.get(name)
        if found is None:  # packing a megabyte takes a tenth of a second
            found = self._read[name] = await asyncio.to_thread(read, self._folder / name, lines)
        await answer(request, found)
