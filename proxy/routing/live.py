"""Live state of deployments and providers: breakers, statistics, rate limit cooldowns.

A reload replaces the ``Catalog``, but not the live state. All catalogs share the state of a deployment by its key.
``now`` is seconds of a monotonic clock.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import chain
from math import inf
from typing import Final

from proxy.breakers.breaker import Breaker, OnChange, Policy, State
from proxy.config.provider_schema import ProviderSettings
from proxy.config.schema import CircuitBreaker
from proxy.providers.state import ProviderState, state_of
from proxy.routing.statistics import Statistics

NEVER_OPENS: Final = 1 << 62  # failure threshold if breakers are disabled
MOST_UNLISTED: Final = 1000


class Quota:
    """Cooldown after a provider's 429, for one deployment or for a quota group.

    No request is sent before ``cooldown_until``. ``refused_until`` is the end that the provider named, if later:
    between the two, one request at a time is sent as a probe. ``probed_at``: when the latest probe began.
    """

    __slots__ = ("cooldown_until", "group", "probed_at", "refused_until")

    def __init__(self, group: str = "") -> None:
        self.group = group  # "": of one deployment
        self.cooldown_until = 0.0
        self.refused_until = 0.0
        self.probed_at = 0.0

    def __repr__(self) -> str:
        return f"<Quota {self.group or 'of one deployment'}, cooldown until {self.cooldown_until}>"

    def cool_down(self, until: float, probe_at: float = inf) -> None:
        """Send nothing before ``until``, or before ``probe_at`` if earlier. Never shortens a cooldown."""
        self.refused_until = max(self.refused_until, until)
        self.cooldown_until = max(self.cooldown_until, min(until, probe_at))

    def probe(self, now: float, next_at: float) -> None:
        """Record a probe before ``refused_until``. The next one may follow at ``next_at``."""
        self.probed_at = now
        self.cooldown_until = min(self.refused_until, next_at)

    def succeeded(self, began: float) -> None:
        """End the cooldown if the attempt began after the latest probe. Call it only if there was a probe."""
        if began >= self.probed_at:
            self.lift()

    def lift(self) -> None:
        """End the cooldown."""
        self.cooldown_until = self.refused_until = self.probed_at = 0.0


class LiveState:
    """Live state of one deployment. ``in_flight``: number of running attempts."""

    __slots__ = ("breaker", "in_flight", "key", "quota", "statistics")

    def __init__(self, key: str, breaker: Breaker, statistics: Statistics, quota: Quota) -> None:
        self.key = key
        self.breaker = breaker
        self.statistics = statistics
        self.quota = quota
        self.in_flight = 0

    def __repr__(self) -> str:
        return f"<Live {self.key} {self.breaker.state}, {self.in_flight} in flight>"


class Registry:
    """All live states, by key. Iteration gives those of unlisted names last.

    Each function in ``on_change`` is called when the state of any breaker changes.
    """

    def __init__(self, policy: Policy, window: float, on_change: OnChange | None = None) -> None:
        self._policy = policy
        self._window = window
        self.on_change: list[OnChange] = [] if on_change is None else [on_change]
        self._lives: dict[str, LiveState] = {}
        self._unlisted: dict[str, LiveState] = {}  # least recently used first
        self._quotas: dict[str, Quota] = {}
        self._providers: dict[str, ProviderState] = {}

    @classmethod
    def of(cls, circuit: CircuitBreaker, on_change: OnChange | None = None) -> Registry:
        return cls(policy_of(circuit), window_of(circuit), on_change)

    def __len__(self) -> int:
        return len(self._lives) + len(self._unlisted)

    def __iter__(self) -> Iterator[LiveState]:
        return chain(self._lives.values(), self._unlisted.values())

    def live(self, key: str, quota: str = "", *, unlisted: bool = False) -> LiveState:
        """The live state for a key, made at first use, and moved to the quota group ``quota`` (``""``: none).

        ``unlisted``: for a model name that is not configured. At most ``MOST_UNLISTED`` of these are kept.
        """
        found = self._lives.get(key)
        if found is None:
            found = self._unlisted.pop(key, None) or self._make(key)
            self._keep(found, unlisted)
        if found.quota.group != quota:
            found.quota = self._quota(quota)
        return found

    def retire(self, used: Collection[str]) -> None:
        """Keep the states of all other keys like those of unlisted names: their addresses left, and may come back."""
        for key in self._lives.keys() - used:
            self._keep(self._lives.pop(key), True)

    def provider(self, name: str, settings: ProviderSettings) -> ProviderState:
        """The state of a configured provider, with the cooldowns of unchanged keys."""
        found = self._providers[name] = state_of(settings, self._providers.get(name))
        return found

    def breaker(self, key: str) -> Breaker | None:
        """The breaker of a configured deployment; ``None`` for any other key."""
        live = self._lives.get(key)
        return None if live is None else live.breaker

    def adopt(self, policy: Policy, window: float, now: float) -> None:
        """Apply new thresholds after a reload, and clear missing models."""
        self._policy = policy
        self._window = window
        for live in self:
            live.breaker.policy = policy
            live.breaker.reload(now)
            live.statistics.resize(window)

    def _changed(self, breaker: Breaker, old: State, now: float) -> None:
        for listener in self.on_change:
            listener(breaker, old, now)

    def _make(self, key: str) -> LiveState:
        return LiveState(key, Breaker(self._policy, key, self._changed), Statistics(self._window), Quota())

    def _keep(self, live: LiveState, unlisted: bool) -> None:
        if not unlisted:
            self._lives[live.key] = live
            return
        if len(self._unlisted) >= MOST_UNLISTED:
            del self._unlisted[self._evictable()]
        self._unlisted[live.key] = live

    def _evictable(self) -> str:
        """Key of the least recently used idle state, else of the least recently used one."""
        return next((key for key, live in self._unlisted.items() if not live.in_flight), next(iter(self._unlisted)))

    def _quota(self, group: str) -> Quota:
        if not group:
            return Quota()
        found = self._quotas.get(group)
        if found is None:
            found = self._quotas[group] = Quota(group)
        return found


def policy_of(circuit: CircuitBreaker) -> Policy:
    threshold = circuit.failure_threshold if circuit.enabled else NEVER_OPENS
    return Policy(threshold, circuit.cooldown_period_secs, circuit.success_threshold, circuit.missing_cooldown_secs)


def window_of(circuit: CircuitBreaker) -> float:
    """The statistics window in seconds."""
    return circuit.stats_window_size_mins * 60.0
