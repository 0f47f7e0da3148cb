"""The clocks of one attempt at a service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import structs

from proxy.errors import ClientGone, ClockExpired
from proxy.net.clocks import Watch

if TYPE_CHECKING:
    from proxy.client.connection import UpstreamConnection
    from proxy.services.relay.call import ServiceCall


def watch_service(call: ServiceCall, connection: UpstreamConnection, sent_at: float) -> Watch:
    """A running watch. ``total`` counts from ``sent_at``.

    While the client still uploads, only ``idle`` and ``total`` run: ``headers`` counts from the end of the body.
    """
    ticker, clocks = call.relayed.relay.transport.ticker, call.relayed.service.clocks
    watched = WatchedService(call, connection)
    begun = sent_at
    if call.relayed.uploads:
        clocks = structs.replace(clocks, headers=0.0)
    elif (uploaded_at := call.relayed.uploaded_at) is not None:
        begun = max(sent_at, uploaded_at)
        if clocks.total:
            clocks = structs.replace(clocks, total=max(sent_at + clocks.total - begun, 0.001))
    watch = Watch(ticker, clocks, watched, watched.expired, begun)
    if call.seen is not None or call.relayed.uploads:
        watch.head_seen()
    return watch


class WatchedService:
    """A call and its connection, as seen by the watch."""

    __slots__ = ("_call", "_connection")

    def __init__(self, call: ServiceCall, connection: UpstreamConnection) -> None:
        self._call = call
        self._connection = connection

    @property
    def unsent(self) -> int:
        return self._call.relayed.request.unsent

    @property
    def last_read(self) -> float:
        """While the client has the turn, the service is not idle."""
        body = self._call.relayed.body
        if body is not None and not body.complete and not body.awaits_service:
            return self._call.relayed.relay.transport.ticker.time()
        return self._connection.last_read

    @last_read.setter
    def last_read(self, moment: float) -> None:
        self._connection.last_read = moment

    def expired(self, clock: str, seconds: float) -> None:
        """End the attempt. If the client stalled, cut its connection."""
        relayed = self._call.relayed
        if clock == "clientStall":
            relayed.exchange.error = "timeout_clientStall"
            relayed.request.reply.abort()
            relayed.interrupt(ClientGone())
        else:
            self._call.fail(ClockExpired(clock, seconds))
