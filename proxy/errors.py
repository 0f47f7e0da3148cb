"""Every error type is a decision: whose fault it is, which status the client sees, what may follow.

No dialect's words are in here: a dialect's ``Writer`` maps the ``kind`` of an error to its own. A type exists only
where somebody branches on it.
"""

from __future__ import annotations

from typing import Literal

ErrorKind = Literal["invalid_request", "unauthorized", "rate_limited", "overloaded", "internal", "upstream"]


class ConfigError(Exception):
    """The configuration cannot be used; ``mistakes`` holds one readable line each."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


class GatewayError(Exception):
    """An exchange that ends in an error of our own making.

    ``message`` is for the client: it never holds an address, a key or a byte of the request. ``kind``, ``code`` and
    ``param`` (the wrong member of the request) are for programs. A dialect that has no place for one leaves it out.
    ``detail`` is for the log only. ``should_retry`` overrides what SDKs conclude from the status (the header
    ``x-should-retry``); ``None`` leaves it to them.
    """

    status = 500
    kind: ErrorKind = "internal"
    code: str | None = "internal_error"
    should_retry: bool | None = None

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        param: str | None = None,
        retry_after: int | None = None,
        allow: str | None = None,
        detail: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after = retry_after
        self.allow = allow
        self.detail = detail
        if status is not None:
            self.status = status
        if code is not None:
            self.code = code


class ClientFault(GatewayError):
    """The request is wrong; no provider was asked and none would answer otherwise."""

    status = 400
    kind: ErrorKind = "invalid_request"
    code = None


class UpgradeRequired(ClientFault):
    """The endpoint is served over plain HTTP only; the answer's ``Upgrade`` says so (RFC 9110 15.5.22)."""

    def __init__(self) -> None:
        super().__init__(
            "This endpoint is not served over WebSocket; send the request as HTTP/1.1.", status=426, code="no_websocket"
        )


class LoopDetected(GatewayError):
    """The request passed this gateway before: a provider's ``baseUrl`` leads back to it (RFC 5842 7.2)."""

    status = 508
    code = "gateway_loop"
    should_retry = False

    def __init__(self) -> None:
        super().__init__(
            "The gateway sent this request to itself: the baseUrl of a provider leads back to the gateway."
            " Set it to the provider's own address."
        )


class Unauthorized(GatewayError):
    """Nobody proved who asks: the same words for a missing, an unknown, a wrong and an expired credential."""

    status = 401
    kind: ErrorKind = "unauthorized"
    code = "invalid_api_key"
    realm = "sluice"
    words = "The credential is missing or not valid. Send your key as `Authorization: Bearer sk-...`."

    def __init__(self, *, detail: str = "") -> None:
        super().__init__(self.words, detail=detail)


class RateLimited(GatewayError):
    """A limit of ours refuses; ``limit`` is its level (``client``), ``unit`` what it counts, ``quota`` how many.

    ``burst`` is the capacity of its bucket, 0 where that is unknown.
    """

    status = 429
    kind: ErrorKind = "rate_limited"
    code = "rate_limit_exceeded"

    def __init__(self, limit: str, unit: str, *, quota: int = 0, burst: int = 0, retry_after: int) -> None:
        bound, whom = bound_in_words(unit, quota, burst), _LEVELS.get(limit, limit)
        super().__init__(
            f"Rate limit exceeded: {bound} for {whom}. Try again in {retry_after} s.",
            retry_after=retry_after,
        )
        self.limit = limit
        self.unit = unit


def bound_in_words(unit: str, quota: int, burst: int = 0) -> str:
    """A limit as a user reads it: its rate, and its burst where that is smaller. 0 leaves a number out."""
    rate = f"{quota} {_UNITS.get(unit, unit)}" if quota else _UNITS.get(unit, unit)
    return f"{rate} (at most {burst} at once)" if 0 < burst < quota else rate


_UNITS = {
    "requestsPerMinute": "requests per minute",
    "requestsPerHour": "requests per hour",
    "tokensPerMinute": "tokens per minute",
    "concurrent": "concurrent requests",
    "attempts": "failed attempts",
}
_LEVELS = {
    "global": "the whole gateway",
    "client": "this client",
    "address": "this address",
    "model": "this model",
    "provider": "this provider",
    "login": "logins from this address",
}


class Overloaded(GatewayError):
    """We are full, or stopping: the same request may succeed a little later."""

    status = 503
    kind: ErrorKind = "overloaded"
    code = "overloaded"

    def __init__(self, message: str, *, retry_after: int = 1, code: str | None = None) -> None:
        super().__init__(message, retry_after=retry_after, code=code)


class ShuttingDown(GatewayError):
    """A running exchange was ended because the gateway stops."""

    status = 503
    code = "shutting_down"


class ClientGone(Exception):
    """The client closed its connection: nothing can be told to it any more."""


class UpstreamFault(GatewayError):
    """The provider failed us; another attempt may help.

    ``response_begun``: bytes of a response were read before it.
    """

    status = 502
    kind: ErrorKind = "upstream"
    code = "upstream_error"
    response_begun = False


class ConnectFailed(UpstreamFault):
    """No connection: refused, unreachable, DNS, TLS, or the proxy on the way said no.

    ``again``: the network was unreachable or the connection reset, which the same address may get over in a moment.
    """

    code = "upstream_unreachable"

    def __init__(self, message: str, *, code: str | None = None, again: bool = False, detail: str = "") -> None:
        super().__init__(message, code=code, detail=detail)
        self.again = again


class ConnectionBroken(UpstreamFault):
    """The connection died before the answer was whole."""

    code = "upstream_disconnected"


class BrokenAnswer(UpstreamFault):
    """The provider's bytes are not an answer: framing errors, oversized heads, empty or malformed bodies."""

    code = "upstream_broken_answer"


class StreamTruncated(UpstreamFault):
    """An event stream ended without its terminal event."""

    code = "upstream_stream_truncated"


class ErrorInStream(UpstreamFault):
    """The provider answered 200 and then reported an error inside the body.

    ``provider_type`` is the provider's own word for it, in its dialect.
    """

    code = "upstream_error_in_stream"
    provider_type: str | None = None


class UpstreamAuthFailed(UpstreamFault):
    """The provider refused our credential; its own words never reach the client."""

    code = "upstream_auth_failed"


class ClockExpired(UpstreamFault):
    """One of the six clocks ran out; ``clock`` is its configuration name."""

    status = 504
    code = "upstream_timeout"

    def __init__(self, clock: str, seconds: float, *, detail: str = "") -> None:
        super().__init__(
            f"The provider did not answer in time: the {clock} clock ({seconds:g} s) ran out.",
            code=f"timeout_{clock}",
            detail=detail,
        )
        self.clock = clock
