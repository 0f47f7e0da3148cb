"""Slots (concurrent requests) in one process."""

from __future__ import annotations

from collections.abc import Iterator


class Slots:
    """Leases that hold a slot, by limit and key. A lease holds at most one slot of a key.

    The leases are kept rather than their number, so that releasing twice does no harm. Keys without leases are not
    kept.
    """

    __slots__ = ("_holders",)

    def __init__(self) -> None:
        self._holders: dict[str, dict[str, set[int]]] = {}

    def __repr__(self) -> str:
        return f"<Slots {', '.join(f'{name} of {len(keys)} keys' for name, keys in self._holders.items())}>"

    def count(self, name: str, key: str) -> int:
        keys = self._holders.get(name)
        return len(keys.get(key, ())) if keys is not None else 0

    def count_with(self, name: str, key: str, lease: int) -> int:
        """Number of slots in use if ``lease`` holds one as well."""
        keys = self._holders.get(name)
        leases = keys.get(key) if keys is not None else None
        return 1 if leases is None else len(leases) + (lease not in leases)

    def acquire(self, name: str, key: str, lease: int) -> None:
        self._holders.setdefault(name, {}).setdefault(key, set()).add(lease)

    def release(self, name: str, key: str, lease: int) -> None:
        keys = self._holders.get(name, {})
        leases = keys.get(key)
        if leases is None:
            return
        leases.discard(lease)
        if not leases:
            del keys[key]

    def items(self, name: str) -> Iterator[tuple[str, int]]:
        for key, leases in self._holders.get(name, {}).items():
            yield key, len(leases)
