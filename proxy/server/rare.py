"""Headers that few requests have. One pass over the names replaces a lookup of each, which costs 2 % of a request."""

from __future__ import annotations

from operator import itemgetter
from typing import Final

from proxy.net.headers import NameMemo

RARE: Final = frozenset((b"content-encoding", b"origin", b"via", b"x-client-id", b"x-request-id"))
RARE_PREFIX: Final = b"x-router-"


class _Rare(NameMemo[bool]):
    def compute(self, key: bytes) -> bool:
        lower = key.lower()
        return lower in RARE or lower.startswith(RARE_PREFIX)


# Of a header's name: whether it is in ``RARE`` or starts with ``RARE_PREFIX``, ignoring case. Results are remembered.
is_rare: Final = _Rare().__getitem__
name_of: Final = itemgetter(0)
