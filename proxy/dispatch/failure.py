"""A failed attempt: its cause, and the response to return if no other attempt succeeds."""

from __future__ import annotations

from msgspec import Struct

from proxy.dialects.provider_error import ProviderError
from proxy.errors import ClientFault, UpstreamFault
from proxy.exchange import Attempt
from proxy.relay.body import CollectedAnswer
from proxy.routing.rules import FailureKind


class AttemptFailure(Struct):
    """Why an attempt failed. ``retry_after``: seconds, from the provider.

    ``error`` is the provider's error without credentials. It is ``None`` if the provider sent none, or if it concerns
    the gateway's own credential.
    """

    attempt: Attempt
    kind: FailureKind
    retry_after: float | None = None
    answer: CollectedAnswer | None = None  # the provider's error response
    fault: UpstreamFault | ClientFault | None = None  # ClientFault: the request cannot be translated
    error: ProviderError | None = None
    final: bool = False  # the request cannot be sent again
    others_only: bool = False  # a retry on the same deployment cannot help
