"""How fast each deployment answered lately: its last good answers, and what went wrong last."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Sequence
from math import isnan, nan

from msgspec import Struct

KEPT = 200  # answers of a deployment
MOST = 20_000  # deployments; those of names that clients made up are among them
_WIDTH = 3  # duration, time to the first token, tokens
_ROOM = (0.0,) * _WIDTH
_LAYOUT = struct.Struct(f"{_WIDTH}f")
_put = _LAYOUT.pack_into
_STEP = _LAYOUT.size  # bytes
_END = KEPT * _STEP


class Spread(Struct, frozen=True):
    """Of values in the unit of whoever asked: the median, and what 19 of 20 do not exceed."""

    p50: float
    p95: float


class Mishap(Struct, frozen=True, gc=False):
    """An attempt that failed; ``at`` is a moment of the loop's clock."""

    at: float
    kind: str
    reason: str
    request_id: str


class Samples:
    """Of one deployment; all durations are seconds. ``mishap`` is its latest one."""

    __slots__ = ("_next", "_ring", "mishap")

    def __init__(self) -> None:
        # Single precision, 2.4 KB for each deployment: as objects 10,000 of them would hold 300 MB.
        self._ring = array("f")
        self._next = 0  # in bytes
        self.mishap: Mishap | None = None

    def __repr__(self) -> str:
        return f"<Samples of {len(self)} answers>"

    def __len__(self) -> int:
        return len(self._ring) // _WIDTH

    def add(self, duration: float, first_token: float | None, tokens: int | None) -> None:
        """A good answer; ``None`` is not known."""
        ring, at = self._ring, self._next
        if first_token is None:
            first_token = nan
        known = nan if tokens is None else tokens
        try:
            _put(ring, at, duration, first_token, known)
        except struct.error:  # it grows as answers come
            ring.extend(_ROOM)
            _put(ring, at, duration, first_token, known)
        at += _STEP
        self._next = at if at < _END else 0

    def durations(self) -> list[float]:
        """Oldest first."""
        return self._column(0)

    def first_tokens(self) -> list[float]:
        return [each for each in self._column(1) if not isnan(each)]

    def tokens_per_second(self) -> float | None:
        """Over all the answers together: of streams from their first token on, of others over the whole duration."""
        tokens = seconds = 0.0
        for duration, first, count in zip(self._column(0), self._column(1), self._column(2), strict=True):
            if not isnan(count):
                tokens += count
                seconds += duration if isnan(first) else duration - first
        return tokens / seconds if tokens and seconds > 0 else None

    def _column(self, number: int) -> list[float]:
        values = self._ring.tolist()[number::_WIDTH]
        oldest = self._next // _STEP
        return values[oldest:] + values[:oldest]


class Deployments(dict[str, Samples]):
    """The ``Samples`` of each deployment, by its key; they are there when they are first asked for by a subscript. Of
    more than ``MOST`` the one seen first is forgotten."""

    __slots__ = ()

    def __missing__(self, key: str) -> Samples:
        if len(self) >= MOST:
            del self[next(iter(self))]
        found = self[key] = Samples()
        return found


def spread(values: Sequence[float], scale: float = 1.0) -> Spread | None:
    """By the nearest rank, times ``scale`` and rounded to three places; ``None`` of no values."""
    if not values:
        return None
    ordered = sorted(values)
    return Spread(_ranked(ordered, 50, scale), _ranked(ordered, 95, scale))


def _ranked(ordered: Sequence[float], percent: int, scale: float) -> float:
    # The nearest rank is ceil(n * p); in integers, so that no rounding makes it one more.
    rank = -(-len(ordered) * percent // 100)
    return round(ordered[rank - 1] * scale, 3)
