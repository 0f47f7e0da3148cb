"""The files of the dashboard: read once, served by their exact names, asked for again only where they changed."""

from __future__ import annotations

import gzip
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable

from msgspec import Struct

from proxy.control.http.replies import redirect
from proxy.errors import ClientFault
from proxy.server.connection import Request
from proxy.server.flush import send
from proxy.server.security import NOSNIFF, page_lines

INDEX = "index.html"

_TYPES = {
    "css": b"text/css; charset=utf-8",
    "js": b"text/javascript; charset=utf-8",
    "svg": b"image/svg+xml",
}
# no-cache: kept, but never used without asking. A new version of the gateway is a new page at once.
_REVALIDATED = b"Cache-Control: no-cache\r\nVary: Accept-Encoding\r\n"
_OURS = NOSNIFF + b"Cross-Origin-Resource-Policy: same-origin\r\n" + _REVALIDATED
_PACKED = b"Content-Encoding: gzip\r\n"


class Asset(Struct, frozen=True, gc=False):
    """A file with the header lines that it is served with; ``tag`` is its entity tag (RFC 9110 8.8.3)."""

    lines: bytes
    tag: str
    body: bytes
    packed: bytes


class Assets:
    """``GET /`` is the page, ``GET /admin/assets/{name}`` what it loads: nothing in them is worth a credential."""

    def __init__(self) -> None:
        folder = files("proxy.control") / "dashboard"
        self._page = read(folder / INDEX, page_lines())
        self._files = {
            file.name: read(file, b"Content-Type: %b\r\n" % _TYPES[kind] + _OURS)
            for file in folder.iterdir()
            if (kind := file.name.rpartition(".")[2]) in _TYPES
        }

    async def index(self, request: Request) -> None:
        """GET /: the dashboard. Its address holds no secret, and its policy lets nothing in from elsewhere."""
        await answer(request, self._page)

    async def follow(self, request: Request) -> None:
        """GET /admin: the dashboard is at /."""
        redirect(request, "/")

    async def file(self, request: Request, name: str) -> None:
        """GET /admin/assets/{name}. Raises ClientFault (404) for any other name."""
        found = self._files.get(name)
        if found is None:
            raise ClientFault("There is no such file.", status=404, code="unknown_path")
        await answer(request, found)


def read(file: Traversable, lines: bytes) -> Asset:
    """A file with its header lines; for megabytes that takes a tenth of a second."""
    body = file.read_bytes()
    tag = f'"{sha256(body).hexdigest()[:24]}"'
    return Asset(lines + b"ETag: %b\r\n" % tag.encode(), tag, body, gzip.compress(body, mtime=0))


async def answer(request: Request, asset: Asset) -> None:
    """200, or 304 to who has it. Raises ClientGone."""
    if _is_known(request, asset.tag):
        request.reply.send(304, asset.lines)
    elif _takes_gzip(request):
        await send(request, request.reply, 200, asset.lines + _PACKED, asset.packed)
    else:
        await send(request, request.reply, 200, asset.lines, asset.body)


def _is_known(request: Request, tag: str) -> bool:
    """RFC 9110 13.1.2: the comparison is the weak one."""
    known = [each.strip().removeprefix("W/") for each in request.headers.get("If-None-Match", "").split(",")]
    return tag in known or known == ["*"]


def _takes_gzip(request: Request) -> bool:
    """RFC 9110 12.5.3, as far as browsers go: gzip by its name, and not with a weight of nought."""
    for each in request.headers.get("Accept-Encoding", "").split(","):
        name, _, weight = each.replace(" ", "").lower().partition(";q=")
        if name == "gzip":
            return weight.strip("0.") != "" if weight else True
    return False
