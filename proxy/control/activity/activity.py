"""Activity put together: the recorder of exchanges, the event feed, and their routes."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence

from proxy.breakers.breaker import Breaker, State
from proxy.budgets.reports import BudgetThreshold
from proxy.control.activity.counters import CounterHandlers
from proxy.control.activity.event_stream import EventStreamHandler
from proxy.control.activity.feed import Feed
from proxy.control.activity.publisher import ActivityPublisher
from proxy.control.activity.recorder import Recorder
from proxy.control.activity.requests import RequestLogHandlers
from proxy.control.clock import WallClock
from proxy.control.deployments.index import DeploymentIndex
from proxy.control.http.router import ControlRoute
from proxy.control.live import LiveConfig, ReloadResult
from proxy.dialects.call import Call
from proxy.exchange import Exchange
from proxy.observe.metrics import Metrics
from proxy.observe.observers import Observers
from proxy.serving import Serving


class Activity:
    """Records exchanges and publishes events.

    ``settle`` is one of the ``observers``. ``breaker_changed``, ``budget_reached`` and ``reloaded`` are to be
    called at each change. ``clock`` converts times of breakers. ``close`` ends the event streams.
    """

    def __init__(
        self,
        live: LiveConfig,
        serving: Serving,
        index: DeploymentIndex,
        clock: WallClock,
        metrics: Metrics,
        observers: Observers,
        version: str,
    ) -> None:
        loop = asyncio.get_running_loop()
        loop_clock = WallClock(loop.time, clock.wall)
        self._live = live
        self.recorder = recorder = Recorder(
            loop, lambda: serving.running, observers.flush, live.config.observe.keep_requests
        )
        self.feed = feed = Feed(secrets.token_hex(4), loop.time)
        self._counters = counters = CounterHandlers(live, recorder, metrics, index, loop_clock)
        self._requests = RequestLogHandlers(recorder, loop_clock, live)
        self._events = EventStreamHandler(feed, version, clock.wall, observers.flush)
        self._publisher = publisher = ActivityPublisher(feed, index, clock, loop_clock, counters.event)
        self.settle = recorder.settle
        recorder.on_records, recorder.on_second = publisher.records, publisher.second
        recorder.start()

    def routes(self) -> Sequence[ControlRoute]:
        return (*self._counters.routes(), *self._requests.routes(), *self._events.routes())

    @property
    def capture(self) -> Callable[[Exchange, Call], None] | None:
        """Receives each call before it is sent, to keep its prompt; ``None``: prompts are not kept."""
        return self.recorder.capture if self._live.config.observe.capture_prompts else None

    def breaker_changed(self, breaker: Breaker, old: State, now: float) -> None:
        self._publisher.breaker(breaker, old, now)

    def budget_reached(self, report: BudgetThreshold) -> None:
        self._publisher.budget(report)

    def reloaded(self, result: ReloadResult) -> None:
        self._publisher.reload(result)

    def close(self) -> None:
        self.recorder.stop()
        self.feed.close()
