"""What a refusal holds back for the requests that follow: a key where another one takes over, else the deployment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.routing import rules
from proxy.routing.rules import Kind

if TYPE_CHECKING:
    from proxy.dispatch.dispatcher import Dispatcher
    from proxy.dispatch.failure import AttemptFailure
    from proxy.exchange import Attempt

KEY_COOLDOWN: Final = 60.0  # seconds; for a key that was refused
LONG: Final = 5.0  # seconds; shorter cooldowns are not worth a line in the log


def cool_key(dispatcher: Dispatcher, failure: AttemptFailure, now: float) -> bool:
    """Rest the key that was refused if another one can take over; whether it does.

    If none can, the refusal is a failure of the deployment: to rest the only key would turn every client away.
    """
    attempt, out_of_quota = failure.attempt, failure.kind is Kind.OUT_OF_QUOTA
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
    """Rest what a 429 was about: the key where there are several, else the deployment.

    ``attempts`` is how many this exchange has made there, ``delay_ms`` the first step of the backoff. ``probe_at`` is
    when a probe is sent, however much later the provider wants to be asked again.
    """
    attempt: Attempt = failure.attempt
    keys = attempt.deployment.provider.keys
    delay = failure.retry_after
    if delay is None:
        delay = rules.backoff(delay_ms, attempts - 1, dispatcher.random)
    until = now + delay
    if len(keys) > 1:  # the only key goes on for the provider's other models
        keys.rest(attempt.key, min(until, probe_at), limited=True)
        until = keys.free_at()
    quota = attempt.deployment.live.quota
    if until > now:
        # Once for each cooldown, and not for a name that a client made up: there may be any number of them.
        if until - now >= LONG and quota.rests_until <= now and attempt.deployment.model is not None:
            dispatcher.warn(
                "A provider's rate limit holds back a deployment.",
                deployment=attempt.deployment.label,
                seconds=round(until - now, 3),
                probe=round(min(until, probe_at) - now, 3),
            )
        quota.rest(until, probe_at)
