"""What the breaker and the statistics of a deployment learn from each attempt.

An attempt's entry ends in exactly one of the functions below but ``committed``. It is ``REFUSED`` from then on, so
that an error of ours behind the verdict cannot give a second one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from proxy.breakers.breaker import Permit
from proxy.exchange import Attempt
from proxy.routing import rules
from proxy.routing.rules import FailureKind
from proxy.routing.statistics import Statistics

SLOW: Final = 0.5  # of the clock that ran: a client that leaves later than this has waited for a silent provider

_NORMAL: Final = Permit.NORMAL
_ENDED: Final = Permit.REFUSED


def committed(attempt: Attempt, now: float) -> None:
    """The first content of a stream, whose end is still to come."""
    attempt.first_content = now
    live = attempt.deployment.live
    if attempt.permit is not _NORMAL:
        live.breaker.commit(attempt.permit, now)
    if live.quota.probed_at:
        live.quota.succeeded(attempt.began)
    live.statistics.record_first_token(now - attempt.began, now)


def answered(attempt: Attempt, endpoint: str, now: float) -> None:
    """A whole answer that was collected. ``endpoint`` is the path that was requested."""
    statistics = succeeded(attempt, endpoint, now)
    if statistics.latency is None:  # a first guess; streams know better
        statistics.record_first_token(now - attempt.began, now)


def succeeded(attempt: Attempt, endpoint: str, now: float) -> Statistics:
    """A whole answer; the statistics that count it."""
    live = attempt.deployment.live
    live.breaker.succeed(attempt.permit, endpoint, now)
    attempt.permit = _ENDED
    if live.quota.probed_at:
        live.quota.succeeded(attempt.began)
    statistics = live.statistics
    statistics.record(True, now)
    return statistics


def failed(
    attempt: Attempt,
    kind: FailureKind,
    why: str,
    attempts: Iterable[Attempt],
    endpoint: str,
    now: float,
    *,
    key_rests: bool = False,
) -> None:
    """An attempt that failed, before the content commit or after it; ``why`` is the breaker's reason for it.

    ``attempts`` are those of the exchange, which counts at most one failure for each deployment. ``key_rests``: the
    failure was put down to the key, and another one takes over.
    """
    live, verdict = attempt.deployment.live, rules.RULES[kind].breaker
    if verdict == "key":
        verdict = "nothing" if key_rests else "failure"
    first = verdict == "failure" and not _has_failed(attempt, attempts)
    if first:
        live.statistics.record(False, now)
    if first or (verdict == "failure" and attempt.permit.probe):  # a probe that failed may not look like one that left
        live.breaker.fail(attempt.permit, now, why)
    else:
        live.breaker.release(attempt.permit, now)
    attempt.permit = _ENDED
    # A name that nobody configured is a client's own: it is requested again as soon as somebody wants it.
    if verdict == "unavailable" and attempt.deployment.model is not None:
        live.breaker.missing(endpoint, now)


def cut_short(attempt: Attempt, kind: FailureKind, waited: float, endpoint: str, now: float) -> FailureKind:
    """An attempt that was ended from outside; the kind of it, ``SLOW`` where the client gave up on the provider.

    ``waited`` is how much of the clock that ran had passed without an event, 0 to 1.
    """
    if attempt.permit:
        if kind is FailureKind.CLIENT_GONE and waited >= SLOW:
            kind = FailureKind.SLOW
            attempt.deployment.live.statistics.record_abandoned(now)
        if kind is FailureKind.CLIENT_GONE and attempt.first_content is not None:
            succeeded(attempt, endpoint, now)
        else:
            left(attempt, now)
    return kind


def left(attempt: Attempt, now: float) -> None:
    """No verdict."""
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
