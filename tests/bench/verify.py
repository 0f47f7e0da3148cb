"""Verification of streams (complete, in order, unchanged) and latency of their tokens."""

from __future__ import annotations

from array import array
from typing import Final
from zlib import crc32

import msgspec

from tests.bench.traffic import TOKEN_SIZE, Events, data_of

_decode: Final = msgspec.json.Decoder().decode


class Broken(Exception):
    """The stream is not what the upstream sent."""


class Samples:
    """Totals over the streams of a phase. Times in ns; ``gaps`` fills only while ``recording``."""

    __slots__ = ("first", "gaps", "longest", "recording", "tokens")

    def __init__(self) -> None:
        self.tokens = 0
        self.recording = False
        self.gaps = array("q")  # added gap: the wait for a token minus that at the upstream
        self.first = array("q")  # time to first token minus the upstream's time
        self.longest = 0  # the longest wait between two tokens of one stream


class Stream:
    """Checks one event stream: ``count`` tokens in ``expected``.

    ``sent``: what the upstream sends, for a proxy that writes events of its own. These must add up to the same text.
    Else every byte must be as it was sent.
    """

    __slots__ = (
        *("at", "blank", "count", "crc", "expected", "lag", "last", "others", "pending", "reason", "requested_at"),
        *("samples", "sent", "sequence", "tail"),
    )

    def __init__(self, expected: Events, count: int, samples: Samples, sent: Events | None = None) -> None:
        self.expected = expected
        self.blank = expected.end  # what ends an event
        self.count = count
        self.samples = samples
        self.sent = sent
        self.sequence = 0
        self.crc = 0
        self.pending = b""
        self.tail = b""  # events without a token, since the last one with
        self.others: list[str] = []  # text outside of the tokens
        self.reason = ""
        self.last = b""  # event
        self.requested_at = 0  # when the request was sent
        self.at = 0  # arrival of the last token
        self.lag = 0  # its time in transit

    def feed(self, body: bytes, now: int) -> None:
        if self.pending:
            body = self.pending + body
        if self.sent is not None and b"\n\n" in body:  # whatever line ends the provider's own events have
            self.blank = b"\n\n"
        blank = self.blank
        start = 0
        while (found := body.find(blank, start)) >= 0:
            end = found + len(blank)
            event = body[start:end]
            token = self._verbatim(event) if self.sent is None else self._rewritten(event, self.sent)
            if token:
                self._check(token, now)
            start = end
        self.pending = body[start:]

    def end(self) -> None:
        """The body is over: raises Broken unless the stream was complete."""
        expected, sent = self.expected, self.sent
        if self.sequence != self.count:
            raise Broken(f"ended after {self.sequence} of {self.count} tokens")
        if sent is None:
            if self.tail + self.pending != expected.after:
                raise Broken(f"unexpected end {(self.tail + self.pending)[-200:]!r}")
            return
        if "".join(self.others) != sent.others:
            raise Broken(f"beside the tokens {''.join(self.others)[:200]!r} instead of {sent.others!r}")
        if self.reason != expected.reason or expected.close not in self.last or self.pending.strip():
            raise Broken(f"no finish reason or no terminal event: {self.reason!r}, {self.last[-200:]!r}")

    def _verbatim(self, event: bytes) -> bytes:
        """The token of an event, ``b""`` if it has none."""
        expected = self.expected
        if len(event) != expected.size or not (event.startswith(expected.prefix) and event.endswith(expected.suffix)):
            self.tail += event
            if len(self.tail) > 10_000:
                raise Broken(f"unexpected event {event[:200]!r}")
            return b""
        if self.tail != (b"" if self.sequence else expected.before):
            raise Broken(f"unexpected events before token {self.sequence + 1}: {self.tail[:200]!r}")
        self.tail = b""
        return event[expected.token_at : expected.token_end]

    def _rewritten(self, event: bytes, sent: Events) -> bytes:
        """The same of an event that the proxy has written."""
        self.last = event
        data = data_of(event)
        if not data.startswith(b"{"):
            return b""
        try:
            piece, reason = self.expected.read(_decode(data))
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise Broken(f"unreadable event {event[:200]!r}: {error!r}") from None
        if reason:
            self.reason = reason
        if piece[:1] != "@":
            self.others.append(piece)
            return b""
        if piece[TOKEN_SIZE:] != sent.filler or self.reason:
            raise Broken(f"unexpected text {piece[:400]!r}")
        return piece[:TOKEN_SIZE].encode()

    def _check(self, token: bytes, now: int) -> None:
        try:
            sequence, sent, held, crc = int(token[1:7]), int(token[8:24], 16), int(token[25:33], 16), token[34:42]
        except ValueError:
            raise Broken(f"unreadable token {token!r}") from None
        if sequence != self.sequence + 1:
            raise Broken(f"token {sequence} after {self.sequence}")
        self.crc = crc32(token[:34], self.crc)
        if crc != b"%08x" % self.crc:
            raise Broken(f"wrong hash at token {sequence}")
        self.sequence = sequence
        samples = self.samples
        samples.tokens += 1
        lag = now - sent
        if sequence == 1:
            samples.first.append(now - self.requested_at - held)
        else:
            if samples.recording:
                samples.gaps.append(lag - self.lag)
            if now - self.at > samples.longest:
                samples.longest = now - self.at
        self.lag = lag
        self.at = now
