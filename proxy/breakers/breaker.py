"""Circuit breaker of one deployment: consulted before each attempt, and updated with its outcome.

``table.py`` has the transitions; this file maps outcomes to the table's events. ``acquire`` returns a ``Permit``,
which ends with exactly one of ``succeed``, ``fail`` and ``release``.

A stream calls ``commit`` first, at its first content. In state closed this changes nothing: a deployment that breaks
every stream after its first content must still open. In state half-open it counts as the probe's success, because
the end of a stream may be an hour away.

All times are seconds of a monotonic clock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf
from types import MappingProxyType
from typing import ClassVar, Final, Literal

from msgspec import Struct

from proxy.breakers.table import TABLE, Action, Event
from proxy.breakers.table import State as State

RATE_LIMITED: Final = "rate_limited"  # failure reason; the provider is up and may answer other requests
LONGEST_MISSING: Final = 600.0  # seconds; the cooldown of a missing model doubles up to this


class Policy(Struct, frozen=True):
    """Thresholds: consecutive failures until it opens, seconds of cooldown, successful probes until it closes.

    ``missing_cooldown``: seconds until a missing model is requested again; 0: not before a restart, reset or reload.
    """

    failure_threshold: int
    cooldown: float
    success_threshold: int
    missing_cooldown: float = 0.0


class MissingModel(Struct, frozen=True):
    """A model that the provider does not have at one endpoint: end and length of its cooldown (may be infinite)."""

    until: float
    cooldown: float


_NONE_MISSING: Final[Mapping[str, MissingModel]] = MappingProxyType({})


class Permit(int):
    """Result of ``acquire``: ``REFUSED`` (falsy), ``NORMAL``, or a probe's number (``PROBE`` or larger).

    Probes are numbered because their outcomes arrive in any order, and each may free only its own slot.
    """

    __slots__ = ()

    REFUSED: ClassVar[Permit]
    NORMAL: ClassVar[Permit]
    PROBE: ClassVar[Permit]

    @property
    def probe(self) -> bool:
        return self >= 2

    def __repr__(self) -> str:
        return f"probe {self - 1}" if self.probe else "normal" if self else "refused"


Permit.REFUSED = Permit(0)
Permit.NORMAL = Permit(1)
Permit.PROBE = Permit(2)

_NORMAL = Permit.NORMAL  # a global is cheaper to load than a class attribute, and most attempts need it

# What happened to another replica's breaker: it opened, an operator tripped it ("held"), a model is missing at an
# endpoint, an operator reset it.
RemoteEvent = Literal["open", "held", "unavailable", "closed"]


class Change(Struct, frozen=True):
    """Cause of an ``on_change`` call.

    ``endpoint`` is set for ``missing``; ``remote``: another replica reported it.
    """

    event: Event
    endpoint: str = ""
    remote: bool = False


OnChange = Callable[["Breaker", State, float], None]


class Breaker:
    """State of one deployment's breaker.

    ``since``: when ``state`` began. ``reason``: code of the last failure that counted, ``""`` if there was none.
    ``policy`` may be replaced at any time and takes effect at once.
    ``active_probe``: the probe that holds the only slot, ``REFUSED`` if the slot is free.
    ``missing_at``: missing models by endpoint. The mapping is replaced, never modified. An entry whose cooldown has
    passed stays until an attempt succeeds or the model is missing again.

    ``on_change(breaker, old state, now)`` is called after every change of ``state`` or ``missing_at``. It is also
    called after every trip and reset, which other replicas need even if nothing changes here. ``last`` is its cause.
    """

    __slots__ = (
        "_earliest",
        "_latest",
        "active_probe",
        "failures",
        "forced_open",
        "key",
        "last",
        "missing_at",
        "on_change",
        "policy",
        "reason",
        "since",
        "state",
        "successes",
    )

    def __init__(self, policy: Policy, key: str = "", on_change: OnChange | None = None) -> None:
        self.policy = policy
        self.key = key
        self.on_change = on_change
        self.state: State = "closed"
        self.since = 0.0
        self.failures = 0
        self.successes = 0
        self.reason = ""
        self.forced_open = False
        self.missing_at = _NONE_MISSING
        self.last: Change | None = None
        self.active_probe = Permit.REFUSED
        self._latest = 1  # number of the latest probe
        self._earliest = 2  # number of the first probe since the breaker opened

    def __repr__(self) -> str:
        return f"<Breaker {self.key} {self.state}, {self.failures} failures, {self.successes} successes>"

    # -- before an attempt ------------------------------------------------------------------------

    def state_at(self, endpoint: str, now: float) -> State:
        """The state as one endpoint sees it."""
        if self._is_missing(endpoint, now):
            return "unavailable"
        return "closed" if self.state == "unavailable" else self.state

    def admits(self, endpoint: str, now: float, *, early: bool = False) -> bool:
        """Whether ``acquire`` would give a permit. Changes nothing."""
        if self.state == "closed":
            return True
        if self._is_missing(endpoint, now):
            return False
        if self.state == "open":
            cooled = now >= self.since + self.policy.cooldown
            return not self.forced_open and (cooled or (early and self.rate_limited))
        return self.state == "unavailable" or not self.active_probe

    def acquire(self, endpoint: str, now: float, *, early: bool = False) -> Permit:
        """Return a permit for an attempt, or ``REFUSED``. In state half-open the permit takes the probe's slot.

        ``early`` admits a probe before the cooldown is over if rate limits opened the breaker. It is for requests
        that have no other deployment.
        """
        if self.state == "closed":
            return _NORMAL
        if not self.admits(endpoint, now, early=early):
            return Permit.REFUSED
        if self.state == "unavailable":
            return _NORMAL
        if self.state == "open":
            self._step("cooled", now)
        self._latest += 1
        self.active_probe = Permit(self._latest)
        return self.active_probe

    @property
    def rate_limited(self) -> bool:
        """Whether a rate limit opened the breaker, so the provider is reachable."""
        return self.reason == RATE_LIMITED and not self.forced_open

    @property
    def retry_at(self) -> float | None:
        """When a refused endpoint is admitted again; ``None``: only after a reset or reload.

        It lies in the past while a probe is running.
        """
        if self.forced_open:
            return None
        if self.state == "unavailable":
            until = min(mark.until for mark in self.missing_at.values())
            return until if until < inf else None
        return self.since + self.policy.cooldown if self.state == "open" else self.since

    # -- after it ---------------------------------------------------------------------------------

    def commit(self, permit: Permit, now: float) -> None:
        """Record the first content of a stream. Of a probe it is the success, and frees its slot."""
        if self._free(permit):
            self._probe_succeeded(now)

    def succeed(self, permit: Permit, endpoint: str, now: float) -> None:
        """Record a complete response."""
        if self.state == "closed":
            if self.failures:
                self._step("success", now)
            return
        if endpoint in self.missing_at and not self._is_missing(endpoint, now):
            self._step("found" if len(self.missing_at) == 1 else "partly_found", now, endpoint)
        if self._free(permit):
            self._probe_succeeded(now)
        else:
            self._step("late" if self.state in ("open", "half_open") else "success", now)

    def fail(self, permit: Permit, now: float, why: str) -> None:
        """Record one failure, before or after the commit; ``why`` is its code."""
        self._free(permit)
        if self.state == "open" or (self.state == "half_open" and permit < self._earliest):
            self._step("late", now)
            return
        self.reason = why
        reached = self.state != "half_open" and self.failures + 1 >= self.policy.failure_threshold
        self._step("limit" if reached else "failure", now)

    def release(self, permit: Permit, now: float) -> None:
        """End an attempt without a verdict, for example because the client left. Frees a probe's slot."""
        self._free(permit)

    def missing(self, endpoint: str, now: float) -> None:
        """Mark the model as missing at an endpoint for a cooldown, which doubles each time.

        Does nothing during the cooldown: such attempts began before it.
        """
        if self._is_missing(endpoint, now):
            return
        known, first = self.missing_at.get(endpoint), self.policy.missing_cooldown
        cooldown = first if known is None else min(known.cooldown * 2, max(LONGEST_MISSING, first))
        cooldown = cooldown if first else inf
        self._step("missing", now, endpoint, MissingModel(now + cooldown, cooldown))

    # -- from outside -----------------------------------------------------------------------------

    def trip(self, now: float, why: str) -> None:
        """Force the breaker open until ``reset``; its cooldown does not end this."""
        self.reason = why
        self._step("trip", now)

    def reset(self, now: float) -> None:
        """Close the breaker and clear all failures and missing models."""
        self._step("reset", now)

    def reload(self, now: float) -> None:
        """Clear missing models, since the configuration was reloaded."""
        self._step("reload", now)

    def apply_remote(
        self, event: RemoteEvent, now: float, since: float, why: str, endpoint: str = "", missing_cooldown: float = 0.0
    ) -> None:
        """Apply what happened to another replica's breaker at ``since``.

        A breaker that opened there opens here, and its cooldown ends at the same time. It is ignored if that cooldown
        is over, if a change here is newer, or if an operator forced this breaker open. Recovery is not shared.
        A missing model works the same way; a ``missing_cooldown`` of 0 is unknown or infinite.
        """
        match event:
            case "open" if not self.forced_open and now < since + self.policy.cooldown:
                # A missing model says nothing about the other endpoints, so it is not a newer change.
                if self.last is None or self.state == "unavailable" or self.since <= since:
                    self.reason = why
                    self._step("opened_elsewhere", now, since=since)
            case "held" if not self.forced_open:
                self.reason = why
                self._step("trip", now, since=since)
            case "unavailable":
                cooldown = missing_cooldown or self.policy.missing_cooldown or inf
                known = self.missing_at.get(endpoint)
                if since + cooldown > (now if known is None else max(now, known.until)):
                    self._step("missing", now, endpoint, MissingModel(since + cooldown, cooldown), since=since)
            case "closed":
                self._step("reset", now, since=since)

    # -- the table at work ------------------------------------------------------------------------

    def _is_missing(self, endpoint: str, now: float) -> bool:
        found = self.missing_at.get(endpoint)
        return found is not None and now < found.until

    def _probe_succeeded(self, now: float) -> None:
        if self.successes + 1 < self.policy.success_threshold:
            self._step("success", now)
        else:
            self._step("partly_recovered" if self.missing_at else "recovered", now)

    def _free(self, permit: Permit) -> bool:
        """Free the slot if this probe holds it; whether it did."""
        if not permit.probe or permit != self.active_probe:
            return False
        self.active_probe = Permit.REFUSED
        return True

    def _step(
        self,
        event: Event,
        now: float,
        endpoint: str = "",
        mark: MissingModel | None = None,
        *,
        since: float | None = None,
    ) -> None:
        """Apply the table's transition and action, and report the change.

        ``since``: when it happened at another replica; ``None``: here and now. ``mark`` is for ``mark_missing``.
        """
        old, missing_at = self.state, self.missing_at
        self.state, action = TABLE[old, event]
        if action == "mark_missing":
            assert mark is not None
            self.missing_at = {**missing_at, endpoint: mark}
        elif action == "unmark_missing":
            self.missing_at = {each: found for each, found in missing_at.items() if each != endpoint}
        else:
            _perform(self, action)
        if self.state != old or action in ("force_open", "adopt_cooldown"):
            self.since = now if since is None else since
        if self.state == old and self.missing_at == missing_at and event not in ("trip", "reset"):
            return
        self.last = Change(event, endpoint, since is not None)
        if self.on_change is not None:
            self.on_change(self, old, now)


def end_cooldown(breaker: Breaker, now: float) -> None:
    """Let an open breaker admit a probe now, unless it was forced open."""
    if breaker.state == "open" and not breaker.forced_open:
        breaker._step("cooled", now)


def _perform(breaker: Breaker, action: Action) -> None:
    """Perform an action of the table that needs no argument."""
    match action:
        case "clear_counts":
            breaker.failures = breaker.successes = 0
        case "count_failure":
            breaker.failures += 1
        case "count_success":
            breaker.failures = 0
            breaker.successes += 1
        case "start_cooldown":
            breaker.failures += 1
            _stop_probing(breaker)
        case "adopt_cooldown":
            _stop_probing(breaker)
        case "start_probing":
            breaker._earliest = breaker._latest + 1
        case "force_open":
            breaker.forced_open = True
            _stop_probing(breaker)
        case "clear_missing":
            breaker.missing_at = _NONE_MISSING
        case "clear_all":
            breaker.failures = 0
            breaker.reason = ""
            breaker.forced_open = False
            breaker.missing_at = _NONE_MISSING
            _stop_probing(breaker)


def _stop_probing(breaker: Breaker) -> None:
    breaker.successes = 0
    breaker.active_probe = Permit.REFUSED
