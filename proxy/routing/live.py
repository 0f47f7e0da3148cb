"""What is known of deployments and providers while the process lives: breakers, statistics, quotas, keys' cooldowns.

A ``Catalog`` is replaced at a reload; this is not. A ``Live`` is found by its deployment's key, and shared by every
catalog that has such a deployment. Pure: ``now`` is seconds of a monotonic clock.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from math import inf
from typing import Final

from proxy.breakers.breaker import Breaker, OnChange, Policy
from proxy.config.schema import CircuitBreaker, Provider
from proxy.providers.state import ProviderState, state_of
from proxy.routing.statistics import Statistics

MOST_PASSING: Final = 1000
NEVER_OPENS: Final = 1 << 62  # failures in a row, where breakers are disabled


class Quota:
    """A limit of a provider's account, of one deployment or of all in a group; it has a cooldown after a 429.

    No request is sent before ``rests_until``. The provider may have named a later moment, ``refused_until``: between
    the two one request at a time is sent as a probe. ``probed_at`` is when the latest of them began.
    """

    __slots__ = ("group", "probed_at", "refused_until", "rests_until")

    def __init__(self, group: str = "") -> None:
        self.group = group  # "": one deployment's own
        self.rests_until = 0.0
        self.refused_until = 0.0
        self.probed_at = 0.0

    def __repr__(self) -> str:
        return f"<Quota {self.group or 'of its own'}, rests until {self.rests_until}>"

    def rest(self, until: float, probe_at: float = inf) -> None:
        """Send nothing before ``until``, or before ``probe_at``; a longer cooldown is never made shorter."""
        self.refused_until = max(self.refused_until, until)
        self.rests_until = max(self.rests_until, min(until, probe_at))

    def probe(self, now: float, next_at: float) -> None:
        """A request is sent ahead of ``refused_until``: the next one may follow at ``next_at``, unless it succeeds."""
        self.probed_at = now
        self.rests_until = min(self.refused_until, next_at)

    def succeeded(self, began: float) -> None:
        """A probe, or an attempt that began after it, got an answer: end the cooldown. For where there was a probe."""
        if began >= self.probed_at:
            self.lift()

    def lift(self) -> None:
        """End the cooldown."""
        self.rests_until = self.refused_until = self.probed_at = 0.0


class Live:
    """One deployment's live state. ``in_flight`` counts the attempts that run now."""

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
    """Every ``Live``, by key. Iterating gives them all, those of passing names last."""

    def __init__(self, policy: Policy, window: float, on_change: OnChange | None = None) -> None:
        self._policy = policy
        self._window = window
        self._on_change = on_change
        self._lives: dict[str, Live] = {}
        self._passing: dict[str, Live] = {}  # the one asked for longest ago is the first
        self._quotas: dict[str, Quota] = {}
        self._providers: dict[str, ProviderState] = {}

    @classmethod
    def of(cls, circuit: CircuitBreaker, on_change: OnChange | None = None) -> Registry:
        return cls(policy_of(circuit), window_of(circuit), on_change)

    def __len__(self) -> int:
        return len(self._lives) + len(self._passing)

    def __iter__(self) -> Iterator[Live]:
        return chain(self._lives.values(), self._passing.values())

    def live(self, key: str, quota: str = "", *, passing: bool = False) -> Live:
        """The same object for the same key for ever, now in the quota group ``quota`` (``""``: on its own).

        ``passing``: for a name that a client made up. Of these at most ``MOST_PASSING`` are kept.
        """
        found = self._lives.get(key)
        if found is None:
            found = self._passing.pop(key, None) or self._make(key)
            self._keep(found, passing)
        if found.quota.group != quota:
            found.quota = self._quota(quota)
        return found

    def provider(self, name: str, settings: Provider) -> ProviderState:
        """The state of a configured provider; cooldowns of the keys that stay, and what was learnt, live on."""
        found = self._providers[name] = state_of(settings, self._providers.get(name))
        return found

    def breaker(self, key: str) -> Breaker | None:
        """Of a configured deployment."""
        live = self._lives.get(key)
        return None if live is None else live.breaker

    def adopt(self, policy: Policy, window: float, now: float) -> None:
        """After a reload: new thresholds everywhere, no model missing any more; all else stays as it is."""
        self._policy = policy
        self._window = window
        for live in self:
            live.breaker.policy = policy
            live.breaker.reload(now)
            live.statistics.resize(window)

    def _make(self, key: str) -> Live:
        return Live(key, Breaker(self._policy, key, self._on_change), Statistics(self._window), Quota())

    def _keep(self, live: Live, passing: bool) -> None:
        if not passing:
            self._lives[live.key] = live
            return
        if len(self._passing) >= MOST_PASSING:
            del self._passing[self._dispensable()]
        self._passing[live.key] = live

    def _dispensable(self) -> str:
        """The oldest that is idle, else the oldest: attempts that run keep their ``Live`` all the same."""
        return next((key for key, live in self._passing.items() if not live.in_flight), next(iter(self._passing)))

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
    """Seconds."""
    return circuit.stats_window_size_mins * 60.0
