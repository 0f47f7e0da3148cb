"""What happened in each of the last 900 seconds: counted as exchanges end, closed once a second."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from msgspec import Struct

from proxy.control.activity.record import Record
from proxy.control.activity.samples import Spread, spread
from proxy.exchange import Exchange

SECONDS = 900
# So many durations of one second make its percentiles; of a busier one the last that came.
KEPT = 512

NOT_FAILED = ("ok", "client_gone")  # whatever else an outcome is, it is a failure


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


class _Tally:
    """The second that runs."""

    __slots__ = ("errors", "fallbacks", "first_tokens", "last", "requests", "tokens")

    def __init__(self) -> None:
        self.requests = self.errors = self.fallbacks = self.tokens = 0
        self.last: deque[Exchange | Record] = deque(maxlen=KEPT)  # how long they took is asked at the second's end
        self.first_tokens: deque[float] = deque(maxlen=KEPT)


class History:
    """``count`` all calls to models, ``close`` each second. A second in which nothing happened takes no memory."""

    def __init__(self) -> None:
        self._tally = _Tally()
        self._closed: deque[Second] = deque()

    def __repr__(self) -> str:
        return f"<History of {len(self._closed)} seconds>"

    def count(self, ended: Sequence[Exchange | Record], tokens: int) -> None:
        """Calls that ended in the second that runs, and how many tokens their answers had as far as is known."""
        tally = self._tally
        tally.last.extend(ended)
        tally.requests += len(ended)
        tally.tokens += tokens
        for exchange in ended:
            if exchange.stream and (first := exchange.first_content) is not None:
                tally.first_tokens.append(first - exchange.began)
            if exchange.outcome not in NOT_FAILED:
                tally.errors += 1
            if exchange.fallback_used:
                tally.fallbacks += 1

    def close(self, at: int, active: int) -> Second:
        """The second ``at`` is over, in whose end ``active`` exchanges run. It is kept if anything was going on."""
        tally = self._tally
        if not tally.requests:
            second = Second(at, active=active)
        else:
            self._tally = _Tally()
            second = _closed(tally, at, active)
        if tally.requests or active:
            self._closed.append(second)
        while self._closed and self._closed[0].at <= at - SECONDS:
            self._closed.popleft()
        return second

    def last(self, count: int, until: int) -> list[Second]:
        """The ``count`` seconds that end with ``until``, oldest first; idle ones are made up for it."""
        known = {second.at: second for second in self._closed if second.at > until - count}
        return [known.get(at) or Second(at) for at in range(until - count + 1, until + 1)]


def _closed(tally: _Tally, at: int, active: int) -> Second:
    return Second(
        at,
        tally.requests,
        tally.errors,
        tally.fallbacks,
        tally.tokens,
        active,
        spread([(exchange.ended or exchange.began) - exchange.began for exchange in tally.last], 1000.0),
        spread(tally.first_tokens, 1000.0),
    )
