"""The addresses of one service at one moment, and the choice among them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from proxy.addresses.live import LiveAddress


class AddressGroup:
    """Never changes, except for turns. A change of the set makes another group with the same live addresses."""

    __slots__ = ("_turn", "addresses")

    def __init__(self, addresses: Sequence[LiveAddress]) -> None:
        self.addresses = tuple(addresses)
        self._turn = 0

    def __repr__(self) -> str:
        return f"<AddressGroup of {len(self.addresses)}>"

    def choose(self, now: float, key: bytes = b"", tried: Collection[LiveAddress] = ()) -> LiveAddress | None:
        """The address for a request; ``None``: none is usable. Those that were ``tried`` are left out.

        ``key``: requests with the same key stay at one address; ``b""``: any may be used.
        """
        addresses = self.addresses
        for _ in addresses:
            self._turn = (self._turn + 1) % len(addresses)
            found = addresses[self._turn]
            if found not in tried and found.usable(now):
                return found
        return None
