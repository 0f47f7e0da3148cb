"""What happened in each of the last 900 seconds, and all in all: counted as exchanges end, closed once a second."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from msgspec import Struct

from proxy.exchange import Exchange
from proxy.observe.facts import generated
from proxy.observe.samples import Spread, spread

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
        self.durations: deque[float] = deque(maxlen=KEPT)
        self.first_tokens: deque[float] = deque(maxlen=KEPT)


class History:
    """``count`` all exchanges, ``close`` each second. A second in which nothing happened takes no memory."""

    def __init__(self) -> None:
        self.totals = Totals()
        self._tally = _Tally()
        self._closed: deque[Second] = deque()

    def __repr__(self) -> str:
        return f"<History of {self.totals.requests} exchanges, {len(self._closed)} seconds kept>"

    def count(self, ended: Sequence[Exchange]) -> None:
        """Exchanges that ended in the second that runs."""
        tally = self._tally
        durations, first_tokens = tally.durations.append, tally.first_tokens.append
        good = failed = fallbacks = tokens = input_ = cached = output = reasoning = 0
        seconds = 0.0
        for exchange in ended:
            began, end, first, outcome = exchange.began, exchange.ended, exchange.first_content, exchange.outcome
            duration = end - began if end is not None else 0.0
            durations(duration)
            seconds += duration
            if first is not None and exchange.stream:
                first_tokens(first - began)
            if outcome == "ok":
                good += 1
            elif outcome in FAILED:
                failed += 1
            if exchange.fallback_used:
                fallbacks += 1
            tokens += generated(exchange) or 0
            usage = exchange.usage
            if usage is not None:
                # Unknown (None) is not 0; a provider that reports less than nothing turns no counter back.
                if (count := usage.input) is not None and count > 0:
                    input_ += count
                if (count := usage.cached) is not None and count > 0:
                    cached += count
                if (count := usage.output) is not None and count > 0:
                    output += count
                if (count := usage.reasoning) is not None and count > 0:
                    reasoning += count
        tally.requests += len(ended)
        tally.errors += failed
        tally.fallbacks += fallbacks
        tally.tokens += tokens
        self._add(good, seconds, input_, cached, output, reasoning)

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

    def _add(self, ok: int, seconds: float, input_: int, cached: int, output: int, reasoning: int) -> None:
        totals = self.totals
        totals.ok += ok
        totals.duration += seconds
        totals.input += input_
        totals.cached += cached
        totals.output += output
        totals.reasoning += reasoning

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
