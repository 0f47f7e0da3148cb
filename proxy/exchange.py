"""One client request with all its attempts: facts, times and outcome.

The exchange owns what must be settled. It does no I/O. All times are seconds of the loop's clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeAlias

from msgspec import Struct

from proxy.routing.access import ALL, Access
from proxy.wire.attribution import joined_labels

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from proxy.breakers.breaker import Permit
    from proxy.config.labels import Labels
    from proxy.config.patches import AnyPatchName
    from proxy.dialects.call import Call
    from proxy.dialects.usage import Usage
    from proxy.errors import GatewayError
    from proxy.identity import Client
    from proxy.pricing.bill import Bill
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


CacheOutcome = Literal[
    "hit",  # answered from the cache
    "stale",  # the same, with an answer whose time was over, as no provider answered
    "miss",  # nothing was there that could be given
    "bypass",  # the request is not cached
]

# Why a deployment is not tried: a rate limit of the gateway's own, a budget, or a budget that needs its price.
RefusedBy = Literal["limit", "budget", "no_price"]


class Attempt(Struct, eq=False):
    """One attempt at one candidate.

    ``failure``: kind of the failure (``routing/rules.py``), ``""`` if there is none. ``reason``: text for clients,
    without addresses and keys. ``usage`` is what the provider reported, which is not all of it if it is ``partial``.
    """

    deployment: Deployment
    permit: Permit
    key: Key
    began: float
    at: float = 0.0  # when it began, in Unix seconds
    decision: bytes = b""  # header line that explains the choice, if the client requested it
    patches: tuple[AnyPatchName, ...] = ()  # that changed the request
    dropped: tuple[str, ...] = ()  # what its translation lost, by path
    asks_usage: bool = False  # the gateway requested the stream's usage, not the client
    connected: float | None = None  # when the request was sent
    given_up: bool = False  # the request was sent whole, and the gateway or its client stopped waiting for the answer
    unseen_output: int = 0  # estimated tokens of the plain answer that it was given up before
    headers: float | None = None  # when the head of the response arrived
    first_content: float | None = None
    ended: float | None = None
    failure: str = ""
    reason: str = ""
    status: int = 0  # HTTP status of the provider's refusal
    response_model: str = ""  # as reported by the provider
    usage: Usage | None = None
    partial: bool = False  # its stream ended before the last count of the usage
    events: int = 0
    longest_gap: float = 0.0  # seconds between two reads of the content
    answer_bytes: int = 0  # of a whole JSON answer
    bytes_out: int = 0  # sent to the client before another attempt continued the answer
    bill: Bill | None = None  # once it is rated
    span: str = ""  # span ID, if the exchange is traced


# What budgets hold for one attempt: the keys of the counters that it is charged to, and the tokens and nano-USD that
# are held in them. ``None``: none of them counts these. A plain tuple, as one is made for each attempt.
HeldSpend: TypeAlias = tuple[tuple[str, ...], int | None, int | None]
NOTHING_HELD: Final[HeldSpend] = ((), None, None)


class LimitReservation(Protocol):
    """What an exchange has reserved from rate limits. The interface for code that does not depend on ``limits``."""

    def reserve(self, deployment: Deployment, endpoint: Endpoint, call: Call | None) -> bool | Awaitable[bool]:
        """Reserve from the limits of a deployment's model and provider; ``False`` if they refuse. Idempotent.

        Tokens are estimated from ``call``; ``None``: the body is not read.
        Returns an awaitable if the store has to wait. Raises RateLimited if another deployment would not help.
        """

    @property
    def refused_by(self) -> RefusedBy:
        """The reason of the last ``False`` of ``reserve``."""

    def refusal(self) -> GatewayError | None:
        """The error after ``False`` of ``reserve``: of a limit if one refused, else of a budget; ``None``: none did."""

    def held(self, deployment: Deployment) -> HeldSpend:
        """What budgets hold for an attempt at this deployment."""

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
    run: str = ""  # of an agent, as its client names it (``wire/attribution.py``)
    run_parent: str = ""  # the run whose sub-agent it is
    run_cap: int | None = None  # nano-USD that the run may cost at most, by the client's header
    added_labels: Labels = ()  # by the client's header
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
    bytes_fetched: int = 0  # of content that the request names by its address
    bytes_out: int = 0
    estimated_input: int | None = None  # tokens of the request, once they may be needed
    free: bool = False  # no provider bills it, as it only reads
    usage: Usage | None = None  # of the attempt that answered
    cost: int | None = None  # nano-USD of all attempts, once settled; ``None``: not known, or nothing was tried
    trace: Trace | None = None  # if it is traced
    cache: CacheOutcome | Literal[""] = ""  # what the cache of answers did, if it is on
    saved: int | None = None  # nano-USD that the cached answer once cost; ``None``: not known

    def forget_break(self) -> None:
        """Clear a broken stream's error, since another attempt continues the stream."""
        self.outcome, self.error, self.fault = "", "", None

    @property
    def labels(self) -> Labels:
        """The labels of the client and of its request."""
        caller, added = self.caller, self.added_labels
        own = () if caller is None else caller.labels
        return joined_labels(added, own) if added else own

    def run_key(self, run: str) -> str:
        """The name of a run among those of all who pay: two of them may use the same name."""
        return f"/{run}" if self.caller is None else self.caller.run_key(run)

    @property
    def access(self) -> Access:
        return ALL if self.caller is None else self.caller.access

    def __repr__(self) -> str:
        return f"<Exchange {self.request_id} {self.endpoint.path} {self.outcome or 'running'}>"
