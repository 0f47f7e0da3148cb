"""The translation of one event stream: a provider's events in, a client's events out."""

from __future__ import annotations

from collections.abc import Iterable

from proxy.dialects.translation.base import AnswerDecoder, EventEncoder
from proxy.dialects.translation.calls import CallFilter
from proxy.dialects.translation.parts import AnswerFailed, AnswerPart, CitationPart, Dropped, ReasoningDelta, TextDelta
from proxy.errors import BrokenAnswer, GatewayError

_TEXT = (TextDelta, ReasoningDelta)


class StreamTranslation:
    """``dropped``: what of the answer no other dialect has, or the client's has not.

    ``failure``: why the answer failed, as the provider gave it up or it cannot be translated; ``""`` if it did not.
    It must end with ``failed`` then.
    """

    __slots__ = ("_calls", "_decoder", "_encode", "_encoder", "_finished", "_plain", "dropped", "failure")

    def __init__(self, decoder: AnswerDecoder, encoder: EventEncoder, calls: CallFilter) -> None:
        self._decoder = decoder
        self._plain = decoder.plain
        self._encoder = encoder
        self._encode = encoder.encode
        self._calls = calls
        self._finished = False
        self.dropped: dict[str, None] = {}
        self.failure = ""

    def plain(self, block: bytes) -> bytes | None:
        """The events for a block of plain content; ``None``: use ``translate``. Called once per token."""
        part = self._plain(block)
        if part is None:
            return None
        return self._encode(part) if type(part) in _TEXT and self._calls.idle else self._encoded((part,))

    def translate(self, block: bytes) -> bytes:
        """The events for any other block. Raises BrokenAnswer if too much would have to be kept back."""
        if self._finished:
            return b""
        try:
            return self._encoded(self._decoder.decode(block))
        except BrokenAnswer as fault:
            self.failure = fault.message
            raise

    def finish(self) -> bytes:
        """The last events of a complete answer, once. With a ``failure``: those before it, if any."""
        if self._finished:
            return b""
        last = b""
        try:
            last = self._encoded(self._decoder.end())
            if self.failure:
                return last
            last += b"".join(map(self._encode, self._calls.end()))
        except BrokenAnswer as fault:
            self.failure = fault.message
            return last
        self._end()
        return last + self._encoder.finish()

    def failed(self, fault: GatewayError) -> bytes:
        """The last events of an answer that broke, once."""
        if self._finished:
            return b""
        self._end()
        return self._encoder.failed(fault)

    def _end(self) -> None:
        self._finished = True
        self._plain = _nothing_plain

    def _encoded(self, parts: Iterable[AnswerPart]) -> bytes:
        encode, found = self._encode, list[bytes]()
        for part in parts:
            if isinstance(part, Dropped):
                self.dropped[part.name] = None
                continue
            if isinstance(part, AnswerFailed):
                self.failure = part.message
                break
            if isinstance(part, CitationPart):
                self.dropped.update(dict.fromkeys(self._encoder.cites.lost(part.citation)))
            found += map(encode, self._calls.pass_on(part))
        return b"".join(found)


def _nothing_plain(block: bytes) -> None:
    """Claim no block: the answer has ended."""
