"""Cooldowns after a refusal: of the key if another one can replace it, else of the deployment."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Final

from proxy.routing import rules
from proxy.routing.rules import FailureKind

if TYPE_CHECKING:
    from proxy.config.schema import Routing
    from proxy.dispatch.dispatcher import Dispatcher
    from proxy.dispatch.failure import AttemptFailure

KEY_COOLDOWN: Final = 60.0  # seconds; for a key that was refused
LONG: Final = 5.0  # seconds; shorter cooldowns are not worth a line in the log


def probe_at(routing: Routing, now: float) -> float:
    """When to send a probe during a long ``Retry-After``; infinity: not before its end."""
    return now + (routing.max_retry_after_secs or inf)


def cool_key(dispatcher: Dispatcher, failure: AttemptFailure, now: float) -> bool:
    """Cool down the refused key if another one can replace it. Returns whether one can.

    If none can, the refusal is a failure of the deployment: without its only key it could serve no client.
    """
    attempt, out_of_quota = failure.attempt, failure.kind is FailureKind.OUT_OF_QUOTA
    provider = attempt.deployment.provider
    if not provider.keys.refused(attempt.key, now + KEY_COOLDOWN, now, limited=out_of_quota):
        return False
    dispatcher.warn(
        "A provider refused one of its keys; the others are used meanwhile.",
        provider=provider.name,
        key=attempt.key.number + 1,
        why=failure.kind.value,
        status=attempt.status,
        seconds=KEY_COOLDOWN,
    )
    return True


def cool_deployment(
    dispatcher: Dispatcher, failure: AttemptFailure, attempts: int, delay_ms: int, now: float, probe_at: float
) -> None:
    """Cool down after a 429: the key if there are several, else the deployment.

    ``attempts``: of this exchange at the deployment. ``delay_ms``: first step of the backoff. ``probe_at``: when to
    send a probe, even if the provider's ``Retry-After`` is later.
    """
    attempt = failure.attempt
    keys = attempt.deployment.provider.keys
    delay = failure.retry_after
    if delay is None:
        delay = rules.backoff(delay_ms, attempts - 1, dispatcher.random)
    until = now + delay
    if len(keys) > 1:  # a single key stays usable for the provider's other models
        keys.cool_down(attempt.key, min(until, probe_at), limited=True)
        until = keys.free_at()
    quota = attempt.deployment.live.quota
    if until > now:
        # Once per cooldown. Not for unlisted names: a client can make up any number of them.
        if until - now >= LONG and quota.cooldown_until <= now and attempt.deployment.model is not None:
            dispatcher.warn(
                "A provider's rate limit holds back a deployment.",
                deployment=attempt.deployment.label,
                seconds=round(until - now, 3),
                probe=round(min(until, probe_at) - now, 3),
            )
        quota.cool_down(until, probe_at)
