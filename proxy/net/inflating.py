"""Decoding a compressed answer on its way from the provider's connection to its body, a piece in a turn of the loop.

A read of 64 KB may stand for 64 MB. While some of it is left, the connection is not read.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from typing import Protocol

from proxy.errors import BrokenAnswer, GatewayError
from proxy.net.codings import decoder_of
from proxy.net.inflate import PIECE, BadCompression


class Owner(Protocol):
    """The attempt whose answer this is."""

    def inflating(self) -> None:
        """More is left than one turn may decode: nothing should be read until ``inflated``."""

    def inflated(self) -> None:
        """All that was read is decoded and passed on."""

    def undecodable(self, fault: GatewayError) -> None:
        """The answer turned out to be broken, outside of a read."""


class Inflating:
    """``feed`` takes what is read. It stops while ``pause`` holds, and for good after ``stop``."""

    __slots__ = ("_body", "_decoder", "_loop", "_next", "_owner", "_paused", "_pieces", "_waiting", "at_end", "busy")

    def __init__(
        self, coding: str, body: Callable[[bytes], None], owner: Owner, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._decoder = decoder_of(coding)
        self._body = body
        self._owner = owner
        self._loop = loop
        self._waiting: deque[bytes] = deque()  # reads that are not begun
        self._pieces: Iterator[bytes] | None = None  # of the read that is being decoded
        self._next: asyncio.Handle | None = None
        self._paused = False
        self.busy = False  # something is left
        self.at_end = False  # for the owner: the provider's body ended while something was left

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
            self._owner.inflating()
            self._go_on()

    def pause(self) -> None:
        """Whoever takes the body takes no more for now."""
        self._paused = True

    def resume(self) -> None:
        self._paused = False
        self._go_on()

    def stop(self) -> None:
        """Nobody wants the rest."""
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
            self._owner.undecodable(fault)
        except Exception as mistake:  # of ours, or of a hook: it must not pass for one of the provider's
            name = type(mistake).__name__
            self._owner.undecodable(GatewayError("The gateway failed to handle the answer.", detail=name))
        else:
            if self._is_left():
                self._go_on()
            elif self.busy:
                self.busy = False
                self._owner.inflated()

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
