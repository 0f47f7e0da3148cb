"""Events of breakers: ``breaker_changed`` when one of a configured deployment opens, probes, closes.

Of a breaker that flaps, at most ``MOST`` changes are sent in ``WINDOW_SECS``. Then one event follows, from the state
that was sent last to the state by then.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from msgspec import Struct, field

from proxy.breakers.breaker import Breaker, State
from proxy.breakers.table import Event
from proxy.control.clock import WallClock
from proxy.control.deployments.index import DeploymentIndex
from proxy.events.base import Announcer, GatewayEvent, event_id
from proxy.events.receivers import EventReceivers

MOST: Final = 6
WINDOW_SECS: Final = 60.0
SHORTEST_SECS: Final = 1.0  # of a cooldown, within which replicas that open by themselves send one event

Later = Callable[[float, Callable[[], None]], object]
"""Makes a call after some seconds."""


class BreakerData(Struct, frozen=True, kw_only=True):
    """``deployment``: its id in the API, ``model``: the name that clients send. ``at``: Unix seconds.

    ``cause``: the event in the table of breakers. ``reason``: of an open one, the code of the last failure, or what
    its operator said; else ``""``. ``until``: when requests are tried again, in Unix seconds; ``None``: they are now,
    or not before an operator closes it. ``held``: an operator opened it. ``process``: whose breaker it is.
    """

    deployment: str
    provider: str
    model: str
    upstream_model: str
    from_: State = field(name="from")
    to: State
    cause: Event
    reason: str
    at: float
    until: float | None
    held: bool
    process: str


class BreakerEvents:
    """``changed`` is a listener of breakers. ``process``: random, of this process.

    ``shared``: replicas share which breakers open. Then the one that finds it out sends the event, and several that do
    so in the same half of a cooldown send the same one. Each sends the recovery of its own.
    """

    def __init__(
        self,
        index: DeploymentIndex,
        clock: WallClock,
        receivers: EventReceivers,
        announcer: Announcer,
        process: str,
        later: Later,
        *,
        shared: bool,
    ) -> None:
        self._index = index
        self._receivers = receivers
        self._clock = clock
        self._announcer = announcer
        self._process = process
        self._later = later
        self._shared = shared
        self._number = 0
        self._sent: dict[str, deque[float]] = {}  # when, by key of the breaker
        self._postponed: dict[str, tuple[Breaker, State]] = {}  # with the state that was sent last

    def changed(self, breaker: Breaker, old: State, now: float) -> None:
        """Send a change of the state, unless another replica does."""
        key = breaker.key
        if not self._receivers.want("breaker_changed"):
            return
        if old == breaker.state or breaker.last is None or breaker.last.remote or key in self._postponed:
            return
        if self._index.configured(key) is None:
            return
        sent = self._sent.setdefault(key, deque(maxlen=MOST))
        if len(sent) == MOST and now < sent[0] + WINDOW_SECS:
            self._postponed[key] = breaker, old
            self._later(sent[0] + WINDOW_SECS - now, lambda: self._catch_up(key))
        else:
            self._send(breaker, old, now)

    def close(self) -> None:
        """Send what was postponed."""
        for key in [*self._postponed]:
            self._catch_up(key)

    def _catch_up(self, key: str) -> None:
        breaker, sent = self._postponed.pop(key, (None, None))
        if breaker is not None and sent is not None and sent != breaker.state:
            self._send(breaker, sent, self._clock.now())

    def _send(self, breaker: Breaker, old: State, now: float) -> None:
        found, last = self._index.configured(breaker.key), breaker.last
        if found is None or last is None:
            return
        self._sent.setdefault(breaker.key, deque(maxlen=MOST)).append(now)
        state, at, retry_at = breaker.state, self._clock.unix(now), breaker.retry_at
        waits = state in ("open", "unavailable") and retry_at is not None
        data = BreakerData(
            deployment=found.id,
            provider=found.provider.name,
            model=found.name,
            upstream_model=found.upstream_model,
            from_=old,
            to=state,
            cause=last.event,
            reason=breaker.reason if state == "open" else "",
            at=at,
            until=self._clock.unix(retry_at) if waits and retry_at is not None else None,
            held=breaker.forced_open,
            process=self._process,
        )
        self._announcer.offer(GatewayEvent(self._id(breaker, data), "breaker_changed", at, found.id, data))

    def _id(self, breaker: Breaker, data: BreakerData) -> str:
        if self._shared and data.cause in ("limit", "failure"):
            # Two changes of one breaker between the same states are a cooldown apart, so they never share a part.
            part = data.at // max(breaker.policy.cooldown / 2, SHORTEST_SECS / 2)
            return event_id("breaker_changed", breaker.key, data.from_, data.to, part)
        self._number += 1
        return event_id("breaker_changed", self._process, self._number)
