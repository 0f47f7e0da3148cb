"""The facts of one request to a service: what its access log line, its metrics and the page tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec import Struct

if TYPE_CHECKING:
    from proxy.identity import Client

ServiceOutcome = Literal[
    "ok",  # the complete answer was delivered, whatever its status
    "error",  # the gateway answered with an error of its own
    "broken",  # the answer broke after its head was sent
    "client_gone",  # the client left before the end
    "cancelled",  # ended by the shutdown
]


class ServiceAttempt(Struct, eq=False):
    """One try at one address. ``failure``: its kind, ``""`` if there was none. ``status``: 0 without an answer."""

    url: str
    began: float
    status: int = 0
    failure: str = ""
    headed_at: float | None = None
    ended: float | None = None


class ServiceExchange(Struct, eq=False):
    """All times are seconds of the loop's clock. ``route``: its id. ``path``: without the query."""

    request_id: str
    method: str
    path: str
    began: float
    route: str = ""
    service: str = ""
    client: str = ""  # address of the client
    caller: Client | None = None  # after authentication
    attempts: list[ServiceAttempt] = []
    status: int = 0  # sent to the client; 0: none
    outcome: ServiceOutcome | Literal[""] = ""
    error: str = ""  # code of the gateway's own error
    error_detail: str = ""  # for the log only
    bytes_in: int = 0
    bytes_out: int = 0
    ended: float | None = None
