"""Verification of streams (complete, in order, unchanged) and latency of their tokens."""

from __future__ import annotations

from array import array
from zlib import crc32

from tests.bench.traffic import EVENT_SIZE, TOKEN_SIZE, Traffic


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
    """Checks one event stream. ``verbatim``: the proxy promises every byte, else only the tokens are compared."""

    __slots__ = (
        *("at", "crc", "events", "lag", "pending", "requested_at", "samples", "sequence", "tail", "traffic"),
        "verbatim",
    )

    def __init__(self, traffic: Traffic, events: int, verbatim: bool, samples: Samples) -> None:
        self.traffic = traffic
        self.events = events
        self.verbatim = verbatim
        self.samples = samples
        self.sequence = 0
        self.crc = 0
        self.pending = b""
        self.tail = b""  # events without a token, since the last one with
        self.requested_at = 0  # when the request was sent
        self.at = 0  # arrival of the last token
        self.lag = 0  # its time in transit

    def feed(self, body: bytes, now: int) -> None:
        if self.pending:
            body = self.pending + body
        blank = self.traffic.end
        start = 0
        while (found := body.find(blank, start)) >= 0:
            end = found + len(blank)
            self._event(body[start:end], now)
            start = end
        self.pending = body[start:]

    def end(self) -> None:
        """The body is over: raises Broken unless the stream was complete."""
        if self.sequence != self.events:
            raise Broken(f"ended after {self.sequence} of {self.events} tokens")
        if self.verbatim:
            if self.tail + self.pending != self.traffic.after:
                raise Broken(f"unexpected end {(self.tail + self.pending)[-200:]!r}")
        elif not self.tail.endswith(self.traffic.terminal) or b'"stop"' not in self.tail:
            raise Broken(f"no finish reason or no terminal event: {self.tail[-200:]!r}")

    def _event(self, event: bytes, now: int) -> None:
        traffic = self.traffic
        if len(event) == EVENT_SIZE and event.startswith(traffic.prefix) and event.endswith(traffic.suffix):
            token = event[traffic.token_at : traffic.token_end]
        elif self.verbatim or (at := event.find(b"@")) < 0:
            self.tail += event
            if len(self.tail) > 10_000:
                raise Broken(f"unexpected event {event[:200]!r}")
            return
        else:
            token = event[at : at + TOKEN_SIZE]
        try:
            sequence, sent, held, crc = int(token[1:7]), int(token[8:24], 16), int(token[25:33], 16), token[34:42]
        except ValueError:
            raise Broken(f"unreadable token {token!r}") from None
        if sequence != self.sequence + 1:
            raise Broken(f"token {sequence} after {self.sequence}")
        self.crc = crc32(token[:34], self.crc)
        if crc != b"%08x" % self.crc:
            raise Broken(f"wrong hash at token {sequence}")
        if self.verbatim and self.tail != (b"" if self.sequence else traffic.before):
            raise Broken(f"unexpected events before token {sequence}: {self.tail[:200]!r}")
        self.tail = b""
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
