"""Decides what the client gets of each event: the event itself, with few exceptions, or its translation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from proxy.dialects.base import EventKind, Reader
from proxy.dialects.provider_error import ProviderError, fault_of
from proxy.dialects.translation.stream import StreamTranslation
from proxy.errors import BrokenAnswer, GatewayError
from proxy.exchange import Exchange
from proxy.relay.seams import Seams, comment, has_id
from proxy.server.outlet import Outlet
from proxy.wire.sse import events_of

HELD_COMMENTS: Final = 16 * 1024  # bytes of comments that are kept before the first content
HELD_EVENTS: Final = 256 * 1024  # bytes of events without content, after which they count as content
_LEFT_OUT: Final = (EventKind.NO_DATA, EventKind.MALFORMED, EventKind.USAGE)

EventHook = Callable[[bytes, bool], bytes]  # an event; whether it, or one before, is the provider's error


class StreamOwner(Protocol):
    """The pump of an event stream."""

    def commit(self) -> bytes:
        """The content commit: no other attempt may follow. Returns the header lines of the answer."""

    def delivered(self) -> None:
        """The whole answer, or an error event, was sent to the client."""

    def concluding(self) -> None:
        """The terminal event was read: the body should end soon."""

    def dropped(self, kind: EventKind) -> None:
        """An event was dropped because no client could read it."""


class EventFilter:
    """``forward`` gets each event that the fast path does not handle.

    ``meaningful``: content was seen, so the stream may be committed. ``events``: number of forwarded events.
    ``silent``: bytes of events before any content. ``numbered``: an event had an ``id``. ``cut``: the last event was
    incomplete. ``refused``: a block that the reader has found not to be plain.
    """

    __slots__ = (
        "_ending",
        "_epilogue",
        "_exchange",
        "_first",
        "_held_comments",
        "_hook",
        "_outlet",
        "_owner",
        "_redact",
        "_translation",
        "cut",
        "events",
        "meaningful",
        "numbered",
        "reader",
        "refused",
        "seams",
        "silent",
    )

    def __init__(
        self,
        owner: StreamOwner,
        outlet: Outlet,
        exchange: Exchange,
        reader: Reader,
        hook: EventHook | None,
        redact: Callable[[bytes], bytes],
        epilogue: Callable[[], bytes],
        translation: StreamTranslation | None = None,
    ) -> None:
        self._owner = owner
        self._outlet = outlet
        self._exchange = exchange
        self.reader = reader
        self._hook = hook
        self._redact = redact  # removes the gateway's credentials from an error event
        self._epilogue: Callable[[], bytes] | None = epilogue  # the closing comment; None once it was written
        self._translation = translation
        self._first = True
        self._ending = False  # the body ended: what is read now is the last, unfinished event
        self._held_comments = 0
        self.seams = Seams()
        self.refused: bytes | None = None
        self.meaningful = False
        self.numbered = outlet.numbered
        self.cut = False
        self.events = 0
        self.silent = 0

    @property
    def transparent(self) -> bool:
        """Whether plain events may bypass this object: there is no hook, and no LF of a CR LF is pending."""
        return self._hook is None and self.seams.late is None

    def forward(self, block: bytes) -> bytes:
        """Bytes to forward for this block, including the LF of a CR LF that was split across reads."""
        seams = self.seams
        if seams.late is None and block[-1:] != b"\r":
            return self._judge(block) if block else b""
        lead, block = seams.split(block)
        kept = self._judge(block) if block else b""
        seams.close(block, kept)
        return lead + kept if lead else kept

    def forward_last(self, rest: bytes) -> bytes:
        """The same for the bytes after the last blank line. An event gets a blank line; without it clients drop it."""
        self._ending = True
        if not rest.strip(b"\r\n"):
            return self.forward(rest)
        return self.forward(rest + (b"\n" if rest.endswith(b"\n") else b"\n\n"))

    def epilogue(self) -> bytes:
        """The closing comment, once; ``b""`` for none."""
        make, self._epilogue = self._epilogue, None
        text = b"" if make is None else make()
        return comment(text, numbered=self.numbered) if text else b""

    def error_epilogue(self) -> bytes:
        """The closing comment of a stream that ends with an error: only if events were lost."""
        return self.epilogue() if self._exchange.lost_events else b""

    def ping(self) -> bytes:
        """A comment that may stand between two events."""
        text = self._exchange.endpoint.dialect.writer.ping
        return self.seams.complete() + comment(text, numbered=self.numbered)

    def terminal(self) -> bytes:
        """What a complete stream lacks that ended without its terminal event.

        An error event if the last part of the answer cannot be translated. ``reader.error`` is set then.
        """
        if self._translation is not None:
            return self._finished(self._translation)
        return b"" if self.reader.ended else self._exchange.endpoint.dialect.writer.terminal

    def failed(self, fault: GatewayError) -> bytes:
        """The events that end a broken stream."""
        if self._translation is not None:
            return self._translation.failed(fault)
        reader = self.reader
        return self._exchange.endpoint.dialect.writer.error_event(fault, reader.sequence, reader.answer_id)

    def _judge(self, block: bytes) -> bytes:
        """The bytes to forward: the block itself, its translation, a hook's replacement, or ``b""`` for nothing.

        After an event with an ``id``, a comment loses its blank line (``seams.comment``). An error outside of any event
        becomes an error event.
        """
        if self._translation is not None:
            return self._translated(self._translation, block)
        if self.meaningful and block != self.refused and self.reader.plain(block):
            self.events += 1
            return block if self._hook is None else self._hooked(block)
        kind = self.reader.read(block, first=self._first)
        self._first = False
        if kind is EventKind.COMMENT:
            return self._keep_comment(block)
        if kind in _LEFT_OUT:
            return self._leave_out(kind)
        if kind is EventKind.UNFRAMED_ERROR:
            block, kind = self.failed(fault_of(self.reader.error)), EventKind.ERROR
        if kind is EventKind.ERROR:
            block = self._redact(block)
        epilogue = b""
        if kind is EventKind.DONE:
            self._owner.concluding()
            epilogue = self.epilogue()
        if not self.meaningful:
            self._look_for_content(kind, block)
        self.events += 1
        block = self._hooked(block)
        return epilogue + block if epilogue else block

    def _translated(self, translation: StreamTranslation, block: bytes) -> bytes:
        """The client's events for a block. Each goes to the hook by itself."""
        if self.meaningful and block != self.refused:
            events = translation.plain(block)
            if events is not None:
                self.events += 1
                return events if self._hook is None else self._each_hooked(events)
        kind = self.reader.read(block, first=self._first)
        self._first = False
        if kind is EventKind.COMMENT:
            return self._keep_comment(block) if self._exchange.endpoint.dialect.writer.takes_comments else b""
        if kind in _LEFT_OUT:
            return self._leave_out(kind)
        failed, begun = self.reader.error is not None, self.meaningful
        if not begun:
            self._look_for_content(EventKind.ERROR if failed else kind, block)
        self.events += 1
        if failed:
            fault = fault_of(self.reader.error)
            return self._each_hooked(self._redact(translation.failed(fault)))
        events = translation.translate(block)
        if translation.failure:
            return self._each_hooked(self._given_up(translation, events, begun=begun))
        if not self.reader.ended:
            return self._each_hooked(events)
        self._owner.concluding()
        return self._each_hooked(events) + self.epilogue() + self._each_hooked(self._finished(translation))

    def _finished(self, translation: StreamTranslation) -> bytes:
        """The last events of an answer that has begun: of a complete one, or of one that failed at its end."""
        events = translation.finish()
        return self._given_up(translation, events, begun=True) if translation.failure else events

    def _given_up(self, translation: StreamTranslation, events: bytes, *, begun: bool) -> bytes:
        """The last events of an answer that the provider gave up.

        Raises its fault if the answer has not ``begun``: another one can still be sent.
        """
        self.reader.error = ProviderError(translation.failure)
        fault = fault_of(self.reader.error)
        if not begun:
            raise fault
        return events + self._redact(translation.failed(fault))

    def _each_hooked(self, events: bytes) -> bytes:
        return events if self._hook is None else b"".join(map(self._hooked, events_of(events)))

    def _hooked(self, block: bytes) -> bytes:
        """The hook's replacement of an event, or the event itself. Notes whether it has an ``id``."""
        if self._hook is not None:
            block = self._hook(block, self.reader.error is not None)
        if not self.numbered:
            self.numbered = has_id(block)
        return block

    def _keep_comment(self, block: bytes) -> bytes:
        if not self.meaningful:
            self._held_comments += len(block)
            if self._held_comments > HELD_COMMENTS:
                return b""
        return comment(block, numbered=self.numbered)

    def _leave_out(self, kind: EventKind) -> bytes:
        """Forward nothing of this event. Raises BrokenAnswer while another answer can still be sent."""
        if kind is EventKind.MALFORMED:
            if self._ending:
                self.cut = True
                return b""
            if not self.reader.ended and self.reader.error is None:
                fault = BrokenAnswer("The provider sent an event that is not JSON.")
                if not self.meaningful:
                    raise fault
                self._outlet.lose(fault)
                self._exchange.lost_events += 1
        if kind is not EventKind.USAGE:
            self._owner.dropped(kind)
        return b""

    def _look_for_content(self, kind: EventKind, block: bytes) -> None:
        """Raises the provider's error, or BrokenAnswer, if the stream ends before any content."""
        if kind is EventKind.ERROR:
            raise fault_of(self.reader.error)
        if kind is EventKind.DONE:
            raise BrokenAnswer("The provider's answer is empty.", code="upstream_empty_answer")
        self.silent += len(block)
        self.meaningful = kind is EventKind.CONTENT or self.silent > HELD_EVENTS
