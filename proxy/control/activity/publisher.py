"""Publish what changes to open dashboards: breakers, budgets, exchanges that ended, counters, reloads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Final

from msgspec import Struct

from proxy.breakers.breaker import Breaker, State
from proxy.budgets.reports import BudgetThreshold
from proxy.control.activity.feed import Feed
from proxy.control.activity.history import SecondStats
from proxy.control.activity.record import ExchangeRecord
from proxy.control.activity.request_views import request_summary
from proxy.control.clock import WallClock
from proxy.control.deployments.index import DeploymentIndex
from proxy.control.deployments.views import BreakerView, breaker_view
from proxy.control.live import ReloadResult

MAX_REQUESTS: Final = 20  # per second; further ones are not published
MAX_BUDGETS: Final = 20  # thresholds per second; further ones are not published
MAX_STATES: Final = 100  # per second; further breakers follow a second later, in their state by then


class StateEvent(Struct):
    """The event ``state``."""

    id: str
    breaker: BreakerView


class ActivityPublisher:
    """Publishes to ``feed``; costs next to nothing while no dashboard is open.

    ``clock`` converts times of breakers, ``loop_clock`` those of exchanges. ``counters`` makes the event of a second.
    """

    def __init__(
        self,
        feed: Feed,
        index: DeploymentIndex,
        clock: WallClock,
        loop_clock: WallClock,
        counters: Callable[[SecondStats], object],
    ) -> None:
        self._feed = feed
        self._index = index
        self._clock = clock
        self._loop_clock = loop_clock
        self._counters = counters
        self._requests_left = MAX_REQUESTS
        self._states_left = MAX_STATES
        self._budgets_left = MAX_BUDGETS
        self._postponed: dict[Breaker, None] = {}

    def second(self, second: SecondStats) -> None:
        """Publish the counters of a second that is over."""
        self._requests_left, self._states_left, self._budgets_left = MAX_REQUESTS, MAX_STATES, MAX_BUDGETS
        if self._feed.active:
            self._feed.publish("counters", self._counters(second))
        self._publish_postponed()

    def records(self, records: Iterator[ExchangeRecord]) -> None:
        """Publish exchanges that ended. Consumes only the records that are published."""
        if self._requests_left and self._feed.active:
            for record in islice(records, self._requests_left):
                self._requests_left -= 1
                self._feed.publish("request", request_summary(record, self._loop_clock))

    def breaker(self, breaker: Breaker, old: State, now: float) -> None:
        """Publish a changed breaker."""
        if not self._feed.active:
            return
        if self._states_left:
            self._publish_state(breaker)
        else:
            self._postponed[breaker] = None

    def budget(self, report: BudgetThreshold) -> None:
        """Publish a threshold that a budget has reached."""
        if self._budgets_left:
            self._budgets_left -= 1
            self._feed.publish("budget", report)

    def reload(self, result: ReloadResult) -> None:
        """Publish the outcome of a reload."""
        self._feed.publish("reload", result)

    def _publish_postponed(self) -> None:
        while self._postponed and self._states_left:
            breaker = next(iter(self._postponed))
            del self._postponed[breaker]
            self._publish_state(breaker)

    def _publish_state(self, breaker: Breaker) -> None:
        id_ = self._index.id_of(breaker.key)
        if id_ is not None:
            self._states_left -= 1
            self._feed.publish("state", StateEvent(id_, breaker_view(breaker, self._clock)))
