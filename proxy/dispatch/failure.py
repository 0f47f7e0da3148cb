"""A failed attempt: its cause, and the response to return if no other attempt succeeds."""

from __future__ import annotations

from msgspec import Struct

from proxy.dialects.openai_error import ProviderError
from proxy.errors import UpstreamFault
from proxy.exchange import Attempt
from proxy.relay.collect import Answer
from proxy.routing.rules import Kind


class AttemptFailure(Struct):
    """``retry_after``: seconds, as the provider said. ``error`` is what the provider said, without credentials;
    ``None`` where it said nothing, or spoke of the gateway's own credential."""

    attempt: Attempt
    kind: Kind
    retry_after: float | None = None
    answer: Answer | None = None  # the provider's own error
    fault: UpstreamFault | None = None
    error: ProviderError | None = None
