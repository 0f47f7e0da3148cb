"""How a request carries a provider's key: the header and what precedes the key in its value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct


class Credential(Struct, frozen=True):
    """``header`` is the header's name, ``scheme`` what stands before the key, with its space."""

    header: str
    scheme: str = ""

    def line(self, key: str) -> bytes:
        """The header line that carries ``key``, with its CR LF; ``b""`` without a key."""
        return f"{self.header}: {self.scheme}{key}\r\n".encode("latin-1") if key else b""


# By their names in the configuration. A bearer token is RFC 6750 section 2.1.
CREDENTIALS: Final[Mapping[str, Credential]] = {
    "bearer": Credential("Authorization", "Bearer "),
    "api-key": Credential("api-key"),
    "x-api-key": Credential("x-api-key"),
    "x-goog-api-key": Credential("x-goog-api-key"),
}
