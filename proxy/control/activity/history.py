"""Counters of each of the last 900 seconds. Exchanges are counted as they end; a second is closed when it is over."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from proxy.control.activity.record import ExchangeRecord
from proxy.control.deployments.samples import Percentiles, percentiles
from proxy.exchange import Exchange

SECONDS: Final = 900
# Durations from which the percentiles of a second are computed; of a busier second the last ones.
MAX_DURATIONS: Final = 512

NOT_FAILED: Final = ("ok", "client_gone")  # every other outcome is a failure


class SecondStats(Struct, frozen=True):
    """Counters of the second ``at`` of the loop's clock. ``tokens``: of answers that ended in it; ``active``: exchanges
    in progress at its end. Percentiles are in milliseconds, ``None`` without values."""

    at: int
    requests: int = 0
    errors: int = 0
    fallbacks: int = 0
    tokens: int = 0
    active: int = 0
    latency: Percentiles | None = None
    first_token: Percentiles | None = None


class _CurrentSecond:
    """Counters of the second in progress."""

    __slots__ = ("ended", "errors", "fallbacks", "first_tokens", "requests", "tokens")

    def __init__(self) -> None:
        self.requests = self.errors = self.fallbacks = self.tokens = 0
        self.ended: deque[Exchange | ExchangeRecord] = deque(maxlen=MAX_DURATIONS)  # for their durations
        self.first_tokens: deque[float] = deque(maxlen=MAX_DURATIONS)


class History:
    """``count`` calls to models as they end, ``close`` each second. An idle second takes no memory."""

    def __init__(self) -> None:
        self._current = _CurrentSecond()
        self._closed: deque[SecondStats] = deque()

    def __repr__(self) -> str:
        return f"<History of {len(self._closed)} seconds>"

    def count(self, ended: Sequence[Exchange | ExchangeRecord], tokens: int) -> None:
        """Count calls that ended in the current second; ``tokens``: of all their answers, as far as known."""
        current = self._current
        current.ended.extend(ended)
        current.requests += len(ended)
        current.tokens += tokens
        for exchange in ended:
            if exchange.stream and (first := exchange.first_content) is not None:
                current.first_tokens.append(first - exchange.began)
            if exchange.outcome not in NOT_FAILED:
                current.errors += 1
            if exchange.fallback_used:
                current.fallbacks += 1

    def close(self, at: int, active: int) -> SecondStats:
        """Close the second ``at``, with ``active`` exchanges in progress. It is kept unless it was idle."""
        current = self._current
        if not current.requests:
            second = SecondStats(at, active=active)
        else:
            self._current = _CurrentSecond()
            second = _stats(current, at, active)
        if current.requests or active:
            self._closed.append(second)
        while self._closed and self._closed[0].at <= at - SECONDS:
            self._closed.popleft()
        return second

    def last(self, count: int, until: int) -> list[SecondStats]:
        """The ``count`` seconds that end with ``until``, oldest first, including idle ones."""
        known = {second.at: second for second in self._closed if second.at > until - count}
        return [known.get(at) or SecondStats(at) for at in range(until - count + 1, until + 1)]


def _stats(current: _CurrentSecond, at: int, active: int) -> SecondStats:
    return SecondStats(
        at,
        current.requests,
        current.errors,
        current.fallbacks,
        current.tokens,
        active,
        percentiles([(exchange.ended or exchange.began) - exchange.began for exchange in current.ended], 1000.0),
        percentiles(current.first_tokens, 1000.0),
    )
