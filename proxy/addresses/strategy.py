"""What a strategy is: the choice among usable addresses of the same priority and region."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Protocol

from proxy.addresses.live import LiveAddress


class AddressStrategy(Protocol):
    """Made for a set of addresses, and made anew when the set or a weight changes.

    ``weights``: above 0, one for each of the ``members``, of which there is at least one. ``before``: the strategy that
    this one follows, whose turns go on.
    """

    def __init__(
        self, members: Sequence[LiveAddress], weights: Sequence[int], random: Random, before: AddressStrategy | None
    ) -> None: ...

    def pick(self, now: float) -> LiveAddress:
        """One of the members."""
        ...

    def pick_among(self, places: Sequence[int], now: float) -> LiveAddress:
        """One of the members at these places, of which there is at least one. Rare, and may take longer."""
        ...
