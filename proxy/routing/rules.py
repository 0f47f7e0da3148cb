"""What follows an attempt that brought no answer. ``RULES`` is the table; the functions name its rows.

All of it is about the time before the content commit: afterwards an answer has begun, and nothing follows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from proxy.dialects.openai_error import ProviderError
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


class Kind(StrEnum):
    """How an attempt ended that did not end well."""

    RATE_LIMITED = "rate_limited"  # 429
    TOO_LARGE = "too_large"  # 413, or a 429 of a request that alone exceeds the limit
    OUT_OF_QUOTA = "out_of_quota"  # 429 of an account that is used up until somebody pays
    RESET = "reset"  # the connection was reset, or the network is unreachable
    UNREACHABLE = "unreachable"  # refused, host unreachable, DNS, TLS, the proxy on the way
    TIMEOUT = "timeout"  # the connect, headers, firstContent, idle or total clock
    DEADLINE = "deadline"  # the one clock over all attempts
    SERVER_ERROR = "server_error"  # 5xx, 408, 425, an error event first
    BROKEN_ANSWER = "broken_answer"  # empty, cut, or no answer at all
    MODEL_MISSING = "model_missing"  # 404 whose body says that the model does not exist
    NOT_FOUND = "not_found"  # any other 404 or 410
    ITEM_MISSING = "item_missing"  # 404 about something that the request refers to
    CONTEXT_LENGTH = "context_length"
    CONTENT_FILTER = "content_filter"
    LOOP = "loop"  # 508 of this gateway or of another one: a baseUrl leads back to where the request came from
    REFUSED_IN_ANSWER = "refused_in_answer"  # any other 4xx, told within a 200
    PAYMENT_REQUIRED = "payment_required"  # 402, unless fewer tokens would pass
    FORBIDDEN = "forbidden"  # 403 that is not about the model
    OTHER = "other"  # any other 4xx
    AUTH = "auth"  # 401, and a 400 about the key
    OPTIONS = "options"  # 400 because of an option that was the gateway's own wish
    BUSY = "busy"  # no connection of ours was free: the provider was not asked
    SLOW = "slow"  # the client left after it had waited long for an event
    CLIENT_GONE = "client_gone"  # closed, or it took nothing until its clock ran out
    OUTRUN = "outrun"  # another attempt for the same request was faster
    OURS = "ours"  # we stop, or made a mistake


class Next(StrEnum):
    """Who is asked next. Where "or" stands, the second holds when there is nobody for the first."""

    REST = "the same again when it has rested, an equal one that is free, else the next"
    SAME = "the same again a moment later, then the next"
    SAME_NOW = "the same again at once, without what it minded"
    NEXT = "the next at once"
    NEXT_OR_SAME = "the next, or the same once more before the fallback"
    SAME_OR_TELL = "the next, or the same once more before the fallback, or the provider's error to the client"
    OTHERS_OR_TELL = "the next, or the fallback, or the provider's error to the client"
    LARGER_OR_TELL = "the next whose context is larger or unknown, or the provider's error to the client"
    KEY = "another key once, then the next unless onAuthError says fail"
    KEY_OR_TELL = "another key once, then the next, or the fallback, or the provider's error to the client"
    TELL = "nobody: the provider's error to the client"
    STOP = "nobody"


# "failure" is one failure (of an exchange at most one per deployment), "unavailable" lasts until reset, reload or
# restart and for that endpoint, "nothing" leaves a probe's slot free without a verdict. "key" rests the key where
# another one can take over, and is one failure where none is left.
Verdict = Literal["failure", "unavailable", "nothing", "key"]


class Rule(NamedTuple):
    next: Next
    breaker: Verdict


# What is skipped (breaker open, resting, at maxConcurrent) is no attempt, and has no row.
# fmt: off
RULES: Final[dict[Kind, Rule]] = {
    # outcome                  next                      breaker
    Kind.RATE_LIMITED:   Rule(Next.REST,           "failure"),
    Kind.TOO_LARGE:      Rule(Next.OTHERS_OR_TELL, "nothing"),
    Kind.OUT_OF_QUOTA:   Rule(Next.KEY_OR_TELL,    "key"),
    Kind.RESET:          Rule(Next.SAME,           "failure"),
    Kind.UNREACHABLE:    Rule(Next.NEXT,           "failure"),
    Kind.TIMEOUT:        Rule(Next.NEXT,           "failure"),
    Kind.SERVER_ERROR:   Rule(Next.NEXT_OR_SAME,   "failure"),
    Kind.BROKEN_ANSWER:  Rule(Next.NEXT_OR_SAME,   "failure"),
    Kind.MODEL_MISSING:  Rule(Next.NEXT,           "unavailable"),
    Kind.NOT_FOUND:      Rule(Next.OTHERS_OR_TELL, "nothing"),
    Kind.ITEM_MISSING:   Rule(Next.TELL,           "nothing"),
    Kind.CONTEXT_LENGTH: Rule(Next.LARGER_OR_TELL, "nothing"),
    Kind.CONTENT_FILTER: Rule(Next.TELL,           "nothing"),
    Kind.LOOP:           Rule(Next.TELL,           "nothing"),
    # One client's request, or one deployment's account: neither a key nor the breaker may pay for it.
    Kind.PAYMENT_REQUIRED:  Rule(Next.OTHERS_OR_TELL, "nothing"),
    Kind.FORBIDDEN:         Rule(Next.OTHERS_OR_TELL, "nothing"),
    Kind.REFUSED_IN_ANSWER: Rule(Next.SAME_OR_TELL,   "nothing"),
    Kind.OTHER:          Rule(Next.TELL,           "nothing"),
    Kind.AUTH:           Rule(Next.KEY,            "key"),
    Kind.OPTIONS:        Rule(Next.SAME_NOW,       "nothing"),
    Kind.BUSY:           Rule(Next.NEXT,           "nothing"),
    # Where the deadline is shorter than the clocks, nothing else would ever open the breaker of a silent provider.
    Kind.DEADLINE:       Rule(Next.STOP,           "failure"),
    Kind.SLOW:           Rule(Next.STOP,           "nothing"),
    Kind.CLIENT_GONE:    Rule(Next.STOP,           "nothing"),
    Kind.OUTRUN:         Rule(Next.STOP,           "nothing"),
    Kind.OURS:           Rule(Next.STOP,           "nothing"),
}
# fmt: on

# The provider may have worked on the request before it failed: to ask again may run, and bill, it twice.
_MAY_HAVE_RUN: Final = frozenset(
    (Kind.RESET, Kind.TIMEOUT, Kind.DEADLINE, Kind.SERVER_ERROR, Kind.BROKEN_ANSWER, Kind.CLIENT_GONE, Kind.OURS)
)
# The client gets the provider's own error where nobody else is left.
TELLING: Final = frozenset(
    kind
    for kind, rule in RULES.items()
    if rule.next in (Next.TELL, Next.LARGER_OR_TELL, Next.OTHERS_OR_TELL, Next.SAME_OR_TELL, Next.KEY_OR_TELL)
)
CLOCKS: Final = frozenset((Kind.TIMEOUT, Kind.DEADLINE))
BLAMELESS: Final = frozenset((Kind.SLOW, Kind.CLIENT_GONE, Kind.OUTRUN))  # the attempt itself might have ended well
_DOUBLINGS: Final = 20


def of_fault(fault: GatewayError | ClientGone) -> Kind:
    """The row for an attempt that ended in an error of ours, the provider's error with a 200 among them."""
    match fault:
        case ClientGone():
            return Kind.CLIENT_GONE
        case ClockExpired():
            return _CLOCK_KINDS.get(fault.clock, Kind.TIMEOUT)
        case ConnectFailed():
            if fault.code == "upstream_busy":
                return Kind.BUSY
            return Kind.RESET if fault.again else Kind.UNREACHABLE
        case ConnectionBroken():
            # Bytes of an answer came back: that is no route that failed, but an answer that broke.
            return Kind.BROKEN_ANSWER if fault.heard else Kind.RESET
        case UpstreamAuthFailed():
            return Kind.AUTH
        case ErrorInStream():
            return of_refusal(refusal.of_error(_told(fault)))
        case UpstreamFault():
            return Kind.BROKEN_ANSWER
        case _:
            return Kind.OURS


