"""Why a deployment gets no requests now, in words for the operator.

A plan decides the same for one request (``routing/plan.py``); this is about all requests.
"""

from __future__ import annotations

from math import inf

from msgspec import Struct

from proxy.providers.keys import KeyRing
from proxy.routing.deployment import Deployment
from proxy.routing.live import LiveState


class Blocked(Struct, frozen=True):
    """The reason, and when it ends on the breakers' clock (``until``); ``None``: not by time alone."""

    why: str
    until: float | None


def in_service(live: LiveState, keys: KeyRing, now: float) -> bool:
    """Whether the breaker and a key admit requests. Rate limits and a missing model are no outage."""
    return live.breaker.admits("", now) and keys.free_at() <= now


def is_missing(deployment: Deployment, now: float) -> bool:
    """Whether the provider lacks the model at an endpoint that suits it.

    A request to another endpoint, perhaps a client's mistake, says nothing about the model.
    """
    breaker = deployment.live.breaker
    return any(deployment.serves_auto(at) and breaker.state_at(at, now) == "unavailable" for at in breaker.missing_at)


def blocked(live: LiveState, keys: KeyRing, now: float) -> Blocked | None:
    """The most lasting reason that keeps requests away; ``None``: there is none."""
    breaker = live.breaker
    if not breaker.admits("", now):
        if breaker.forced_open:
            return Blocked("the circuit breaker is held open by an operator", None)
        if breaker.state == "half_open":
            return Blocked("the circuit breaker waits for a probe", None)
        return Blocked(f"the circuit breaker is open ({breaker.reason})", breaker.retry_at)
    missing = [endpoint for endpoint in sorted(breaker.missing_at) if breaker.state_at(endpoint, now) == "unavailable"]
    if missing:
        until = min(breaker.missing_at[endpoint].until for endpoint in missing)
        return Blocked(f"the provider has no such model at {', '.join(missing)}", until if until < inf else None)
    if (free_at := keys.free_at()) > now:
        return Blocked(f"every key of the provider {'is rate-limited' if keys.limited else 'was refused'}", free_at)
    if (until := live.quota.cooldown_until) > now:
        return Blocked("the provider's rate limit is used up", until)
    return None
