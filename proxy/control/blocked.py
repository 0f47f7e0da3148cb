"""Why a deployment gets no request now, for whoever operates the gateway.

A plan decides the same for one request (``routing/plan.py``); here it is for all of them, and put in words.
"""

from __future__ import annotations

from msgspec import Struct

from proxy.providers.keys import KeyRing
from proxy.routing.live import Live


class Blocked(Struct, frozen=True):
    """``why`` in words; ``until``: a moment of the breakers' clock, ``None`` where time alone does not help."""

    why: str
    until: float | None


def in_service(live: Live, keys: KeyRing, now: float) -> bool:
    """Whether the breaker and a key admit requests. A rate limit is no outage, and a missing model none elsewhere."""
    return live.breaker.admits("", now) and keys.free_at() <= now


def blocked(live: Live, keys: KeyRing, now: float) -> Blocked | None:
    """What stands against a request now, the most lasting reason first; ``None``: nothing."""
    breaker = live.breaker
    if not breaker.admits("", now):
        if breaker.held:
            return Blocked("the circuit breaker is held open by an operator", None)
        if breaker.state == "half_open":
            return Blocked("the circuit breaker waits for a probe", None)
        return Blocked(f"the circuit breaker is open ({breaker.why})", breaker.retry_at)
    missing = [endpoint for endpoint in sorted(breaker.missing_at) if breaker.state_at(endpoint, now) == "unavailable"]
    if missing:
        return Blocked(f"the provider has no such model at {', '.join(missing)}", None)
    if (free_at := keys.free_at()) > now:
        return Blocked(f"every key of the provider {'is rate-limited' if keys.limited else 'was refused'}", free_at)
    if (until := live.quota.rests_until) > now:
        return Blocked("the provider's rate limit is used up", until)
    return None
