"""The error for an exchange that no candidate answered, with the reason of every attempt."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from proxy import router_metadata
from proxy.dispatch.failure import AttemptFailure
from proxy.dispatch.skipped import describe, describe_keys, describe_refusal
from proxy.errors import UpstreamFault
from proxy.exchange import Exchange, RefusedBy
from proxy.routing import rules
from proxy.routing.deployment import Deployment
from proxy.routing.plan import Plan, Reason
from proxy.routing.rules import FailureKind

MESSAGE: Final = 2000  # characters
# SDKs sleep for a Retry-After of up to a minute, twice. To its user such a client seems to hang.
ADDRESS_SECS: Final = 1.0  # after which a service may have an address
LONGEST_WAIT: Final = 5.0  # seconds
_LIMITED: Final = (FailureKind.RATE_LIMITED, FailureKind.OUT_OF_QUOTA)
_PERMANENT: Final = {FailureKind.AUTH, FailureKind.OUT_OF_QUOTA}  # only an operator can fix these
_is_code = re.compile(r"[A-Za-z_][\w.\-]{0,63}").fullmatch


def exhausted(
    exchange: Exchange,
    plan: Plan,
    last: AttemptFailure | None,
    now: float,
    keyless: Sequence[Deployment] = (),
    limited: Sequence[tuple[Deployment, RefusedBy]] = (),
) -> UpstreamFault:
    """The error, with the status of ``rules.final_status``.

    ``last`` is the last attempt's failure, ``None`` if there was no attempt. ``keyless`` are the deployments without a
    usable key, ``limited`` those skipped because of the gateway's own limits and budgets.
    """
    tried = [FailureKind(attempt.failure) for attempt in exchange.attempts if attempt.failure]
    passed = [_cause(*each) for each in plan.skipped]
    passed += [FailureKind.RATE_LIMITED if each.provider.keys.limited else FailureKind.AUTH for each in keyless]
    passed += [FailureKind.RATE_LIMITED if by == "limit" else FailureKind.OUT_OF_QUOTA for _, by in limited]
    absent = any(reason == "no_address" for _, reason in plan.skipped)
    status = rules.final_status(tried, passed)
    causes = {*tried, *passed}
    # A refused key in cooldown has a replacement, so a new request may succeed.
    final = bool(causes) and causes <= _PERMANENT and not (last is not None and last.attempt.key.cooldown_until > now)
    error = UpstreamFault(
        _message(exchange, plan, last, keyless, limited, now),
        status=status,
        code=_code(exchange, last, status, causes, absent),
        detail=exchange.error_detail,
    )
    if status == 404:
        error.kind, error.param = "invalid_request", "model"
    elif status == 429:
        error.kind = "rate_limited"
    waits = [plan.cooldown_secs(now), *_waits(plan, last, keyless, now)]
    _advise(error, [*waits, ADDRESS_SECS] if absent else waits, final)
    return error


def _cause(deployment: Deployment, reason: Reason) -> FailureKind:
    """The failure kind of a skipped deployment."""
    if reason == "unavailable":
        return FailureKind.MODEL_MISSING
    if reason in ("resting", "busy"):
        return FailureKind.RATE_LIMITED
    why = deployment.live.breaker.reason
    return FailureKind(why) if reason == "breaker_open" and why in _LIMITED else FailureKind.UNREACHABLE


def _message(
    exchange: Exchange,
    plan: Plan,
    last: AttemptFailure | None,
    keyless: Sequence[Deployment],
    limited: Sequence[tuple[Deployment, RefusedBy]],
    now: float,
) -> str:
    failed = router_metadata.failures(exchange)
    quoted = last.error.message if last is not None and last.error is not None else ""
    if len(failed) == 1 and not plan.skipped and not keyless and not limited:
        if last is not None and last.fault is not None:
            return last.fault.message
        return f"The provider failed: {failed[0].message}.{f' It said: {quoted}' if quoted else ''}"
    reasons = [f"{failure.provider}/{failure.model_name}: {failure.message.rstrip('.')}" for failure in failed]
    reasons += [f"{deployment.label}: {describe(deployment, reason, now)}" for deployment, reason in plan.skipped]
    reasons += [f"{deployment.label}: {describe_keys(deployment, now)}" for deployment in keyless]
    reasons += [f"{deployment.label}: {describe_refusal(by)}" for deployment, by in limited]
    text = "; ".join(f"{reason} ({n} times)" if n > 1 else reason for reason, n in Counter(reasons).items())[:MESSAGE]
    message = f"No model could answer ({text})." if text else "No model could answer."
    return f"{message} The last provider said: {quoted}" if quoted else message


def _code(exchange: Exchange, last: AttemptFailure | None, status: int, causes: set[FailureKind], absent: bool) -> str:
    if status == 404:
        return "model_not_found"
    if last is None or not exchange.attempts:
        if status != 429:
            return "no_address" if absent else "no_candidate"
        return "insufficient_quota" if causes == {FailureKind.OUT_OF_QUOTA} else "rate_limit_exceeded"
    own = last.error.code if last.error is not None else None
    if isinstance(own, str) and _is_code(own):
        return own
    if status == 429:
        return "rate_limit_exceeded"
    if last.fault is not None and last.fault.code:
        return last.fault.code
    return "upstream_auth_failed" if last.kind is FailureKind.AUTH else f"upstream_{last.kind}"


def _waits(plan: Plan, last: AttemptFailure | None, keyless: Sequence[Deployment], now: float) -> list[float | None]:
    """Seconds until a deployment may be tried again, except those in the plan."""
    found: list[float | None] = [deployment.provider.keys.free_at() - now for deployment in keyless]
    if last is not None and last.kind is not FailureKind.AUTH:
        found.append(last.retry_after)
    if any(deployment.live.breaker.state == "half_open" for deployment, _ in plan.skipped):
        found.append(1.0)  # a probe runs
    return found


def _advise(error: UpstreamFault, waits: Iterable[float | None], final: bool) -> None:
    """Set whether the client's SDK should retry, and when.

    It should not if only an operator can help (``final``), or if no deployment becomes free within ``LONGEST_WAIT``.
    """
    known = [seconds for seconds in waits if seconds is not None]
    wait = max(1, math.ceil(min(known))) if known else None
    if final:
        error.should_retry = False
    elif error.status == 429:
        error.retry_after = wait or 1
    elif wait is not None and wait <= LONGEST_WAIT:
        error.retry_after = wait
    elif error.status == 503:
        error.should_retry = False
