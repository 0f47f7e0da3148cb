"""Retry rules: what follows a failed attempt. ``RULES`` is the table; functions map failures to its rows.

The rules apply before the content commit. After it the response has begun, and no other attempt follows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from proxy.dialects.provider_error import ProviderError
from proxy.errors import (
    ClientGone,
    ClockExpired,
    ConnectFailed,
    ConnectionBroken,
    ErrorInStream,
    GatewayError,
    UpstreamAuthFailed,
    UpstreamFault,
)
from proxy.providers import refusal

if TYPE_CHECKING:
    from random import Random


class FailureKind(StrEnum):
    """Kind of a failed attempt."""

    RATE_LIMITED = "rate_limited"  # 429
    TOO_LARGE = "too_large"  # 413, or a 429 of a request that alone exceeds the limit
    OUT_OF_QUOTA = "out_of_quota"  # 429 of an account without credit
    RESET = "reset"  # the connection was reset, or the network is unreachable
    UNREACHABLE = "unreachable"  # connection refused, host unreachable, DNS, TLS, forward proxy
    TIMEOUT = "timeout"  # the connect, headers, firstContent, idle or total clock
    DEADLINE = "deadline"  # the time limit over all attempts
    SERVER_ERROR = "server_error"  # 5xx, 408, 425, or an error event before any content
    BROKEN_ANSWER = "broken_answer"  # response empty, truncated or invalid
    MODEL_MISSING = "model_missing"  # 404 whose body says that the model does not exist
    NOT_FOUND = "not_found"  # any other 404 or 410
    ITEM_MISSING = "item_missing"  # 404 for an object that the request refers to
    CONTEXT_LENGTH = "context_length"
    CONTENT_FILTER = "content_filter"
    LOOP = "loop"  # 508 of a gateway: a baseUrl leads back to it
    REFUSED_IN_ANSWER = "refused_in_answer"  # any other 4xx, as an error within a 200
    PAYMENT_REQUIRED = "payment_required"  # 402, unless fewer tokens would be accepted
    FORBIDDEN = "forbidden"  # 403 that is not about the model
    OTHER = "other"  # any other 4xx
    AUTH = "auth"  # 401, or 400 about the key
    OPTIONS = "options"  # 400 about an option that the gateway added
    UNTRANSLATABLE = "untranslatable"  # the provider's dialect has no place for a part of the request: nothing was sent
    BUSY = "busy"  # no free connection in the pool: nothing was sent
    SLOW = "slow"  # the client left after a long wait for an event
    CLIENT_GONE = "client_gone"  # closed, or stopped reading until the client stall timeout
    OUTRUN = "outrun"  # another attempt for the same request was faster
    OURS = "ours"  # shutdown or an internal error


class Next(StrEnum):
    """What to try next. "or" separates alternatives: each applies if the one before is not possible."""

    COOLDOWN = "the same candidate after its cooldown, an equal one that is available, else the next"
    SAME = "the same candidate after a short delay, then the next"
    SAME_NOW = "the same candidate at once, without the rejected option"
    NEXT = "the next candidate at once"
    NEXT_OR_SAME = "the next, or the same once more before the fallback"
    SAME_OR_ERROR = "the next, or the same once more before the fallback, or return the provider's error"
    OTHERS_OR_ERROR = "the next, or the fallback, or return the provider's error"
    LARGER_OR_ERROR = "the next with a larger or unknown context, or return the provider's error"
    KEY = "another key once, then the next unless onAuthError is fail"
    KEY_OR_ERROR = "another key once, then the next, or the fallback, or return the provider's error"
    RETURN_ERROR = "return the provider's error"
    STOP = "nothing"


# Effect on the breaker. "failure": counted once per deployment and exchange. "unavailable": the model is missing at
# the endpoint. "nothing": a probe's slot is freed. "key": cooldown of the key if another one can take over, else a
# failure.
BreakerEffect = Literal["failure", "unavailable", "nothing", "key"]


class Rule(NamedTuple):
    next: Next
    breaker: BreakerEffect


# Skipped candidates (breaker open, in cooldown, at maxConcurrent) are no attempts and have no row.
# fmt: off
RULES: Final[dict[FailureKind, Rule]] = {
    # outcome                           next                  breaker
    FailureKind.RATE_LIMITED:      Rule(Next.COOLDOWN,        "failure"),
    FailureKind.TOO_LARGE:         Rule(Next.OTHERS_OR_ERROR, "nothing"),
    FailureKind.OUT_OF_QUOTA:      Rule(Next.KEY_OR_ERROR,    "key"),
    FailureKind.RESET:             Rule(Next.SAME,            "failure"),
    FailureKind.UNREACHABLE:       Rule(Next.NEXT,            "failure"),
    FailureKind.TIMEOUT:           Rule(Next.NEXT,            "failure"),
    FailureKind.SERVER_ERROR:      Rule(Next.NEXT_OR_SAME,    "failure"),
    FailureKind.BROKEN_ANSWER:     Rule(Next.NEXT_OR_SAME,    "failure"),
    FailureKind.MODEL_MISSING:     Rule(Next.NEXT,            "unavailable"),
    FailureKind.NOT_FOUND:         Rule(Next.OTHERS_OR_ERROR, "nothing"),
    FailureKind.ITEM_MISSING:      Rule(Next.RETURN_ERROR,    "nothing"),
    FailureKind.CONTEXT_LENGTH:    Rule(Next.LARGER_OR_ERROR, "nothing"),
    FailureKind.CONTENT_FILTER:    Rule(Next.RETURN_ERROR,    "nothing"),
    FailureKind.LOOP:              Rule(Next.RETURN_ERROR,    "nothing"),
    # Caused by one request or one account: neither the key nor the breaker is affected.
    FailureKind.PAYMENT_REQUIRED:  Rule(Next.OTHERS_OR_ERROR, "nothing"),
    FailureKind.FORBIDDEN:         Rule(Next.OTHERS_OR_ERROR, "nothing"),
    FailureKind.REFUSED_IN_ANSWER: Rule(Next.SAME_OR_ERROR,   "nothing"),
    FailureKind.OTHER:             Rule(Next.RETURN_ERROR,    "nothing"),
    FailureKind.AUTH:              Rule(Next.KEY,             "key"),
    FailureKind.OPTIONS:           Rule(Next.SAME_NOW,        "nothing"),
    FailureKind.UNTRANSLATABLE:    Rule(Next.OTHERS_OR_ERROR, "nothing"),
    FailureKind.BUSY:              Rule(Next.NEXT,            "nothing"),
    # If the deadline is shorter than the other timeouts, nothing else opens the breaker of a silent provider.
    FailureKind.DEADLINE:          Rule(Next.STOP,            "failure"),
    FailureKind.SLOW:              Rule(Next.STOP,            "nothing"),
    FailureKind.CLIENT_GONE:       Rule(Next.STOP,            "nothing"),
    FailureKind.OUTRUN:            Rule(Next.STOP,            "nothing"),
    FailureKind.OURS:              Rule(Next.STOP,            "nothing"),
}
# fmt: on

# The provider may have processed the request before it failed. Another attempt may be billed as well.
_MAY_HAVE_RUN: Final = frozenset(
    (
        FailureKind.RESET,
        FailureKind.TIMEOUT,
        FailureKind.DEADLINE,
        FailureKind.SERVER_ERROR,
        FailureKind.BROKEN_ANSWER,
        FailureKind.CLIENT_GONE,
        FailureKind.OURS,
    )
)
# Kinds for which the client gets the provider's own error if no candidate is left.
RETURNS_ERROR: Final = frozenset(
    kind
    for kind, rule in RULES.items()
    if rule.next
    in (Next.RETURN_ERROR, Next.LARGER_OR_ERROR, Next.OTHERS_OR_ERROR, Next.SAME_OR_ERROR, Next.KEY_OR_ERROR)
)
CLOCKS: Final = frozenset((FailureKind.TIMEOUT, FailureKind.DEADLINE))
# Not a failure of the provider: the attempt might have succeeded.
NEUTRAL: Final = frozenset((FailureKind.SLOW, FailureKind.CLIENT_GONE, FailureKind.OUTRUN))
_DOUBLINGS: Final = 20


def kind_of_fault(fault: GatewayError | ClientGone) -> FailureKind:
    """The row for an attempt that ended with an exception, including a provider's error within a 200."""
    match fault:
        case ClientGone():
            return FailureKind.CLIENT_GONE
        case ClockExpired():
            return _CLOCK_KINDS.get(fault.clock, FailureKind.TIMEOUT)
        case ConnectFailed():
            if fault.code == "upstream_busy":
                return FailureKind.BUSY
            return FailureKind.RESET if fault.again else FailureKind.UNREACHABLE
        case ConnectionBroken():
            # If bytes of a response arrived, the response broke, not the connection attempt.
            return FailureKind.BROKEN_ANSWER if fault.response_begun else FailureKind.RESET
        case UpstreamAuthFailed():
            return FailureKind.AUTH
        case ErrorInStream():
            return kind_of_refusal(refusal.of_error(_provider_error(fault)))
        case UpstreamFault():
            return FailureKind.BROKEN_ANSWER
        case _:
            return FailureKind.OURS


