"""Columns of the ledger's tables, without SQLAlchemy: the recorder writes them and must stay small."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

import msgspec

# Tokens by class, as in ``proxy.dialects.usage``, and generated images.
CLASSES: Final = (
    *("input", "cached", "cache_write", "cache_write_1h", "output", "reasoning"),
    *("audio_input", "audio_output", "image_input", "image_output", "images"),
)

# The ledger is summed by hour and by these columns.
DIMENSIONS: Final = (
    *("model", "provider", "upstream_model", "endpoint", "client", "key", "owner", "team", "project"),
    "end",
)

# ``answered``: attempts that gave a client its answer. ``failed``: the others. ``estimated``, ``unknown``: attempts by
# ``usage_source``; ``unpriced``: with usage and without a price. The times are sums over attempts that had them.
COUNTS: Final = (
    *("attempts", "answered", "failed", "estimated", "unknown", "unpriced"),
    *("duration_ms", "first_content_ms", "with_first_content"),
)
LOST: Final = "lost"  # ``end`` of an attempt whose gateway died before it ended: it has no duration
COSTS: Final = ("cost", "cost_estimated")  # nano-USD: by reported usage, by estimated usage
CACHED: Final = "cached"  # ``end`` of an answer from the cache, which no attempt has
SAVINGS: Final = ("from_cache", "saved")  # such answers, and what they once cost, in nano-USD

RUN: Final = "run"
LABEL: Final = "label:"
"""Begins the name of a label where it stands beside other columns. Its own name follows."""
# Each label, and the run, is summed by hour, by its value and by these columns.
LABEL_DIMENSIONS: Final = ("owner", "team", "project")
ALL: Final = ""
"""In the place of a label's name: the sums of all rows, so that those without a label can be told."""

TOKENS: Final = tuple(name for name in CLASSES if name != "images")

BALANCE_COUNTER: Final = "balance/total/"
"""Begins the key of the counter of an account, whose id follows."""
FUNDING: Final = ":funding"
USAGE: Final = ":usage"
"""Accounts of the gateway itself, which have no row: money comes from the one, and calls pay into the other."""
OPENING: Final = "Opening balance"
"""Description of the transfer that an account begins with."""

_encode = msgspec.json.encode


def digest(dimensions: Sequence[str]) -> str:
    """Hash of the values of dimensions, in their order: hex, 32 characters."""
    return blake2b(_encode(dimensions), digest_size=16).hexdigest()
