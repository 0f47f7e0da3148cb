"""Errors of providers, for which a stale answer can stand in, and the error of the cache itself."""

from __future__ import annotations

from typing import Final

from proxy.errors import GatewayError, Overloaded, UpstreamFault
from proxy.server.outlet import OutletWrapper

# Of an account: it has to pay, or has used up its quota or its rate. The client cannot help that.
_ACCOUNT: Final = frozenset((402, 429))

_ABSENT: Final = "The cache has no answer to this request, and its x-router-cache or Cache-Control allows no other."


def is_provider_status(status: int) -> bool:
    """Whether the client is not to blame for a status."""
    return status >= 500 or status in _ACCOUNT


def is_provider_fault(fault: GatewayError) -> bool:
    """Whether no provider could answer, so that a stale answer is better than none.

    Limits and budgets of the gateway refuse the client, and a shutdown ends its request.
    """
    return isinstance(fault, UpstreamFault | Overloaded) and is_provider_status(fault.status)


class RefusalGuard(OutletWrapper):
    """Raises UpstreamFault instead of sending an error that the provider is to blame for."""

    __slots__ = ()

    def send(self, status: int, header_lines: bytes, body: bytes = b"") -> None:
        if is_provider_status(status):
            raise UpstreamFault("The provider refused the request.", status=status)
        self.outlet.send(status, header_lines, body)


def not_cached() -> GatewayError:
    """RFC 9111, section 5.2.1.7. SDKs would retry a 504, in vain."""
    fault = GatewayError(_ABSENT, status=504, code="not_cached")
    fault.should_retry = False
    return fault
