"""Keeps back the error of a provider where a stale answer can stand in for it."""

from __future__ import annotations

from typing import Final

from proxy.errors import UpstreamFault
from proxy.server.outlet import OutletWrapper

# Of an account: it has to pay, or has used up its quota or its rate. The client cannot help that.
_ACCOUNT: Final = frozenset((402, 429))


def is_of_provider(status: int) -> bool:
    """Whether the client is not to blame for a status."""
    return status >= 500 or status in _ACCOUNT


class RefusalGuard(OutletWrapper):
    """Raises UpstreamFault instead of sending an error that the provider is to blame for."""

    __slots__ = ()

    def send(self, status: int, header_lines: bytes, body: bytes = b"") -> None:
        if is_of_provider(status):
            raise UpstreamFault("The provider refused the request.", status=status)
        self.outlet.send(status, header_lines, body)