_CLOCK_KINDS: Final = {"deadline": FailureKind.DEADLINE, "clientStall": FailureKind.CLIENT_GONE}


def may_have_run(kind: FailureKind, fault: GatewayError | None) -> bool:
    """Whether the provider may have begun to process the request; ``fault``: the exception, if there was one."""
    if isinstance(fault, ConnectFailed) or (isinstance(fault, ClockExpired) and fault.clock == "connect"):
        return False  # nothing was sent
    return kind in _MAY_HAVE_RUN


def kind_of_refusal(found: refusal.Refusal) -> FailureKind:
    """The row for a provider's error response. ``Refusal.kind`` uses the same values."""
    return FailureKind(found.kind)


def backoff(delay_ms: int, retry: int, random: Random, longest_ms: int = 0) -> float:
    """Seconds before retry number ``retry`` (from 0): ``delay_ms`` doubled each time, plus up to 50 % jitter.

    ``longest_ms`` bounds the delay before jitter; 0: no bound.
    """
    doubled = delay_ms << min(retry, _DOUBLINGS)
    return float(min(doubled, longest_ms) if longest_ms else doubled) / 1000 * random.uniform(1.0, 1.5)


def final_status(tried: Sequence[FailureKind], passed: Iterable[FailureKind] = ()) -> Literal[404, 429, 502, 503, 504]:
    """The status for the client if no candidate answered.

    ``tried``: kinds of the attempts, in order; ``passed``: reasons why other candidates were skipped.
    404: no provider has the model. 429: all causes are rate limits. 503: no request could be sent. Otherwise 504 or
    502, by the last attempt.
    """
    sent = [kind for kind in tried if kind not in _NOT_SENT]
    causes = {*tried, *passed}
    if causes == {FailureKind.MODEL_MISSING}:
        return 404
    if causes and causes <= _LIMITS:
        return 429
    if not sent:
        return 503
    return 504 if tried[-1] in CLOCKS else 502


_NOT_SENT: Final = frozenset((FailureKind.MODEL_MISSING, FailureKind.UNTRANSLATABLE, FailureKind.BUSY))
_LIMITS: Final = frozenset((FailureKind.RATE_LIMITED, FailureKind.OUT_OF_QUOTA, FailureKind.MODEL_MISSING))


def _provider_error(fault: ErrorInStream) -> ProviderError:
    status = 0 if fault.status == ErrorInStream.status else fault.status  # 0: the provider gave no status
    return ProviderError(fault.message, type=fault.provider_type, param=fault.param, code=fault.code, status=status)
