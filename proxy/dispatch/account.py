"""What the breaker and the statistics of a deployment learn from each attempt.

An attempt's entry ends in exactly one of the functions below but ``committed``. It is ``REFUSED`` from then on, so
that an error of ours behind the verdict cannot give a second one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from proxy.breakers.breaker import Entry
from proxy.exchange import Trial
from proxy.routing import rules
from proxy.routing.rules import Kind
from proxy.routing.statistics import Statistics

SLOW: Final = 0.5  # of the clock that ran: a client that leaves later than this has waited for a silent provider

_NORMAL: Final = Entry.NORMAL
_ENDED: Final = Entry.REFUSED


def committed(trial: Trial, now: float) -> None:
    """The first content of a stream, whose end is still to come."""
    trial.first_content = now
    live = trial.deployment.live
    if trial.entry is not _NORMAL:
        live.breaker.commit(trial.entry, now)
    if live.quota.probed_at:
        live.quota.succeeded(trial.began)
    live.statistics.first_token(now - trial.began, now)


def answered(trial: Trial, endpoint: str, now: float) -> None:
    """A whole answer that was collected. ``endpoint`` is the path that was requested."""
    statistics = succeeded(trial, endpoint, now)
    if statistics.latency is None:  # a first guess; streams know better
        statistics.first_token(now - trial.began, now)


def succeeded(trial: Trial, endpoint: str, now: float) -> Statistics:
    """A whole answer; the statistics that count it."""
    live = trial.deployment.live
    live.breaker.succeed(trial.entry, endpoint, now)
    trial.entry = _ENDED
    if live.quota.probed_at:
        live.quota.succeeded(trial.began)
    statistics = live.statistics
    statistics.ended(True, now)
    return statistics


def failed(
    trial: Trial,
    kind: Kind,
    why: str,
    trials: Iterable[Trial],
    endpoint: str,
    now: float,
    *,
    key_rests: bool = False,
) -> None:
    """An attempt that failed, before the content commit or after it; ``why`` is the breaker's reason for it.

    ``trials`` are those of the exchange, which counts at most one failure for each deployment. ``key_rests``: the
    failure was put down to the key, and another one takes over.
    """
    live, verdict = trial.deployment.live, rules.RULES[kind].breaker
    if verdict == "key":
        verdict = "nothing" if key_rests else "failure"
    first = verdict == "failure" and not _has_failed(trial, trials)
    if first:
        live.statistics.ended(False, now)
    if first or (verdict == "failure" and trial.entry.probe):  # a probe that failed may not look like one that left
        live.breaker.fail(trial.entry, now, why)
    else:
        live.breaker.leave(trial.entry, now)
    trial.entry = _ENDED
    # A name that nobody configured is a client's own: it is requested again as soon as somebody wants it.
    if verdict == "unavailable" and trial.deployment.model is not None:
        live.breaker.missing(endpoint, now)


def cut_short(trial: Trial, kind: Kind, waited: float, endpoint: str, now: float) -> Kind:
    """An attempt that was ended from outside; the kind of it, ``SLOW`` where the client gave up on the provider.

    ``waited`` is how much of the clock that ran had passed without an event, 0 to 1.
    """
    if trial.entry:
        if kind is Kind.CLIENT_GONE and waited >= SLOW:
            kind = Kind.SLOW
            trial.deployment.live.statistics.left_waiting(now)
        if kind is Kind.CLIENT_GONE and trial.first_content is not None:
            succeeded(trial, endpoint, now)
        else:
            left(trial, now)
    return kind


def left(trial: Trial, now: float) -> None:
    """No verdict."""
    trial.deployment.live.breaker.leave(trial.entry, now)
    trial.entry = _ENDED


def _has_failed(trial: Trial, trials: Iterable[Trial]) -> bool:
    """Whether an earlier attempt of the exchange counted as a failure of the same deployment."""
    live = trial.deployment.live
    return any(
        bool(each.failure) and rules.RULES[Kind(each.failure)].breaker == "failure"
        for each in trials
        if each is not trial and each.deployment.live is live
    )
