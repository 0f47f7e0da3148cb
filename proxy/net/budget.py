"""A bound for the bytes that the process holds at once."""

from __future__ import annotations

from proxy.errors import Overloaded


class Budget:
    """Counts the bytes of requests and answers that are held."""

    __slots__ = ("limit", "used")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0

    def take(self, count: int) -> None:
        """Raises Overloaded if the process would hold too much."""
        used = self.used + count
        if used > self.limit:
            raise Overloaded("The gateway holds too much data at the moment.", code="buffers_full")
        self.used = used

    def give(self, count: int) -> None:
        self.used -= count
