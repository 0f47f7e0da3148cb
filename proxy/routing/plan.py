"""The candidates of one exchange, proposed one at a time.

A plan is cheap: it holds shared tiers and what it has proposed, and chooses a candidate only when it is needed.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, islice
from random import Random
from typing import Final, Literal

from msgspec import Struct

from proxy.routing.deployment import Deployment
from proxy.routing.strategies import NAMES, Tier

# Why a deployment is skipped; "disabled": it is configured with ``available: false``. "no_address":
# its provider takes its addresses from a service, which has none.
Reason = Literal[
    "disabled", "no_address", "breaker_open", "unavailable", "resting", "busy", "success_rate", "context", "prefill"
]

# A header line has no room for more.
MOST_EXPLAINED: Final = 20


class Plan(Struct, eq=False, gc=False):
    """Candidates for one exchange: ``tiers`` in order, then ``fallback_tier``, if any.

    ``endpoint`` and ``affinity`` are those of a ``Spec``. ``unknown``: requested names that do not exist.
    ``min_success_rate`` does not apply to deployments ``named`` by the client or to the fallback.
    ``probe_early``: breakers that rate limits opened may be probed before their cooldown is over.
    """

    tiers: tuple[Tier, ...]
    endpoint: str
    affinity: bytes
    random: Random
    fallback_tier: Tier | None = None
    unknown: tuple[str, ...] = ()
    min_success_rate: float = 0.0
    named: frozenset[Deployment] = frozenset()
    probe_early: bool = False
    _has_requirements: bool = False  # whether one of the next two is set
    _min_context: int = 0  # contexts of this many tokens or fewer are too small
    _needs_prefill: bool = False  # the model must continue a given text
    _tier: Tier | None = None  # of the last proposal
    _proposed_at: float = 0.0  # time of the last proposal
    _proposed: tuple[Deployment, ...] = ()
    skip_reasons: dict[Deployment, Reason] | None = None  # some of these were proposed later

    def __repr__(self) -> str:
        return f"<Plan of {len(self.tiers)} tiers, {len(self._proposed)} proposed>"

    # -- proposing --------------------------------------------------------------------------------

    def next(self, now: float, among: tuple[Tier, ...] | None = None) -> Deployment | None:
        """The next available candidate, each at most once; ``among``: only from these tiers."""
        # Start at the first tier each time: a better candidate's cooldown may have ended.
        for tier in self.tiers if among is None else among:
            only = tier.only
            # Inlined from ``Tier.choose``: most tiers have one deployment.
            found = tier.choose(self, now) if only is None else only if self.admits(only, now) else None
            if found is not None:
                self._proposed += (found,)
                self._tier = tier
                self._proposed_at = now
                return found
        return None

    def next_equal(self, now: float) -> Deployment | None:
        """The next candidate from the same tier as the last one."""
        tier = self._tier
        return None if tier is None else self.next(now, (tier,))

    def next_fallback(self, now: float) -> Deployment | None:
        """The configured fallback, unless it was proposed before or is not available. Criteria do not apply to it."""
        tier = self.fallback_tier
        if tier is None:
            return None
        rate, self.min_success_rate = self.min_success_rate, 0.0
        found = self.next(now, (tier,))
        if found is None:
            self.min_success_rate = rate  # other candidates may still become available
        return found

    def skip(self, deployments: Iterable[Deployment], reason: Reason) -> None:
        """Record requested deployments that cannot be candidates."""
        self.skip_reasons = (self.skip_reasons or {}) | dict.fromkeys(deployments, reason)

    def may_retry(self, deployment: Deployment, now: float) -> bool:
        """Whether a proposed deployment is available for another attempt."""
        return self._reason_to_skip(deployment, now) is None

    def require_context(self, size: int) -> None:
        """Skip candidates, including the fallback, whose context is known to be ``size`` tokens or fewer."""
        self._has_requirements = True
        self._min_context = max(self._min_context, size)

    def require_prefill(self) -> None:
        """Skip candidates, including the fallback, whose model does not continue a given text."""
        self._has_requirements = self._needs_prefill = True

    def admits(self, deployment: Deployment, now: float) -> bool:
        """Whether the deployment is available and was not proposed before. If not, record why."""
        if deployment in self._proposed:
            return False
        live = deployment.live
        if (
            live.breaker.state == "closed"
            and live.quota.cooldown_until <= now
            and not (deployment.max_concurrent or self._has_requirements or self.min_success_rate)
        ):
            return True  # the usual case
        reason = self._reason_to_skip(deployment, now)
        if reason is None and (not self.min_success_rate or self._succeeds(deployment, now)):
            return True
        if self.skip_reasons is None:
            self.skip_reasons = {}
        self.skip_reasons[deployment] = reason or "success_rate"
        return False

    def _reason_to_skip(self, deployment: Deployment, now: float) -> Reason | None:
        live = deployment.live
        breaker = live.breaker
        if breaker.state != "closed" and not breaker.admits(self.endpoint, now, early=self.probe_early):
            return "unavailable" if breaker.state_at(self.endpoint, now) == "unavailable" else "breaker_open"
        if live.quota.cooldown_until > now:
            return "resting"
        if deployment.max_concurrent and live.in_flight >= deployment.max_concurrent:
            return "busy"
        return self._unmet_requirement(deployment) if self._has_requirements else None

    def _unmet_requirement(self, deployment: Deployment) -> Reason | None:
        if 0 < deployment.context_size <= self._min_context:
            return "context"
        return "prefill" if self._needs_prefill and not deployment.prefills else None

    def _succeeds(self, deployment: Deployment, now: float) -> bool:
        rate = None if deployment in self.named else deployment.live.statistics.success_rate(now)
        return rate is None or rate >= self.min_success_rate

    # -- reporting --------------------------------------------------------------------------------

    @property
    def skipped(self) -> list[tuple[Deployment, Reason]]:
        """Deployments that were skipped and not proposed later, with the latest reason."""
        return [each for each in (self.skip_reasons or {}).items() if each[0] not in self._proposed]

    def cooldown_secs(self, now: float) -> float | None:
        """Seconds until the first cooldown of a skipped or proposed deployment ends; ``None`` if no end is known."""
        deployments = chain(self.skip_reasons or (), self._proposed)
        moments = [moment for each in deployments if (moment := self._available_at(each, now)) is not None]
        return min(moments) - now if moments else None

    def wait_secs(self, now: float, deployment: Deployment | None = None) -> float | None:
        """Seconds until the first short rate limit ends; 0 while a probe runs; ``None`` if waiting does not help.

        It is that of ``deployment``, or of all skipped ones.
        """
        waiting = [each for each, _ in self.skipped] if deployment is None else [deployment]
        moments = [moment for each in waiting if (moment := self._limited_until(each, now)) is not None]
        return min(moments) - now if moments else None

    def _limited_until(self, deployment: Deployment, now: float) -> float | None:
        quota, breaker = deployment.live.quota, deployment.live.breaker
        match breaker.state_at(self.endpoint, now):
            case "unavailable":
                return None
            case "open" | "half_open" if not breaker.rate_limited:
                return None
            case "closed" if quota.cooldown_until <= now:
                return None
        # A long rate limit is probed by one request at a time; the others do not wait for it.
        return None if quota.refused_until > max(quota.cooldown_until, now) else max(quota.cooldown_until, now)

    def _available_at(self, deployment: Deployment, now: float) -> float | None:
        """When its cooldowns end; ``None`` if it has none or their end is not known."""
        live, breaker = deployment.live, deployment.live.breaker
        moment = live.quota.cooldown_until
        if breaker.state == "open" and not breaker.admits(self.endpoint, now):
            if breaker.retry_at is None or breaker.state_at(self.endpoint, now) == "unavailable":
                return None
            return max(moment, breaker.retry_at)
        return moment if moment > now else None

    def explain(self) -> dict[str, object]:
        """The reasons for the last proposal, for ``x-router-decision``: JSON values, without addresses."""
        found: dict[str, object] = {}
        tier, now = self._tier, self._proposed_at
        if tier is not None:
            found["chosen"] = self._proposed[-1].label
            found["strategy"] = "affinity" if self.affinity and len(tier.deployments) > 1 else NAMES[type(tier)]
        if self.unknown:
            found["unknown"] = list(self.unknown)
        deployments = dict.fromkeys(chain.from_iterable(tier.deployments for tier in self.tiers))
        candidates = list(islice(deployments, MOST_EXPLAINED))
        skipped = self._skipped_labels(candidates, now)
        if skipped:
            found["skipped"] = skipped
        found["candidates"] = [each.label for each in candidates]
        scores = self._scores(now)
        if scores:
            found["scores"] = scores
        return found

    def _skipped_labels(self, candidates: Iterable[Deployment], now: float) -> dict[str, Reason]:
        """Skipped deployments, then candidates that would be skipped."""
        found = {each.label: reason for each, reason in islice(self.skipped, MOST_EXPLAINED)}
        for each in candidates:
            if each not in self._proposed and (reason := self._reason_to_skip(each, now)):
                found.setdefault(each.label, reason)
        return found

    def _scores(self, now: float) -> dict[str, float]:
        if self._tier is None or self.affinity:
            return {}
        scores = {each.label: self._tier.score(each, now) for each in islice(self._tier.deployments, MOST_EXPLAINED)}
        return {label: round(score, 4) for label, score in scores.items() if score is not None}
