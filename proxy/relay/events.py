"""Relay of an event stream, from the provider's read callback to the client's socket.

No coroutine resumes per token. Plain events pass unchanged. All others go through an ``EventFilter`` (event_filter.py).
Everything is held back until the *content commit* (the first event with content). So if a provider answers 200 and then
fails, another can be tried, or the client gets an HTTP error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from proxy.dialects.provider_error import fault_of
from proxy.dialects.translation.stream import StreamTranslation
from proxy.errors import BrokenAnswer, GatewayError, StreamTruncated
from proxy.exchange import Exchange
from proxy.relay.body import note_broken
from proxy.relay.event_filter import EventFilter, StreamOwner
from proxy.server.outlet import Outlet
from proxy.wire.sse import BlockTooLarge, Framer


class FrameSource(Protocol):
    """The provider's connection. ``on_frame``: see the fast lane in client/connection.py."""

    last_read: float
    on_frame: Callable[[bytes, bytes], bool] | None


class EventRelay:
    """Relays one event stream. The provider's side calls ``feed``, ``end`` and ``broken``."""

    __slots__ = (
        "_connection",
        "_events",
        "_exchange",
        "_filter",
        "_flowing",
        "_forward",
        "_forwarded",
        "_framer",
        "_held",
        "_last",
        "_outlet",
        "_owner",
        "_plain",
        "_translating",
        "_translation",
        "_write",
        "committed",
        "longest_gap",
        "reader",
    )

    def __init__(
        self,
        owner: StreamOwner,
        connection: FrameSource,
        outlet: Outlet,
        exchange: Exchange,
        event_filter: EventFilter,
        translation: StreamTranslation | None = None,
    ) -> None:
        self._owner = owner
        self._connection = connection
        self._outlet = outlet
        self._write = outlet.write
        self._exchange = exchange
        self._filter = event_filter
        self.reader = event_filter.reader
        self._plain = event_filter.reader.plain
        self._translation = translation
        self._translating = False  # whether a read may be a plain event, which bypasses the filter
        self._framer = Framer()
        self._held: list[bytes] = []  # not written yet
        self.committed = False
        self._flowing = False  # whether a read may be a plain event that is forwarded as it is
        self._forward: Callable[[bytes], None] | None = None  # writes chunks with their framing
        self._last = 0.0
        # Counted here and added to the exchange at the end: per token, a Struct's field costs several times as much.
        self._events = 0
        self._forwarded = 0  # bytes
        self.longest_gap = 0.0

    # -- once per token ---------------------------------------------------------------------------

    def frame(self, chunk: bytes, framed: bytes) -> bool:
        """Write the chunk with its framing, if it is one plain event. Returns whether it was written."""
        forward = self._forward
        if forward is None:
            return False
        if not self._plain(chunk):
            self._flowing, self._filter.refused = False, chunk  # ``feed`` gets it next
            return False
        self._events += 1
        now = self._connection.last_read
        if now - self._last > self.longest_gap:
            self.longest_gap = now - self._last
        self._last = now
        self._forwarded += len(chunk)
        forward(framed)
        return True

    def feed(self, chunk: bytes) -> None:
        """Bytes of the body as they were read. Raises UpstreamFault before the content commit."""
        if self._flowing:
            if self._plain(chunk):
                self._events += 1
                now = self._connection.last_read
                if now - self._last > self.longest_gap:
                    self.longest_gap = now - self._last
                self._last = now
                self._write(chunk)
                return
            self._filter.refused = chunk
        self._feed_filter(chunk)

    # -- everything else --------------------------------------------------------------------------

    def _translate(self, chunk: bytes) -> bool:
        """The same as ``feed`` for a translated stream, once per token. Returns whether it was one plain event."""
        assert self._translation is not None
        events = self._translation.plain(chunk)
        if events is None:
            self._filter.refused = chunk
            return False
        self._events += 1
        now = self._connection.last_read
        if now - self._last > self.longest_gap:
            self.longest_gap = now - self._last
        self._last = now
        if events:
            self._write(events)
        return True

    def _feed_filter(self, chunk: bytes) -> None:
        if self._translating and self._translate(chunk):
            return
        found = self._filter
        try:
            self._take(self._framer.feed(chunk))
        except BlockTooLarge as exc:
            self._take(exc.blocks)
            raise BrokenAnswer("The provider sent an event that is too large.") from None
        found.refused = None
        plain = self.committed and found.transparent and not self._framer.partial
        if self._translation is not None:
            self._translating = plain
            return
        self._flowing = plain
        # Looked up each time: the client may have disconnected.
        self._forward = self._outlet.for_frames() if plain else None
        self._connection.on_frame = None if self._forward is None else self.frame

    def _take(self, blocks: list[bytes]) -> None:
        held, forward = self._held, self._filter.forward
        for block in blocks:
            kept = forward(block)
            if kept:
                held.append(kept)
        if not self.committed:
            if self._filter.meaningful:
                self._commit()
        elif held:
            now = self._connection.last_read
            self.longest_gap = max(self.longest_gap, now - self._last)
            self._last = now
            self._outlet.numbered = self._filter.numbered
            self._write(b"".join(held))
            held.clear()

    def _commit(self) -> None:
        self._last = self._connection.last_read
        self._outlet.numbered = self._filter.numbered
        header_lines = self._owner.commit()
        data = b"".join(self._held)
        self._held.clear()
        if not self._outlet.begun:
            self._outlet.begin(200, header_lines, data)
        elif data:  # a ping has sent the status
            self._write(data)
        self.committed = True  # not before: if a hook raises in ``begin``, an HTTP error can be sent

    def ping(self) -> None:
        """Write a comment. It stands between two events, as only whole blocks are written."""
        if self.committed and not self._outlet.ended:
            ping = self._filter.ping()
            if ping:  # after an event with an ``id``, nothing is left of a ping that is a blank line
                self._outlet.write(ping)

    # -- endings ----------------------------------------------------------------------------------

    def end(self) -> None:
        """The provider's body ended as HTTP says it should. Raises UpstreamFault before the content commit."""
        last = self._filter.forward_last(self._framer.rest)
        if last and not self.committed and self._filter.meaningful:
            self._held.append(last)
            last = b""
            self._commit()
        if not self.committed:
            if self._filter.silent:
                raise StreamTruncated("The provider's answer was cut off before its first content.")
            raise BrokenAnswer("The provider's answer is empty.", code="upstream_empty_answer")
        reader, writer = self.reader, self._exchange.endpoint.dialect.writer
        whole = reader.complete or reader.open_ended
        if reader.error is not None or reader.ended:
            self._conclude(last)
        elif whole and not self._filter.cut:
            ends = writer.ends_always or self._translation is not None
            self._conclude(last, self._filter.terminal() if ends else b"")
        else:
            self.broken(StreamTruncated("The provider's answer was cut off before its end."), last)

    def broken(self, fault: GatewayError, last: bytes = b"") -> None:
        """The stream broke after the content commit: send an error in-band, so that it cannot look complete.

        A stream that lost only its terminal event is complete: this method adds the event.
        """
        reader, translation = self.reader, self._translation
        if reader.error is not None:
            self._conclude(last)
            return
        whole = reader.ended or (reader.complete and not reader.lacks_usage)
        if translation is not None and translation.failure:
            whole = False
        if whole and not self._held:  # otherwise a hook raised in ``write``
            self._conclude(last, self._filter.terminal())
            return
        note_broken(self._exchange, fault)
        if last:
            self._write(last)
        self._break_off(fault, self._filter.error_epilogue() + self._filter.failed(fault))

    def _conclude(self, last: bytes, terminal: bytes = b"") -> None:
        """End the answer. ``terminal``: the terminal event to add, if the provider sent none, or an error event."""
        fault = self.note_outcome()
        if fault is None:
            self._outlet.end(last + self._filter.epilogue() + terminal)
            self._owner.delivered()
        else:
            self._break_off(fault, last + self._filter.error_epilogue() + terminal)

    def _break_off(self, fault: GatewayError, last: bytes) -> None:
        tail = self._exchange.endpoint.dialect.writer.error_tail(fault)
        if tail and last:
            self._write(last)
        self._outlet.break_off(fault, tail or last)
        self._owner.delivered()

    @property
    def complete(self) -> bool:
        """Whether the client has everything it needs: the complete answer, or the provider's error."""
        return self.committed and (self.reader.complete or self.reader.error is not None)

    def note_outcome(self) -> GatewayError | None:
        """Note in the exchange how a complete stream ended. Returns the provider's error, if it ended with one."""
        exchange, error = self._exchange, self.reader.error
        if error is None:
            exchange.outcome = "ok"
            if exchange.lost_events:
                exchange.outcome, exchange.error = "damaged", "upstream_event_lost"
            return None
        fault = fault_of(error)
        exchange.outcome, exchange.error, exchange.error_detail = "broken", fault.code or "", error.message
        exchange.fault = fault
        return fault

    def note_counts(self) -> None:
        """Add the counts since the last call to the exchange."""
        exchange = self._exchange
        exchange.events += self._events + self._filter.events
        exchange.longest_gap = max(exchange.longest_gap, self.longest_gap)
        self._outlet.count(self._forwarded)
        self._events = self._forwarded = self._filter.events = 0

    def release(self) -> None:
        """Drop what was held back."""
        self._held.clear()
        self.note_counts()
