"""Decode a compressed answer between the provider's connection and its body, one piece per turn of the loop.

A read of 64 KB may decode to 64 MB. While some of it is left, the connection is not read.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from typing import Protocol

from proxy.errors import BrokenAnswer, GatewayError
from proxy.net.codings import decoder_of
from proxy.net.inflate import PIECE, BadCompression


class ReadSource(Protocol):
    """The connection that the bytes come from."""

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def abort(self) -> None: ...


class Consumer(Protocol):
    """What takes the end of the body, if it does not come within a read."""

    def end(self) -> None:
        """The body ended before, and all of it is decoded now."""

    def broken(self, fault: GatewayError) -> None:
        """The body turned out to be broken; its connection is closed."""


class Inflating:
    """``feed`` takes what is read. It stops while ``pause`` holds, and for good after ``stop``."""

    __slots__ = (
        "_body",
        "_consumer",
        "_decoder",
        "_loop",
        "_next",
        "_paused",
        "_pieces",
        "_source",
        "_waiting",
        "at_end",
        "busy",
    )

    def __init__(
        self,
        coding: str,
        body: Callable[[bytes], None],
        source: ReadSource,
        consumer: Consumer,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._decoder = decoder_of(coding)
        self._body = body
        self._source = source
        self._consumer = consumer
        self._loop = loop
        self._waiting: deque[bytes] = deque()  # reads that are not begun
        self._pieces: Iterator[bytes] | None = None  # of the read that is being decoded
        self._next: asyncio.Handle | None = None
        self._paused = False
        self.busy = False  # something is left
        self.at_end = False  # the provider's body ended while something was left

    @property
    def cut(self) -> bool:
        """Something was decoded, but its end was not seen."""
        return self._decoder.cut

    def feed(self, data: bytes) -> None:
        """Raises BrokenAnswer."""
        self._waiting.append(data)
        if not self.busy and not self._paused:
            self._advance()
        if not self.busy and self._is_left():
            self.busy = True
            self._source.pause_reading()
            self._go_on()

    def pause(self) -> None:
        """The body takes no more for now."""
        self._paused = True

    def resume(self) -> None:
        self._paused = False
        self._go_on()

    def stop(self) -> None:
        """Discard the rest."""
        self._waiting.clear()
        self._pieces = None
        self.busy = False
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _go_on(self) -> None:
        if self.busy and not self._paused and self._next is None:
            self._next = self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._next = None
        if self._paused:
            return
        try:
            self._advance()
        except GatewayError as fault:
            self._fail(fault)
        except Exception as mistake:  # a defect of the gateway or a hook, not the provider's
            self._fail(GatewayError("The gateway failed to handle the answer.", detail=type(mistake).__name__))
        else:
            if self._is_left():
                self._go_on()
            elif self.busy:
                self.busy = False
                if self.at_end:
                    self._consumer.end()
                else:
                    self._source.resume_reading()

    def _fail(self, fault: GatewayError) -> None:
        self._source.abort()
        self._consumer.broken(fault)

    def _advance(self) -> None:
        """Pass on as much as one turn may. Raises BrokenAnswer."""
        done = 0
        try:
            while done < PIECE and not self._paused and self._is_left():
                if self._pieces is None:
                    self._pieces = self._decoder.feed(self._waiting.popleft())
                piece = next(self._pieces, None)
                if piece is None:
                    self._pieces = None
                else:
                    done += len(piece)
                    self._body(piece)
        except BadCompression as exc:
            raise BrokenAnswer("The provider's compressed answer is damaged.", detail=str(exc)) from None

    def _is_left(self) -> bool:
        return self._pieces is not None or bool(self._waiting)
