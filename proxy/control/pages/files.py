"""Static files: read once, compressed once, revalidated by entity tag."""

from __future__ import annotations

import gzip
from hashlib import sha256
from importlib.resources.abc import Traversable
from typing import Final

from msgspec import Struct

from proxy.errors import ClientFault
from proxy.server.flush import send
from proxy.server.request import Request
from proxy.server.security import NOSNIFF

# no-cache: stored, but revalidated on each use, so a new version of the gateway is used at once.
FILE_HEADERS: Final = (
    NOSNIFF + b"Cross-Origin-Resource-Policy: same-origin\r\nCache-Control: no-cache\r\nVary: Accept-Encoding\r\n"
)
CONTENT_TYPES: Final = {
    "css": b"text/css; charset=utf-8",
    "js": b"text/javascript; charset=utf-8",
    "svg": b"image/svg+xml",
}
_GZIP: Final = b"Content-Encoding: gzip\r\n"


class StaticFile(Struct, frozen=True, gc=False):
    """A file with its header lines; ``tag`` is its entity tag (RFC 9110 8.8.3)."""

    header_lines: bytes
    tag: str
    body: bytes
    gzipped: bytes


def content_type(name: str) -> bytes | None:
    """The Content-Type line for a file name; ``None``: its type is not served."""
    kind = CONTENT_TYPES.get(name.rpartition(".")[2])
    return None if kind is None else b"Content-Type: %b\r\n" % kind


def read_file(file: Traversable, header_lines: bytes) -> StaticFile:
    """Read and compress a file. A megabyte takes a tenth of a second."""
    body = file.read_bytes()
    tag = f'"{sha256(body).hexdigest()[:24]}"'
    return StaticFile(header_lines + b"ETag: %b\r\n" % tag.encode(), tag, body, gzip.compress(body, mtime=0))


async def send_file(request: Request, file: StaticFile) -> None:
    """Send status 200, or 304 to a client that has the file. Raises ClientGone."""
    if _matches(request, file.tag):
        request.reply.send(304, file.header_lines)
    elif _accepts_gzip(request):
        await send(request, request.reply, 200, file.header_lines + _GZIP, file.gzipped)
    else:
        await send(request, request.reply, 200, file.header_lines, file.body)


def unknown_file() -> ClientFault:
    return ClientFault("There is no such file.", status=404, code="unknown_path")


def _matches(request: Request, tag: str) -> bool:
    """If-None-Match, with the weak comparison (RFC 9110 13.1.2)."""
    known = [each.strip().removeprefix("W/") for each in request.headers.get("If-None-Match", "").split(",")]
    return tag in known or known == ["*"]


def _accepts_gzip(request: Request) -> bool:
    """Accept-Encoding as browsers send it: gzip by name, without a weight of 0 (RFC 9110 12.5.3)."""
    for each in request.headers.get("Accept-Encoding", "").split(","):
        name, _, weight = each.replace(" ", "").lower().partition(";q=")
        if name == "gzip":
            return weight.strip("0.") != "" if weight else True
    return False
