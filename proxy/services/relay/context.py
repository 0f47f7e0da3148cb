"""What all requests to services share."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from msgspec import Struct

from proxy.services.relay.request_head import RequestHeads
from proxy.services.relay.retries import RetryBudget

if TYPE_CHECKING:
    from proxy.relay.context import TransportContext


class RelayContext(Struct, frozen=True):
    """``via``: the gateway's line in answers. ``body_timeout``: seconds that a client has for its body, beyond a low
    rate; 0: no limit.
    """

    transport: TransportContext
    heads: RequestHeads
    via: bytes
    body_timeout: float
    retries: RetryBudget
    chance: Random
