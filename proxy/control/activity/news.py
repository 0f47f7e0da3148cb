"""What becomes news for the dashboards that are open: changed breakers, ended exchanges, seconds, reloads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

from msgspec import Struct

from proxy.breakers.breaker import Breaker, State
from proxy.control.activity.feed import Feed
from proxy.control.activity.history import Second
from proxy.control.activity.record import Record
from proxy.control.activity.request_views import summary
from proxy.control.deployments.index import DeploymentIndex
from proxy.control.deployments.views import BreakerView, Clock, breaker_view
from proxy.control.settings.reload import Reloaded

REQUESTS = 20  # a second; of more, the first
STATES = 100  # a second; of more, the latest state of each a second later


class StateNews(Struct):
    """The event ``state``."""

    id: str
    breaker: BreakerView


class News:
    """``second``, ``records``, ``breaker`` and ``reloaded`` are told what happened. With nobody there all is cheap.

    ``clock`` goes by the time of breakers, ``loop_clock`` by that of exchanges; ``counters`` makes a second's event.
    """

    def __init__(
        self, feed: Feed, roster: DeploymentIndex, clock: Clock, loop_clock: Clock, counters: Callable[[Second], object]
    ) -> None:
        self._feed = feed
        self._roster = roster
        self._clock = clock
        self._loop_clock = loop_clock
        self._counters = counters
        self._requests_left = REQUESTS
        self._states_left = STATES
        self._postponed: dict[Breaker, None] = {}

    def second(self, second: Second) -> None:
        self._requests_left, self._states_left = REQUESTS, STATES
        if self._feed.heard:
            self._feed.publish("counters", self._counters(second))
        self._catch_up()

    def records(self, records: Iterator[Record]) -> None:
        """Exchanges that ended; none that nobody hears of is taken."""
        if self._requests_left and self._feed.heard:
            for record in islice(records, self._requests_left):
                self._requests_left -= 1
                self._feed.publish("request", summary(record, self._loop_clock))

    def breaker(self, breaker: Breaker, old: State, now: float) -> None:
        """What a registry calls at each change."""
        if not self._feed.heard:
            return
        if self._states_left:
            self._state(breaker)
        else:
            self._postponed[breaker] = None

    def reloaded(self, what: Reloaded) -> None:
        self._feed.publish("reload", what)

    def _catch_up(self) -> None:
        while self._postponed and self._states_left:
            breaker = next(iter(self._postponed))
            del self._postponed[breaker]
            self._state(breaker)

    def _state(self, breaker: Breaker) -> None:
        id_ = self._roster.id_of(breaker.key)
        if id_ is not None:
            self._states_left -= 1
            self._feed.publish("state", StateNews(id_, breaker_view(breaker, self._clock)))
