"""Arithmetic of one token bucket, as the generic cell rate algorithm (GCRA, ITU-T I.371).

The only state of a bucket is ``full_at``: the time at which it will be full if nothing more is taken. The level
follows from ``full_at - now``. A full bucket equals a new one, so any past time represents it, and it need not be
stored.

Times and durations are seconds of any clock. Amounts are requests or tokens; slots have no bucket.
"""

from __future__ import annotations

from proxy.limits.base import Limit

# Most of a bucket that takes may use, with a tolerance for rounding: 1e-9 s per sum on a machine that is up for
# months. Without it, the last request of a burst, or a client that waited for Retry-After, is sometimes refused.
# The tolerance does not accumulate.
BOUND = 1.0 + 1e-6

FULL = 0.0  # ``full_at`` of an unused bucket, if ``now`` is not negative


def refill(limit: Limit) -> float:
    """Seconds until an empty bucket is full."""
    return limit.refill


def level(limit: Limit, full_at: float, now: float) -> float:
    """The amount in the bucket; negative: in debt."""
    return limit.capacity - reset_after(full_at, now) * limit.rate


def reset_after(full_at: float, now: float) -> float:
    """Seconds until the bucket is full."""
    return max(full_at - now, 0.0)


def taken(limit: Limit, full_at: float, now: float, amount: float) -> float | None:
    """``full_at`` after taking ``amount``; ``None`` if the bucket holds less."""
    after = max(full_at, now) + amount / limit.rate
    return after if after - now <= refill(limit) * BOUND else None


def retry_after(limit: Limit, full_at: float, now: float, amount: float) -> float:
    """Seconds until ``amount`` is available. It must not exceed the capacity."""
    return max(max(full_at, now) + amount / limit.rate - now - refill(limit), 0.0)


def corrected(limit: Limit, full_at: float, now: float, amount: float) -> float:
    """``full_at`` after a correction: positive amounts are taken, negative ones returned.

    Debt is bounded by one capacity, so that one wrong estimate does not block a client for hours.
    """
    after = max(full_at, now) + amount / limit.rate
    return min(max(after, now), now + 2.0 * refill(limit))
