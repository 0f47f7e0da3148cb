"""The arithmetic of one bucket: a generic cell rate algorithm (ITU-T I.371), told in levels.

The whole state of a bucket is ``full_at``, the moment at which it is full again if nothing more is taken. What lies
ahead of ``now`` is time that refilling still needs, and so the level follows from it. A bucket that is full says
nothing that a new one does not, whence any moment in the past stands for it, and it may be forgotten.

Moments and durations are seconds, of whatever clock; amounts are requests or tokens. Limits of slots have no bucket.
"""

from __future__ import annotations

from proxy.limits.base import Limit

# A take may use a bucket up to this part. Sums of moments are rounded, by 1e-9 s each on a machine that is up for
# months; with a bound of 1 the last request of a burst would now and then be refused, and so would a client that
# waits for as long as it was told. The millionth does not add up: it is how empty a bucket can be by takes, once.
BOUND = 1.0 + 1e-6

FULL = 0.0  # the state of a bucket that nobody has used, as long as ``now`` is not negative


def refill(limit: Limit) -> float:
    """How long an empty bucket takes to be full."""
    return limit.refill


def level(limit: Limit, full_at: float, now: float) -> float:
    """What is in the bucket; below 0 it is in debt."""
    return limit.capacity - reset_after(full_at, now) * limit.rate


def reset_after(full_at: float, now: float) -> float:
    """How long until the bucket is full; 0 where it is."""
    return max(full_at - now, 0.0)


def taken(limit: Limit, full_at: float, now: float, amount: float) -> float | None:
    """The ``full_at`` that follows when ``amount`` is taken; ``None`` where so much is not there."""
    after = max(full_at, now) + amount / limit.rate
    return after if after - now <= refill(limit) * BOUND else None


def retry_after(limit: Limit, full_at: float, now: float, amount: float) -> float:
    """How long until ``amount`` is there; 0 where it is. More than the capacity never is, however long one waits."""
    return max(max(full_at, now) + amount / limit.rate - now - refill(limit), 0.0)


def corrected(limit: Limit, full_at: float, now: float, amount: float) -> float:
    """The ``full_at`` that follows when ``amount`` is taken unasked, or given back where it is negative.

    The debt is bounded by one capacity, so that one wrong estimate shuts nobody out for hours, and giving back
    never leads beyond full.
    """
    after = max(full_at, now) + amount / limit.rate
    return min(max(after, now), now + 2.0 * refill(limit))
