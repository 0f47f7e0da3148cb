"""The error for an exchange that no candidate answered, with the reason of every attempt."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

from proxy import truth
from proxy.errors import UpstreamFault
from proxy.exchange import Exchange
from proxy.routing import rules
from proxy.routing.deployment import Deployment
from proxy.routing.plan import Plan
from proxy.routing.rules import Kind

WAITS = frozenset(("resting", "busy"))  # reasons to pass a candidate over that time alone removes
MESSAGE = 2000  # characters


def exhausted(
    exchange: Exchange,
    plan: Plan,
    last: UpstreamFault | None,
    now: float,
    told: float | None = None,
    keyless: Sequence[Deployment] = (),
    limited: Sequence[Deployment] = (),
) -> UpstreamFault:
    """429 if every candidate was rate-limited, 504 if the last failure was a clock, else 502; never our 401 to 403.

    ``last`` is the fault of the last attempt, ``None`` if that was an answer, or if nobody could be asked; ``told``
    the seconds after which that answer's provider wants to be asked again. ``keyless`` are those whose keys all
    rest, ``limited`` those that our own limits hold back.
    """
    kinds = [Kind(trial.failure) for trial in exchange.trials if trial.failure]
    waiting = [Kind.RATE_LIMITED if reason in WAITS else Kind.UNREACHABLE for _, reason in plan.skipped]
    refused = [Kind.RATE_LIMITED if each.provider.keys.limited else Kind.AUTH for each in keyless]
    refused += [Kind.RATE_LIMITED for _ in limited]
    status = rules.verdict([*kinds, *waiting, *refused], kinds[-1] if kinds else None)
    error = UpstreamFault(
        _message(exchange, plan, last, keyless, limited),
        status=status,
        code=_code(exchange, last, status),
        retry_after=_retry_after([plan.rest_secs(now), told, *_waits(keyless, now)], status),
        detail=exchange.error_detail,
    )
    if status == 429:
        error.type = "rate_limit_error"
    return error


def _message(
    exchange: Exchange,
    plan: Plan,
    last: UpstreamFault | None,
    keyless: Sequence[Deployment],
    limited: Sequence[Deployment],
) -> str:
    failed = truth.failures(exchange)
    if len(failed) == 1 and not plan.skipped and not keyless and not limited:
        return last.message if last is not None else f"The provider failed: {failed[0].message}."
    reasons = [f"{failure.provider}/{failure.model_name}: {failure.message.rstrip('.')}" for failure in failed]
    reasons += [f"{deployment.label}: {reason}" for deployment, reason in plan.skipped]
    reasons += [f"{deployment.label}: every key rests" for deployment in keyless]
    reasons += [f"{deployment.label}: its limit here is reached" for deployment in limited]
    told = "; ".join(f"{reason} ({n} times)" if n > 1 else reason for reason, n in Counter(reasons).items())[:MESSAGE]
    return f"No model could answer ({told})." if told else "No model could answer."


def _code(exchange: Exchange, last: UpstreamFault | None, status: int) -> str:
    if status == 429:
        return "rate_limit_exceeded"
    if last is not None and last.code:
        return last.code
    if not exchange.trials:
        return "no_candidate"
    trial = exchange.trials[-1]
    return "upstream_auth_failed" if trial.failure == Kind.AUTH else f"upstream_{trial.failure}"


def _waits(keyless: Sequence[Deployment], now: float) -> list[float]:
    """Seconds until they have a key again."""
    return [deployment.provider.keys.free_at() - now for deployment in keyless]


def _retry_after(waits: Iterable[float | None], status: int) -> int | None:
    """Seconds until somebody can be asked again, where that is known."""
    known = [seconds for seconds in waits if seconds is not None]
    if not known:
        return 1 if status == 429 else None
    return max(1, math.ceil(min(known)))
