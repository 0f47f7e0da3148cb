"""How fast each deployment answered recently: its latest successful answers, and its latest failure."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Sequence
from math import isnan, nan
from typing import Final

from msgspec import Struct

MAX_ANSWERS: Final = 200  # of a deployment
MAX_DEPLOYMENTS: Final = 20_000  # including those made from clients' model names
_WIDTH: Final = 3  # duration, time to the first token, tokens
_EMPTY: Final = (0.0,) * _WIDTH
_LAYOUT: Final = struct.Struct(f"{_WIDTH}f")
_put = _LAYOUT.pack_into
_STEP: Final = _LAYOUT.size  # bytes
_END: Final = MAX_ANSWERS * _STEP


class Percentiles(Struct, frozen=True):
    """The median and the 95th percentile."""

    p50: float
    p95: float


class LastFailure(Struct, frozen=True, gc=False):
    """A failed attempt; ``at`` is a time of the loop's clock."""

    at: float
    kind: str
    reason: str
    request_id: str


class DeploymentSamples:
    """Samples of one deployment; durations are in seconds."""

    __slots__ = ("_next", "_ring", "last_failure")

    def __init__(self) -> None:
        # Single precision, 2.4 KB per deployment: as objects, 10,000 deployments would take 300 MB.
        self._ring = array("f")
        self._next = 0  # in bytes
        self.last_failure: LastFailure | None = None

    def __repr__(self) -> str:
        return f"<DeploymentSamples of {len(self)} answers>"

    def __len__(self) -> int:
        return len(self._ring) // _WIDTH

    def add(self, duration: float, first_token: float | None, tokens: int | None) -> None:
        """Add a successful answer; ``None`` is not known."""
        ring, at = self._ring, self._next
        if first_token is None:
            first_token = nan
        known = nan if tokens is None else tokens
        try:
            _put(ring, at, duration, first_token, known)
        except struct.error:  # the ring is not full yet
            ring.extend(_EMPTY)
            _put(ring, at, duration, first_token, known)
        at += _STEP
        self._next = at if at < _END else 0

    def durations(self) -> list[float]:
        """Oldest first."""
        return self._column(0)

    def first_tokens(self) -> list[float]:
        """Times to the first token, where known."""
        return [each for each in self._column(1) if not isnan(each)]

    def tokens_per_second(self) -> float | None:
        """Over all answers: of streams from their first token, of others over the whole duration."""
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


class SamplesByDeployment(dict[str, DeploymentSamples]):
    """Samples by deployment key. A subscript creates missing ones; above ``MAX_DEPLOYMENTS`` the oldest is dropped."""

    __slots__ = ()

    def __missing__(self, key: str) -> DeploymentSamples:
        if len(self) >= MAX_DEPLOYMENTS:
            del self[next(iter(self))]
        samples = self[key] = DeploymentSamples()
        return samples


def percentiles(values: Sequence[float], scale: float = 1.0) -> Percentiles | None:
    """By the nearest rank, times ``scale``, rounded to three places; ``None`` without values."""
    if not values:
        return None
    ordered = sorted(values)
    return Percentiles(_ranked(ordered, 50, scale), _ranked(ordered, 95, scale))


def _ranked(ordered: Sequence[float], percent: int, scale: float) -> float:
    # The nearest rank is ceil(n * p), in integers so that rounding cannot add one.
    rank = -(-len(ordered) * percent // 100)
    return round(ordered[rank - 1] * scale, 3)
