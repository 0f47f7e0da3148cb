"""The verdict on each attempt, for the breaker and the statistics of its deployment.

Every function except ``commit`` ends the attempt's breaker permit. Exactly one of them is called per attempt. It sets
the permit to ``REFUSED``, so that a later internal error cannot give a second verdict. ``endpoint`` is the requested
path, ``now`` the breakers' clock.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from proxy.breakers.breaker import Permit
from proxy.exchange import Attempt
from proxy.routing import rules
from proxy.routing.rules import FailureKind

# Share of the running timeout: a client that disconnects later has waited for a silent provider.
SLOW: Final = 0.5

_NORMAL: Final = Permit.NORMAL
_ENDED: Final = Permit.REFUSED


def commit(attempt: Attempt, now: float) -> None:
    """Note the first content of a stream, whose verdict is still to come."""
    attempt.first_content = now
    live = attempt.deployment.live
    if attempt.permit is not _NORMAL:
        live.breaker.commit(attempt.permit, now)
    if live.quota.probed_at:
        live.quota.succeeded(attempt.began)
    live.statistics.record_first_token(now - attempt.began, now)


def succeed(attempt: Attempt, endpoint: str, now: float, *, collected: bool = False) -> None:
    """Record a complete answer. ``collected``: it was not streamed, so the time of its first token is an estimate."""
    live = attempt.deployment.live
    live.breaker.succeed(attempt.permit, endpoint, now)
    attempt.permit = _ENDED
    if live.quota.probed_at:
        live.quota.succeeded(attempt.began)
    statistics = live.statistics
    statistics.record(True, now)
    if collected and statistics.latency is None:
        statistics.record_first_token(now - attempt.began, now)


def fail(
    attempt: Attempt,
    kind: FailureKind,
    reason: str,
    attempts: Iterable[Attempt],
    endpoint: str,
    now: float,
    *,
    key_replaced: bool = False,
) -> None:
    """Record a failure, before or after the content commit. ``reason`` is shown by the breaker.

    ``attempts`` are those of the exchange, which counts at most one failure per deployment. ``key_replaced``: the key
    caused the failure, and another one replaces it.
    """
    live, verdict = attempt.deployment.live, rules.RULES[kind].breaker
    if verdict == "key":
        verdict = "nothing" if key_replaced else "failure"
    first = verdict == "failure" and not _has_failed(attempt, attempts)
    if first:
        live.statistics.record(False, now)
    if first or (verdict == "failure" and attempt.permit.probe):  # a probe that failed must not look like a release
        live.breaker.fail(attempt.permit, now, reason)
    else:
        live.breaker.release(attempt.permit, now)
    attempt.permit = _ENDED
    # Only configured names: any other name is tried again at the next request.
    if verdict == "unavailable" and attempt.deployment.model is not None:
        live.breaker.missing(endpoint, now)


def cancel(attempt: Attempt, kind: FailureKind, waited: float, endpoint: str, now: float) -> FailureKind:
    """Record an attempt that was ended from outside. Returns its kind: ``SLOW`` if the client stopped waiting.

    ``waited`` is the share of the running timeout that had passed without an event, 0 to 1.
    """
    if attempt.permit:
        if kind is FailureKind.CLIENT_GONE and waited >= SLOW:
            kind = FailureKind.SLOW
            attempt.deployment.live.statistics.record_abandoned(now)
        if kind is FailureKind.CLIENT_GONE and attempt.first_content is not None:
            succeed(attempt, endpoint, now)
        else:
            release(attempt, now)
    return kind


def release(attempt: Attempt, now: float) -> None:
    """End the attempt without a verdict."""
    attempt.deployment.live.breaker.release(attempt.permit, now)
    attempt.permit = _ENDED


def _has_failed(attempt: Attempt, attempts: Iterable[Attempt]) -> bool:
    """Whether an earlier attempt of the exchange counted as a failure of the same deployment."""
    live = attempt.deployment.live
    return any(
        bool(each.failure) and rules.RULES[FailureKind(each.failure)].breaker == "failure"
        for each in attempts
        if each is not attempt and each.deployment.live is live
    )
