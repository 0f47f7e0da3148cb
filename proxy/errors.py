"""Errors of the gateway. Each type decides who is at fault, the client's status, and whether a retry may help.

A type exists only where some code branches on it. The errors have no words of a dialect: a dialect's ``Writer`` maps
their ``kind`` to its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

ErrorKind = Literal[
    "invalid_request", "unauthorized", "rate_limited", "quota_exceeded", "overloaded", "internal", "upstream"
]


class ConfigError(Exception):
    """The configuration cannot be used; ``mistakes`` holds one readable line each."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


class GatewayError(Exception):
    """An error that the gateway itself reports to the client.

    ``message`` is for the client: it never contains an address, a key or a part of the request. ``kind``, ``code`` and
    ``param`` (the wrong member of the request) are for programs. A dialect without a place for one leaves it out.
    ``detail`` is for the log only. ``should_retry`` is the header ``x-should-retry``; ``None``: SDKs decide by status.
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
    """The request is invalid. It was sent to no provider."""

    status = 400
    kind: ErrorKind = "invalid_request"
    code: str | None = None


class Untranslatable(ClientFault):
    """The request's member ``path`` cannot be translated for a provider. Another one may take it as it is.

    ``reason`` is a sentence. Readers of outer members add theirs to the path.
    """

    code = "untranslatable"

    def __init__(self, path: str, reason: str, *, code: str | None = None) -> None:
        message = f"{path!r} cannot be translated to the API of this model's provider. {reason}"
        super().__init__(message, param=path, code=code)
        self._path = path
        self._reason = reason

    def within(self, outer: str) -> Untranslatable:
        """The same error, seen from the member ``outer``."""
        return Untranslatable(f"{outer}.{self._path}", self._reason, code=self.code)

    def renamed(self, names: Mapping[str, str]) -> Untranslatable:
        """The same error, where ``names`` has other paths for some."""
        return Untranslatable(names.get(self._path, self._path), self._reason, code=self.code)


class WrongMember(ClientFault):
    """A member of the body has a wrong value: ``path`` must be ``expected``. Readers of outer members add theirs."""

    code = "invalid_type"

    def __init__(self, path: str, expected: str) -> None:
        super().__init__(f"{path!r} must be {expected}.", param=path)
        self._expected = expected
        self._path = path

    def within(self, outer: str) -> WrongMember:
        """The same error, seen from the member ``outer``."""
        return WrongMember(f"{outer}.{self._path}", self._expected)


class UpgradeRequired(ClientFault):
    """The endpoint has no WebSocket; the response has the header ``Upgrade`` (RFC 9110 15.5.22)."""

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
    """No valid credential. The message is the same for a missing, unknown, wrong or expired one."""

    status = 401
    kind: ErrorKind = "unauthorized"
    code = "invalid_api_key"
    should_retry = False  # else Claude Code repeats the request for minutes
    realm = "sluice"
    text = "The credential is missing or not valid. Send your key as `Authorization: Bearer sk-...`."

    def __init__(self, *, detail: str = "") -> None:
        super().__init__(self.text, detail=detail)


class CertificateRequired(Unauthorized):
    """The client has no certificate that ``auth.certificates`` lists, and nothing else is accepted."""

    code = "client_certificate_required"
    text = "The connection has no client certificate that auth.certificates of the gateway lists."


class RateLimited(GatewayError):
    """A configured limit is exceeded. ``limit`` is its level (``client``), ``unit`` what it counts.

    ``quota`` is the configured number, ``burst`` the capacity of the bucket; 0: unknown.
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


class BudgetExceeded(GatewayError):
    """A budget or a balance does not cover what the call may cost. The same call fails until it is renewed.

    ``retry_after``: seconds until then; ``None``: it is not renewed by itself.
    """

    status = 429
    kind: ErrorKind = "quota_exceeded"
    code = "insufficient_quota"
    should_retry = False


class NoPrice(GatewayError):
    """No model that could answer has a price, and a budget or a balance caps what may be spent."""

    status = 403
    kind: ErrorKind = "invalid_request"
    code = "model_unpriced"


def bound_in_words(unit: str, quota: int, burst: int = 0) -> str:
    """A limit as text: its rate, and its burst if that is smaller. 0 leaves a number out."""
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
    "route": "this route",
    "login": "logins from this address",
}


class Overloaded(GatewayError):
    """The gateway is full or shutting down; the same request may succeed later."""

    status = 503
    kind: ErrorKind = "overloaded"
    code = "overloaded"

    def __init__(self, message: str, *, retry_after: int = 1, code: str | None = None) -> None:
        super().__init__(message, retry_after=retry_after, code=code)


class ShuttingDown(GatewayError):
    """A running exchange was ended because the gateway shuts down."""

    status = 503
    code = "shutting_down"


class ClientGone(Exception):
    """The client closed its connection; nothing can be sent."""


class UpstreamFault(GatewayError):
    """The provider failed; another attempt may help.

    ``response_begun``: bytes of a response were received before.
    """

    status = 502
    kind: ErrorKind = "upstream"
    code = "upstream_error"
    response_begun = False


class ConnectFailed(UpstreamFault):
    """No connection: refused, unreachable, DNS, TLS, or refused by a forward proxy.

    ``again``: a new attempt at the same address may succeed (network unreachable, connection reset).
    """

    code = "upstream_unreachable"

    def __init__(self, message: str, *, code: str | None = None, again: bool = False, detail: str = "") -> None:
        super().__init__(message, code=code, detail=detail)
        self.again = again


class ConnectionBroken(UpstreamFault):
    """The connection was closed before the response was complete."""

    code = "upstream_disconnected"


class BrokenAnswer(UpstreamFault):
    """The provider's response is invalid: framing errors, an oversized head, an empty or malformed body."""

    code = "upstream_broken_answer"


class StreamTruncated(UpstreamFault):
    """An event stream ended without its terminal event."""

    code = "upstream_stream_truncated"


class ErrorInStream(UpstreamFault):
    """The provider answered 200 and then reported an error inside the body.

    ``provider_type`` is the error's type in the provider's dialect.
    """

    code = "upstream_error_in_stream"
    provider_type: str | None = None


class UpstreamAuthFailed(UpstreamFault):
    """The provider refused the gateway's credential. Its message never reaches the client."""

    code = "upstream_auth_failed"


class ClockExpired(UpstreamFault):
    """One of the six timeouts expired; ``clock`` is its configuration name."""

    status = 504
    code = "upstream_timeout"

    def __init__(self, clock: str, seconds: float, *, detail: str = "") -> None:
        super().__init__(
            f"The provider did not answer in time: the {clock} clock ({seconds:g} s) ran out.",
            code=f"timeout_{clock}",
            detail=detail,
        )
        self.clock = clock