_CLOCK_KINDS: Final = {"deadline": Kind.DEADLINE, "clientStall": Kind.CLIENT_GONE}


def may_have_run(kind: Kind, fault: GatewayError | None) -> bool:
    """Whether the provider may have begun to work on the request; ``fault`` is how it failed, if not by an answer."""
    if isinstance(fault, ConnectFailed) or (isinstance(fault, ClockExpired) and fault.clock == "connect"):
        return False  # not a byte of it was sent
    return kind in _MAY_HAVE_RUN


def of_refusal(found: refusal.Refusal) -> Kind:
    """The row for a provider's own error; the two vocabularies are one."""
    return Kind(found.kind)


def backoff(delay_ms: int, retry: int, random: Random, longest_ms: int = 0) -> float:
    """Seconds to wait before retry number ``retry`` (from 0): ``delay_ms``, doubled each time, and up to half more.

    ``longest_ms`` bounds what is doubled; 0: no bound.
    """
    doubled = delay_ms << min(retry, _DOUBLINGS)
    return float(min(doubled, longest_ms) if longest_ms else doubled) / 1000 * random.uniform(1.0, 1.5)


def verdict(tried: Sequence[Kind], passed: Iterable[Kind] = ()) -> Literal[404, 429, 502, 503, 504]:
    """The status for the client when no candidate answered.

    ``tried`` holds how each attempt ended, in order; ``passed`` why the others were not asked. 404: no provider has
    the model. 429: every cause is a rate limit. 503: nobody could be asked; else 504 or 502, by the last attempt.
    """
    asked = [kind for kind in tried if kind not in _NOT_ASKED]
    causes = {*tried, *passed}
    if causes == {Kind.MODEL_MISSING}:
        return 404
    if causes and causes <= _LIMITS:
        return 429
    if not asked:
        return 503
    return 504 if tried[-1] in CLOCKS else 502


_NOT_ASKED: Final = frozenset((Kind.MODEL_MISSING, Kind.BUSY))  # those that have the model
_LIMITS: Final = frozenset((Kind.RATE_LIMITED, Kind.OUT_OF_QUOTA, Kind.MODEL_MISSING))


def _told(fault: ErrorInStream) -> ProviderError:
    status = 0 if fault.status == ErrorInStream.status else fault.status  # the default: the provider named none
    return ProviderError(fault.message, type=fault.type, param=fault.param, code=fault.code, status=status)
