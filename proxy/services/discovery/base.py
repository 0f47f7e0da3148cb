"""The face of all sources of addresses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from msgspec import Struct

from proxy.config.service_schema import ServerAddress

Found = Callable[[Sequence[ServerAddress]], None]


class SourceState(Struct, frozen=True):
    """``up``: the source answered last. ``at``: when it did, in Unix seconds; 0: never. ``error``: why it does not."""

    up: bool
    at: float = 0.0
    error: str = ""


class AddressSource(Protocol):
    """Follows the addresses of one service. It survives any failure of its technology: the last addresses stay."""

    @property
    def state(self) -> SourceState: ...

    async def follow(self, found: Found) -> None:
        """Call ``found`` with all addresses, at first and after each change, until it is canceled."""
