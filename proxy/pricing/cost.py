"""What one attempt cost, and where the number comes from."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

# operator: by the prices of the configuration. provider: as the provider reported it. catalog: by the shipped prices.
# unpriced: not known. none: nothing was sent or billed, so the cost is 0.
CostSource = Literal["operator", "provider", "catalog", "unpriced", "none"]


class RatedCost(Struct, frozen=True, gc=False):
    """``nano``: nano-USD, ``None`` for the source ``unpriced`` only. ``version``: of the prices, ``""`` without any."""

    nano: int | None
    source: CostSource
    version: str = ""


UNPRICED: Final = RatedCost(None, "unpriced")
NOTHING: Final = RatedCost(0, "none")
