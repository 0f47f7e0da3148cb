"""One client request with all its attempts: facts, times and outcome.

The exchange owns what must be settled. It does no I/O. All times are seconds of the loop's clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

from msgspec import Struct

from proxy.routing.access import ALL, Access

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from proxy.breakers.breaker import Permit
    from proxy.config.patches import AnyPatchName
    from proxy.dialects.call import Call
    from proxy.dialects.usage import Usage
    from proxy.errors import GatewayError
    from proxy.identity import Client
    from proxy.providers.keys import Key
    from proxy.routing.catalog import Catalog
    from proxy.routing.deployment import Deployment
    from proxy.routing.endpoints import Endpoint
    from proxy.wire.trace_context import Trace

Outcome = Literal[
    "ok",  # the complete response was delivered
    "error",  # the client got an error status, the provider's or ours
    "damaged",  # the stream ended, but events were lost; a comment in it has their number
    "broken",  # the response broke after the content commit; an in-band error was sent
    "client_gone",  # the client left before the end
    "cancelled",  # ended by the shutdown
]


class Attempt(Struct, eq=False):
    """One attempt at one candidate.

    ``failure``: kind of the failure (``routing/rules.py``), ``""`` if there is none. ``reason``: text for clients,
    without addresses and keys.
    """

    deployment: Deployment
    permit: Permit
    key: Key
    began: float
    decision: bytes = b""  # header line that explains the choice, if the client requested it
    patches: tuple[AnyPatchName, ...] = ()  # that changed the request
    dropped: tuple[str, ...] = ()  # what its translation lost, by path
    asks_usage: bool = False  # the gateway requested the stream's usage, not the client
    connected: float | None = None  # when the request was sent
    headers: float | None = None  # when the head of the response arrived
    first_content: float | None = None
    ended: float | None = None
    failure: str = ""
    reason: str = ""
    status: int = 0  # HTTP status of the provider's refusal
    span: str = ""  # span ID, if the exchange is traced


class LimitReservation(Protocol):
    """What an exchange has reserved from rate limits. The interface for code that does not depend on ``limits``."""

    def reserve(self, deployment: Deployment, endpoint: Endpoint, call: Call | None) -> bool | Awaitable[bool]:
        """Reserve from the limits of a deployment's model and provider; ``False`` if they refuse. Idempotent.

        Tokens are estimated from ``call``; ``None``: the body is not read.
        Returns an awaitable if the store has to wait. Raises RateLimited if another deployment would not help.
        """

    def refusal(self) -> GatewayError | None:
        """The error for the last ``False`` of ``reserve``, if any."""

    def header_lines(self) -> bytes:
        """The rate limit headers for the client."""

    def settle(self, exchange: Exchange) -> None:
        """Return what was not used. Synchronous; called once."""


class Exchange(Struct, eq=False):
    """Facts about one request. ``None`` and ``""`` mean unknown."""

    endpoint: Endpoint
    catalog: Catalog  # until it is settled
    request_id: str
    began: float
    client: str = ""  # address of the client
    caller: Client | None = None  # after authentication
    reservation: LimitReservation | None = None  # if there are rate limits
    model: str = ""  # as requested by the client
    provider: str = ""
    request_model: str = ""  # as sent upstream
    response_model: str = ""  # as reported by the provider
    stream: bool = False
    attempts: list[Attempt] = []
    skipped: tuple[tuple[str, str], ...] = ()  # labels of skipped deployments, and reasons
    patches: tuple[AnyPatchName, ...] = ()  # that changed the request of any attempt
    dropped: tuple[str, ...] = ()  # what the last attempt's translation lost, by path
    fallback_used: bool = False
    early_status: bool = False  # a ping sent status 200 before any provider answered
    status: int = 0  # HTTP status sent to the client; 0: none
    outcome: Outcome | Literal[""] = ""
    error: str = ""  # code of the error, e.g. "timeout_idle"
    error_detail: str = ""  # for the log only
    fault: GatewayError | None = None  # why the response broke after its content commit
    first_content: float | None = None
    ended: float | None = None
    longest_gap: float = 0.0  # seconds between two reads of the content
    events: int = 0
    dropped_events: int = 0  # not relayed, because no client could parse them
    lost_events: int = 0  # those of them with data
    lenient_events: int = 0  # relayed, although strict JSON parsers reject them; a plain response counts as one
    bytes_in: int = 0
    bytes_out: int = 0
    usage: Usage | None = None
    trace: Trace | None = None  # if it is traced

    def forget_break(self) -> None:
        """Clear a broken stream's error, since another attempt continues the stream."""
        self.outcome, self.error, self.fault = "", "", None

    @property
    def access(self) -> Access:
        return ALL if self.caller is None else self.caller.access

    def __repr__(self) -> str:
        return f"<Exchange {self.request_id} {self.endpoint.path} {self.outcome or 'running'}>"
