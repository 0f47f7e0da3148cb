"""One client request with all its attempts: what happened, when, and how it ended.

The exchange owns whatever has to be settled; the handler's coroutine only drives it. It does no I/O.
All moments are seconds of the loop's clock, handed in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

from msgspec import Struct

from proxy.routing.access import ALL, Access

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from proxy.breakers.breaker import Permit
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
    "ok",  # the whole answer was delivered
    "error",  # the client got an error status, the provider's or ours
    "damaged",  # the stream came to its end, but events of it were lost; a comment in it says how many
    "broken",  # the answer broke after the content commit; the client was told in-band
    "client_gone",  # the client left before the end
    "cancelled",  # ended by our own shutdown
]


class Attempt(Struct, eq=False):
    """One attempt: which candidate was asked, when, and what became of it.

    ``failure`` is the kind of the rule that it fell under (``routing/rules.py``), ``""`` as long as nothing failed;
    ``reason`` says it in words that a client may read: no address, no key.
    """

    deployment: Deployment
    permit: Permit
    key: Key
    began: float
    decision: bytes = b""  # the header line that explains the choice, where the client asked for it
    asks_usage: bool = False  # the wish for a stream's usage is the gateway's own
    connected: float | None = None  # when the request went out
    headers: float | None = None  # when the head of the answer came
    first_content: float | None = None
    ended: float | None = None
    failure: str = ""
    reason: str = ""
    status: int = 0  # the HTTP status that the provider refused it with
    span: str = ""  # its id, where the exchange is traced


class LimitReservation(Protocol):
    """What an exchange was granted of the limits, as far as those see it who do not know how limits work."""

    def set_call(self, endpoint: Endpoint, call: Call | None) -> None:
        """The call is known, so that tokens can be estimated; ``None``: it is not read."""

    def reserve(self, deployment: Deployment) -> bool | Awaitable[bool]:
        """Whether the limits of this deployment's model and provider let the exchange ask it. Costs nothing twice.

        An awaitable where the store has to be waited for. Raises RateLimited where no other deployment would help.
        """

    def refusal(self) -> GatewayError | None:
        """Why ``enter`` said no, if it did."""

    def header_lines(self) -> bytes:
        """The header lines that tell the client how it stands."""

    def settle(self, exchange: Exchange) -> None:
        """Synchronously, once: what was not used is given back."""


class Exchange(Struct, eq=False):
    """Facts about one request. ``None`` and ``""`` mean not known (yet)."""

    endpoint: Endpoint
    catalog: Catalog  # as long as it runs
    request_id: str
    began: float
    client: str = ""  # the address that it came from
    caller: Client | None = None  # who asks, once that is known
    reservation: LimitReservation | None = None  # what it was granted, where there are limits
    model: str = ""  # as the client asked
    provider: str = ""
    request_model: str = ""  # as sent upstream
    response_model: str = ""  # as the provider reported
    stream: bool = False
    attempts: list[Attempt] = []
    skipped: tuple[tuple[str, str], ...] = ()  # deployments that were passed over, by label, and why
    fallback_used: bool = False
    early_status: bool = False  # 200 was told by a ping, before it was known who answers
    status: int = 0  # the HTTP status that the client saw; 0: none was sent
    outcome: Outcome | Literal[""] = ""
    error: str = ""  # the error's code, e.g. "timeout_idle"
    error_detail: str = ""  # for the log only
    fault: GatewayError | None = None  # why the answer broke after its content commit
    first_content: float | None = None
    ended: float | None = None
    longest_gap: float = 0.0  # seconds between two reads of the content
    events: int = 0
    dropped_events: int = 0  # left out because no client could read them
    lost_events: int = 0  # those of them that held data
    lenient_events: int = 0  # relayed although strict JSON parsers refuse them; a plain answer counts as one
    bytes_in: int = 0
    bytes_out: int = 0
    usage: Usage | None = None
    trace: Trace | None = None  # where it is to be traced

    def forget_break(self) -> None:
        """A stream broke, and another attempt follows: the client is not told."""
        self.outcome, self.error, self.fault = "", "", None

    @property
    def access(self) -> Access:
        return ALL if self.caller is None else self.caller.access

    def __repr__(self) -> str:
        return f"<Exchange {self.request_id} {self.endpoint.path} {self.outcome or 'running'}>"
