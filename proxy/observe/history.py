"""What happened in each of the last 900 seconds, and all in all: counted as exchanges end, closed once a second."""

from __future__ import annotations

from collections import deque

from msgspec import Struct

from proxy.observe.record import Record
from proxy.observe.samples import Spread, spread
from proxy.wire.usage import Usage

SECONDS = 900
# So many durations of one second make its percentiles; of a busier one the last that came.
KEPT = 512

FAILED = frozenset(("error", "broken", "cancelled"))


class Second(Struct, frozen=True):
    """``at`` is the second of the loop's clock; ``tokens`` are those of answers that ended in it, ``active`` how many
    exchanges ran at its end. Spreads are in milliseconds, ``None`` where nothing was measured."""

    at: int
    requests: int = 0
    errors: int = 0
    fallbacks: int = 0
    tokens: int = 0
    active: int = 0
    latency: Spread | None = None
    first_token: Spread | None = None


class Totals(Struct):
    """Since the start. ``failed`` counts answers that were an error or broke, and not clients that left; ``duration``
    is the sum in seconds; of tokens what providers told, in disjoint classes."""

    requests: int = 0
    ok: int = 0
    failed: int = 0
    fallbacks: int = 0
    duration: float = 0.0
    input: int = 0
    cached: int = 0
    output: int = 0
    reasoning: int = 0


class _Tally:
    """The second that runs."""

    __slots__ = ("durations", "errors", "fallbacks", "first_tokens", "requests", "tokens")

    def __init__(self) -> None:
        self.requests = self.errors = self.fallbacks = self.tokens = 0
        self.durations: list[float] = []
        self.first_tokens: list[float] = []


class History:
    """``count`` each exchange, ``close`` each second. A second in which nothing happened takes no memory."""

    def __init__(self) -> None:
        self.totals = Totals()
        self._tally = _Tally()
        self._closed: deque[Second] = deque()

    def __repr__(self) -> str:
        return f"<History of {self.totals.requests} exchanges, {len(self._closed)} seconds kept>"

    def count(self, record: Record, tokens: int | None) -> None:
        """``tokens`` of its answer, as far as they are known."""
        tally, totals = self._tally, self.totals
        duration, at = record.ended - record.began, tally.requests
        tally.requests = at + 1
        totals.duration += duration
        outcome = record.outcome
        if outcome == "ok":
            totals.ok += 1
        elif outcome in FAILED:
            tally.errors += 1
        if record.fallback_used:
            tally.fallbacks += 1
        if tokens is not None:
            tally.tokens += tokens
        if record.usage is not None:
            _add(totals, record.usage)
        if at < KEPT:
            tally.durations.append(duration)
        else:
            tally.durations[at % KEPT] = duration
        first = record.first_content
        if first is not None and record.stream:
            _keep(tally.first_tokens, at, first - record.began)

    def close(self, at: int, active: int) -> Second:
        """The second ``at`` is over, in whose end ``active`` exchanges run. It is kept if anything was going on."""
        tally = self._tally
        if not tally.requests:
            second = Second(at, active=active)
        else:
            self._tally = _Tally()
            second = _closed(tally, at, active)
            self._sum(tally)
        if tally.requests or active:
            self._closed.append(second)
        while self._closed and self._closed[0].at <= at - SECONDS:
            self._closed.popleft()
        return second

    def last(self, count: int, until: int) -> list[Second]:
        """The ``count`` seconds that end with ``until``, oldest first; idle ones are made up for it."""
        known = {second.at: second for second in self._closed if second.at > until - count}
        return [known.get(at) or Second(at) for at in range(until - count + 1, until + 1)]

    def summed(self) -> Totals:
        """``totals``, the second that still runs included."""
        tally, totals = self._tally, self.totals
        return Totals(
            totals.requests + tally.requests,
            totals.ok,
            totals.failed + tally.errors,
            totals.fallbacks + tally.fallbacks,
            totals.duration,
            totals.input,
            totals.cached,
            totals.output,
            totals.reasoning,
        )

    def _sum(self, tally: _Tally) -> None:
        totals = self.totals
        totals.requests += tally.requests
        totals.failed += tally.errors
        totals.fallbacks += tally.fallbacks


def _closed(tally: _Tally, at: int, active: int) -> Second:
    return Second(
        at,
        tally.requests,
        tally.errors,
        tally.fallbacks,
        tally.tokens,
        active,
        spread(tally.durations, 1000.0),
        spread(tally.first_tokens, 1000.0),
    )


def _keep(values: list[float], number: int, value: float) -> None:
    if len(values) < KEPT:
        values.append(value)
    else:
        values[number % KEPT] = value


def _add(totals: Totals, usage: Usage) -> None:
    # Unknown (None) is not 0; a provider that reports less than nothing turns no counter back.
    value = usage.input
    if value is not None and value > 0:
        totals.input += value
    value = usage.cached
    if value is not None and value > 0:
        totals.cached += value
    value = usage.output
    if value is not None and value > 0:
        totals.output += value
    value = usage.reasoning
    if value is not None and value > 0:
        totals.reasoning += value
