"""Headers that few requests have. One pass over the names replaces a lookup of each, which costs 2 % of a request.

Those of attribution are apart: Claude Code and Codex send one with each call, which shall not cost all other lookups.
"""

from __future__ import annotations

from operator import itemgetter
from typing import Final

from proxy.net.headers import NameMemo
from proxy.wire.attribution import HEADERS

RARE: Final = frozenset((b"content-encoding", b"origin", b"via", b"x-client-id", b"x-request-id"))
RARE_PREFIX: Final = b"x-router-"

ATTRIBUTION: Final = frozenset(str(name).encode() for name in HEADERS)

# The sum of the weights of a request's headers says which kinds are there. It has fewer headers than RARE_WEIGHT.
RARE_WEIGHT: Final = 1 << 20
ATTRIBUTION_WEIGHT: Final = 1


class _Weights(NameMemo[int]):
    def compute(self, key: bytes) -> int:
        lower = key.lower()
        if lower in ATTRIBUTION:
            return ATTRIBUTION_WEIGHT
        return RARE_WEIGHT if lower in RARE or lower.startswith(RARE_PREFIX) else 0


# Of a header's name, ignoring case. Results are remembered.
weight_of: Final = _Weights().__getitem__
name_of: Final = itemgetter(0)
