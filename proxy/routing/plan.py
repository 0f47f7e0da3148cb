"""The candidates of one exchange, proposed one at a time.

Nothing is worked out that is not asked for: a plan is a tuple of steps that others share, and what was proposed.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, islice
from random import Random
from typing import Final, Literal

from msgspec import Struct

from proxy.routing.deployment import Deployment
from proxy.routing.strategies import NAMES, Step

# "disabled": the configuration says ``available: false``.
Reason = Literal["disabled", "breaker_open", "unavailable", "resting", "busy", "success_rate", "context", "prefill"]

# So many candidates are explained; a header line has no room for more.
MOST_EXPLAINED: Final = 20


class Plan(Struct, eq=False, gc=False):
    """``steps`` in order, each of deployments that are equal; ``last`` is the fallback, if any.

    ``endpoint`` and ``affinity`` are those of a ``Spec``. ``unknown`` holds the asked names that nobody has; ``rate``
    is the least success rate of a candidate, except for those ``named`` by the client and for the fallback.
    """

    steps: tuple[Step, ...]
    endpoint: str
    affinity: bytes
    random: Random
    last: Step | None = None
    unknown: tuple[str, ...] = ()
    rate: float = 0.0
    named: frozenset[Deployment] = frozenset()
    early: bool = False  # whether breakers that rate limits opened may be probed before their cooldown is over
    _demanding: bool = False  # whether there is any of the next two demands
    _context: int = 0  # a context of at most so many tokens is known to be too small
    _prefill: bool = False  # it must be able to go on with a text
    _step: Step | None = None  # of the last proposal
    _asked_at: float = 0.0
    _proposed: tuple[Deployment, ...] = ()
    passed: dict[Deployment, Reason] | None = None  # who was passed over, some of them proposed later

    def __repr__(self) -> str:
        return f"<Plan of {len(self.steps)} steps, {len(self._proposed)} proposed>"

    # -- proposing --------------------------------------------------------------------------------

    def next(self, now: float, among: tuple[Step, ...] | None = None) -> Deployment | None:
        """The next candidate that may be asked now, never one that was proposed before; ``among``: of these steps."""
        # From the first step each time: who rested a moment ago goes before those that are worse.
        for step in self.steps if among is None else among:
            only = step.only
            # The usual case is decided here: most names stand for one deployment.
            found = step.choose(self, now) if only is None else only if self.admits(only, now) else None
            if found is not None:
                self._proposed += (found,)
                self._step = step
                self._asked_at = now
                return found
        return None

    def equal(self, now: float) -> Deployment | None:
        """The same from nowhere but the step that the last one came from."""
        step = self._step
        return None if step is None else self.next(now, (step,))

    def fallback(self, now: float) -> Deployment | None:
        """The configured fallback, unless it was proposed before or may not be asked now. No criteria are for it."""
        last = self.last
        if last is None:
            return None
        rate, self.rate = self.rate, 0.0
        found = self.next(now, (last,))
        if found is None:
            self.rate = rate  # others may yet become free
        return found

    def pass_over(self, deployments: Iterable[Deployment], reason: Reason) -> None:
        """Note deployments that were meant and are no candidates."""
        self.passed = (self.passed or {}) | dict.fromkeys(deployments, reason)

    def may_ask(self, deployment: Deployment, now: float) -> bool:
        """Whether one that was proposed may be asked again now."""
        return self._obstacle(deployment, now) is None

    def demand_context(self, size: int) -> None:
        """Pass over candidates, the fallback included, whose context is known to be ``size`` tokens or fewer."""
        self._demanding = True
        self._context = max(self._context, size)

    def demand_prefill(self) -> None:
        """From now on only candidates whose model goes on with the text it is given, the fallback included."""
        self._demanding = self._prefill = True

    def admits(self, deployment: Deployment, now: float) -> bool:
        """For the steps: whether it was not proposed yet and may be asked now; notes why if it may not."""
        if deployment in self._proposed:
            return False
        live = deployment.live
        if (
            live.breaker.state == "closed"
            and live.quota.rests_until <= now
            and not (deployment.max_concurrent or self._demanding or self.rate)
        ):
            return True  # the usual case: there is nothing that could stand against it
        reason = self._obstacle(deployment, now)
        if reason is None and (not self.rate or self._succeeds(deployment, now)):
            return True
        if self.passed is None:
            self.passed = {}
        self.passed[deployment] = reason or "success_rate"
        return False

    def _obstacle(self, deployment: Deployment, now: float) -> Reason | None:
        live = deployment.live
        breaker = live.breaker
        if breaker.state != "closed" and not breaker.admits(self.endpoint, now, early=self.early):
            return "unavailable" if breaker.state_at(self.endpoint, now) == "unavailable" else "breaker_open"
        if live.quota.rests_until > now:
            return "resting"
        if deployment.max_concurrent and live.in_flight >= deployment.max_concurrent:
            return "busy"
        return self._unfit(deployment) if self._demanding else None

    def _unfit(self, deployment: Deployment) -> Reason | None:
        if 0 < deployment.context_size <= self._context:
            return "context"
        return "prefill" if self._prefill and not deployment.prefills else None

    def _succeeds(self, deployment: Deployment, now: float) -> bool:
        rate = None if deployment in self.named else deployment.live.statistics.success_rate(now)
        return rate is None or rate >= self.rate

    # -- telling ----------------------------------------------------------------------------------

    @property
    def skipped(self) -> list[tuple[Deployment, Reason]]:
        """Who was looked at and passed over, and why the last time; not who was proposed after all."""
        return [each for each in (self.passed or {}).items() if each[0] not in self._proposed]

    def rest_secs(self, now: float) -> float | None:
        """In how many seconds the first of those that rest, or whose breaker is open, may be asked again.

        Of those passed over and those proposed; ``None`` if there is none whose time is known.
        """
        moments = [moment for each in chain(self.passed or (), self._proposed) for moment in self._free_at(each, now)]
        return min(moments) - now if moments else None

    def wait_secs(self, now: float, deployment: Deployment | None = None) -> float | None:
        """Seconds until the first of those that a short rate limit holds back may be asked, 0 while a probe runs.

        Of ``deployment``, or of all that were passed over; ``None`` if there is none that is worth waiting for.
        """
        meant = [each for each, _ in self.skipped] if deployment is None else [deployment]
        moments = [moment for each in meant if (moment := self._limited_until(each, now)) is not None]
        return min(moments) - now if moments else None

    def _limited_until(self, deployment: Deployment, now: float) -> float | None:
        quota, breaker = deployment.live.quota, deployment.live.breaker
        match breaker.state_at(self.endpoint, now):
            case "unavailable":
                return None
            case "open" | "half_open" if not breaker.rate_limited:
                return None
            case "closed" if quota.rests_until <= now:
                return None
        # What is refused for longer than a request waits is probed by one request at a time; the others need not wait.
        return None if quota.refused_until > max(quota.rests_until, now) else max(quota.rests_until, now)

    def _free_at(self, deployment: Deployment, now: float) -> list[float]:
        live, breaker = deployment.live, deployment.live.breaker
        moments = [live.quota.rests_until] if live.quota.rests_until > now else []
        if breaker.state == "open" and not breaker.admits(self.endpoint, now):
            if breaker.retry_at is None or breaker.state_at(self.endpoint, now) == "unavailable":
                return []
            moments.append(breaker.retry_at)
        return [max(moments)] if moments else []

    def explain(self) -> dict[str, object]:
        """How the last proposal came about, for ``x-router-decision``: JSON-able, without addresses.

        ``scores`` are those of the candidates of its step, where the strategy makes any.
        """
        told: dict[str, object] = {}
        step, now = self._step, self._asked_at
        if step is not None:
            told["chosen"] = self._proposed[-1].label
            told["strategy"] = "affinity" if self.affinity and len(step.deployments) > 1 else NAMES[type(step)]
        if self.unknown:
            told["unknown"] = list(self.unknown)
        passed_over = self._passed_over(now)
        if passed_over:
            told["skipped"] = passed_over
        told["candidates"] = [each.label for each in islice(self._candidates(), MOST_EXPLAINED)]
        scores = self._scores(now)
        if scores:
            told["scores"] = scores
        return told

    def _candidates(self) -> dict[Deployment, None]:
        return dict.fromkeys(chain.from_iterable(step.deployments for step in self.steps))

    def _passed_over(self, now: float) -> dict[str, Reason]:
        """Those that were looked at first, then those that would have been passed over."""
        found = {each.label: reason for each, reason in islice(self.skipped, MOST_EXPLAINED)}
        for each in islice(self._candidates(), MOST_EXPLAINED):
            if each not in self._proposed and (reason := self._obstacle(each, now)):
                found.setdefault(each.label, reason)
        return found

    def _scores(self, now: float) -> dict[str, float]:
        if self._step is None or self.affinity:
            return {}
        scores = {each.label: self._step.score(each, now) for each in islice(self._step.deployments, MOST_EXPLAINED)}
        return {label: round(score, 4) for label, score in scores.items() if score is not None}
