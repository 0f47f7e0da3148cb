"""Slots that this process holds in Redis."""

from __future__ import annotations

from collections.abc import Iterator

from proxy.limits.batch import Slot


class Leases:
    """Slots by lease."""

    def __init__(self) -> None:
        self._held: dict[int, set[Slot]] = {}

    def add(self, slot: Slot, lease: int) -> bool:
        """Add a slot; ``False`` if the lease holds it already."""
        held = self._held.setdefault(lease, set())
        if slot in held:
            return False
        held.add(slot)
        return True

    def remove(self, slot: Slot, lease: int) -> bool:
        """Remove a slot; ``False`` if the lease does not hold it."""
        held = self._held.get(lease, ())
        if slot not in held:
            return False
        self._held[lease].remove(slot)
        if not self._held[lease]:
            del self._held[lease]
        return True

    def __contains__(self, held: tuple[Slot, int]) -> bool:
        slot, lease = held
        return slot in self._held.get(lease, ())

    def __iter__(self) -> Iterator[tuple[Slot, int]]:
        return ((slot, lease) for lease, held in self._held.items() for slot in held)

    def __bool__(self) -> bool:
        return bool(self._held)
