"""What the providers got and billed: the measure of the ledger."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from tests.ledger.load.prices import PROVIDERS


class Entry(NamedTuple):
    """A usage that was sent: the number of the request, the provider, and nano-USD."""

    request: int
    provider: int
    cost: int


class Books:
    """Of all providers."""

    def __init__(self) -> None:
        self.requests = 0
        self.attempts = 0  # as far as is certain: without requests that may be sent again
        self.received: Counter[tuple[int, int]] = Counter()  # requests by number and provider
        self.repeated: Counter[tuple[int, int]] = Counter()  # those among them that the gateway may send again
        self.billed: list[Entry] = []
        self.faults: Counter[str] = Counter()

    def sums(self) -> list[int]:
        """Nano-USD by provider."""
        sums = [0] * PROVIDERS
        for entry in self.billed:
            sums[entry.provider] += entry.cost
        return sums
