"""Reasons why deployments were skipped, as text for an error message."""

from __future__ import annotations

import math
from typing import Final

from proxy.exchange import RefusedBy
from proxy.routing.deployment import Deployment
from proxy.routing.plan import Reason

_TEXTS: Final[dict[Reason, str]] = {
    "disabled": "not available",
    "no_address": "its service has no address now",
    "breaker_open": "circuit breaker open",
    "unavailable": "the provider does not know the model",
    "resting": "rate limited",
    "busy": "at maxConcurrent",
    "success_rate": "below the requested success rate",
    "context": "its context is too small",
    "prefill": "it cannot continue a started answer",
}


_REFUSALS: Final[dict[RefusedBy, str]] = {
    "limit": "its limit here is reached",
    "budget": "a budget does not cover it",
    "no_price": "it has no price, and a budget applies",
}


def describe_refusal(by: RefusedBy) -> str:
    """Text for a limit or a budget of the gateway's own."""
    return _REFUSALS[by]


def describe(deployment: Deployment, reason: Reason, now: float) -> str:
    """Text for ``reason``, with the seconds left if known. ``now`` is the breakers' clock."""
    live = deployment.live
    if reason == "resting":
        return _TEXTS[reason] + _for_another(live.quota.cooldown_until - now)
    if reason == "breaker_open" and live.breaker.state == "open" and live.breaker.retry_at is not None:
        return _TEXTS[reason] + _for_another(live.breaker.retry_at - now)
    return _TEXTS[reason]


def describe_keys(deployment: Deployment, now: float) -> str:
    """The same for a deployment whose provider has no usable key."""
    keys = deployment.provider.keys
    what = "every key is rate limited" if keys.limited else "no key can be used"
    return what + _for_another(keys.free_at() - now)


def _for_another(seconds: float) -> str:
    return f" for another {math.ceil(seconds)} s" if seconds > 0 else ""
