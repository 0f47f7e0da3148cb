"""The content codings that bodies may have, by their names in ``Content-Encoding`` (RFC 9110 section 8.4.1)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from proxy.net.inflate import Inflater

CODINGS = frozenset(("gzip", "x-gzip", "deflate", "zstd"))


class Decoder(Protocol):
    """Decodes one body. ``finished``: its end was seen. ``cut``: it began, and its end was not seen."""

    @property
    def finished(self) -> bool: ...
    @property
    def cut(self) -> bool: ...

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Decoded pieces of bounded size, each made on demand. Raises BadCompression."""


def decoder_of(coding: str) -> Decoder:
    """For one of ``CODINGS``."""
    if coding == "zstd":
        from proxy.net.zstd import ZstdDecoder  # few clients use it, and it takes a library

        return ZstdDecoder()
    return Inflater(coding)
