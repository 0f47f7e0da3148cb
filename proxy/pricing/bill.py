"""What one attempt used and cost, and how far that is known."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

from proxy.dialects.usage import Usage
from proxy.pricing.cost import NOTHING, UNPRICED, RatedCost

# provider: the provider reported the usage. estimated: content came, and some count did not; or nobody waited for the
# content, and at least the input is billed. unknown: the request was sent, and nothing tells what was billed. none:
# nothing was sent, or it is not billed.
UsageSource = Literal["provider", "estimated", "unknown", "none"]


class Bill(Struct, frozen=True, gc=False):
    """``usage``: without any count if it is unknown."""

    source: UsageSource
    usage: Usage
    cost: RatedCost


FREE: Final = Bill("none", Usage(0, None, 0), NOTHING)
UNKNOWN: Final = Bill("unknown", Usage(), UNPRICED)
