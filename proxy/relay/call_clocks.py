"""The timeouts of one upstream call on one connection, its deadline and its pings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.client.connection import UpstreamConnection
from proxy.errors import ClientGone, ClockExpired
from proxy.net.clocks import NEVER, Watch

if TYPE_CHECKING:
    from proxy.relay.upstream_call import UpstreamCall

DRAIN_SECS: Final = 120.0  # how long an answer is still read, for its usage, after the client disconnected
AFTER_DONE_SECS: Final = 5.0  # how long a provider may keep the connection open after the terminal event


def watch_call(call: UpstreamCall, connection: UpstreamConnection) -> Watch:
    """A running watch with the timeouts of the request, which count from when it was sent."""
    context, attempt_context = call.context, call.upstream_request.attempt_context
    watched = WatchedCall(call, connection)
    watch = Watch(context.ticker, attempt_context.clocks, watched, watched.expired, call.sent_at)
    if attempt_context.pings and context.ping_after:
        watch.ping_with(watched.ping, call.exchange.began + context.ping_after, context.ping_every)
    if attempt_context.deadline < NEVER:
        watch.commit_before(attempt_context.deadline)
    if call.headed_at is not None:
        watch.head_seen()
    return watch


class WatchedCall:
    """A call and its connection, as seen by the watch."""

    __slots__ = ("_call", "_connection")

    def __init__(self, call: UpstreamCall, connection: UpstreamConnection) -> None:
        self._call = call
        self._connection = connection

    @property
    def unsent(self) -> int:
        return self._call.request.unsent

    @property
    def last_read(self) -> float:
        return self._connection.last_read

    @last_read.setter
    def last_read(self, moment: float) -> None:
        self._connection.last_read = moment

    def expired(self, clock: str, seconds: float) -> None:
        """End the call. If the client stalled, cut its connection as well."""
        call = self._call
        if clock == "clientStall":
            call.exchange.error = "timeout_clientStall"
            call.request.reply.abort()
            call.interrupt(ClientGone())
        else:
            call.interrupt(ClockExpired(clock, seconds))

    def ping(self) -> None:
        """Send a comment to the client of a stream."""
        call = self._call
        outcome, pump, attempt_context = call.outcome, call.pump, call.upstream_request.attempt_context
        if call.draining or call.request.gone or outcome is None or outcome.done():
            return  # if it is done, another attempt's answer may have ended in the same iteration of the loop
        try:
            if pump is not None:
                pump.ping()
            elif attempt_context.pings and call.headed_at is None:
                attempt_context.ping()
        except Exception as defect:  # of a hook: it ends its own call, and no other one's clocks
            call.interrupt(defect)
