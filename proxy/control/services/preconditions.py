"""Conditional changes (RFC 9110, 13.1): ``If-Match`` with the version that was read, and ``If-None-Match: *``."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from proxy.errors import ClientFault
from proxy.server.request import Request

ANY: Final = "*"


def etag(version: int) -> str:
    return f'"{version}"'


def etag_line(version: int) -> bytes:
    return f"ETag: {etag(version)}\r\n".encode("ascii")


class Preconditions(Struct, frozen=True):
    """``match``: the entity tags of ``If-Match``, ``()`` without it. ``new``: nothing may be there."""

    match: tuple[str, ...] = ()
    new: bool = False

    @staticmethod
    def of(request: Request) -> Preconditions:
        given = ",".join(request.headers.getall("If-Match", ()))
        tags = tuple(tag for each in given.split(",") if (tag := each.strip()))
        return Preconditions(tags, request.headers.get("If-None-Match", "").strip() == ANY)

    def check(self, version: int | None) -> None:
        """``version``: of what is there; ``None``: nothing is. Raises ClientFault (412).

        A weak tag never matches (RFC 9110, 8.8.3.2).
        """
        if self.new and version is not None:
            raise _failed("It exists already.")
        if not self.match:
            return
        if version is None:
            raise _failed("It does not exist.")
        if ANY not in self.match and etag(version) not in self.match:
            raise _failed(f"It was changed meanwhile: its version is {etag(version)}. Read it and change it again.")


def _failed(text: str) -> ClientFault:
    return ClientFault(text, status=412, code="precondition_failed")
