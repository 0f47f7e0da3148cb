"""Answers that are no event stream: JSON collected whole before it is sent, everything else piped through."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from proxy.errors import BrokenAnswer, GatewayError
from proxy.net.budget import Budget
from proxy.net.headers import Header
from proxy.server.outlet import Outlet


class Answer(msgspec.Struct, gc=False):
    """A whole answer that nobody has sent yet."""

    status: int
    headers: list[Header]
    kind: bytes  # the media type that the provider gave it
    body: bytes
    lines: bytes  # of its header, those that the client may see


class Body(Protocol):
    """What becomes of the answer's bytes."""

    def feed(self, chunk: bytes) -> None: ...
    def end(self) -> None: ...
    def broken(self, fault: GatewayError) -> None: ...
    def ping(self) -> None: ...
    def release(self) -> None: ...
    @property
    def committed(self) -> bool: ...


class Owner(Protocol):
    """The attempt whose answer this is."""

    def commit(self) -> bytes:
        """Nothing may move on after this. Returns the answer's header lines."""

    def collected(self, body: bytes) -> None:
        """The whole body is here; the client has nothing of it yet."""

    def delivered(self) -> None:
        """The client has the whole answer."""

    def cut(self, fault: GatewayError) -> None:
        """The answer broke after its first bytes went out; the client's connection was cut."""


class Pipe:
    """Bytes of any kind, passed on as they come; a cut is shown by cutting the client's connection."""

    __slots__ = ("_length", "_owner", "_reply", "_status", "committed")

    def __init__(self, owner: Owner, reply: Outlet, status: int, length: int | None) -> None:
        self._owner = owner
        self._reply = reply
        self._status = status
        self._length = length
        self.committed = False

    def feed(self, chunk: bytes) -> None:
        if self.committed:
            self._reply.write(chunk)
        else:
            self._begin(chunk)

    def end(self) -> None:
        if not self.committed:
            self._begin(b"")
        self._reply.end()
        self._owner.delivered()

    def broken(self, fault: GatewayError) -> None:
        self._reply.abort()
        self._owner.cut(fault)

    def release(self) -> None:
        """Nothing is held back."""

    def ping(self) -> None:
        """Nothing can be put between bytes that we do not understand."""

    def _begin(self, chunk: bytes) -> None:
        if self._reply.begun:  # by a ping: the client was promised an event stream
            raise BrokenAnswer("The provider's answer is no event stream.")
        self.committed = True
        self._reply.begin(self._status, self._owner.commit(), chunk, length=self._length)


class ErrorPipe(Pipe):
    """An error that passes untouched, but for credentials of ours in its first ``limit`` bytes."""

    __slots__ = ("_held", "_limit", "_redact")

    def __init__(
        self,
        owner: Owner,
        reply: Outlet,
        status: int,
        length: int | None,
        limit: int,
        redact: Callable[[bytes], bytes],
    ) -> None:
        super().__init__(owner, reply, status, length)
        self._held = b""
        self._limit = limit
        self._redact = redact

    def feed(self, chunk: bytes) -> None:
        if self.committed:
            super().feed(chunk)
            return
        self._held += chunk
        if len(self._held) > self._limit:
            self._begin_redacted()

    def end(self) -> None:
        if not self.committed:
            self._begin_redacted()
        super().end()

    def _begin_redacted(self) -> None:
        held, self._held = self._held, b""
        kept = self._redact(held)
        if self._length is not None:
            self._length += len(kept) - len(held)
        self._begin(kept)


class Collector(Pipe):
    """A body collected up to ``limit`` bytes and handed over whole; a larger one is piped."""

    __slots__ = ("_budget", "_held", "_limit", "_pieces")

    def __init__(
        self, owner: Owner, reply: Outlet, status: int, length: int | None, limit: int, budget: Budget
    ) -> None:
        self._owner = owner
        self._reply = reply
        self._status = status
        self._length = length
        self.committed = False
        self._limit = limit
        self._budget = budget
        self._pieces: list[bytes] = []
        self._held = 0

    def feed(self, chunk: bytes) -> None:
        if self.committed:
            super().feed(chunk)
            return
        size = len(chunk)
        held = self._held + size
        if size != self._length:  # what came whole is handed over in this very read, and never held
            self._budget.take(size)
            self._held = held
        self._pieces.append(chunk)
        if held > self._limit:
            super().feed(b"".join(self._pieces))
            self.release()

    def end(self) -> None:
        if self.committed:
            super().end()
            return
        body = b"".join(self._pieces)  # a single piece is not copied
        if self._held:
            self.release()
        self._owner.collected(body)

    def broken(self, fault: GatewayError) -> None:
        self.release()
        super().broken(fault)

    def ping(self) -> None:
        """A JSON answer has no room for comments."""

    def release(self) -> None:
        """Forget what was collected."""
        self._pieces.clear()
        if self._held:
            self._budget.give(self._held)
            self._held = 0


class ErrorCollector(Collector):
    """The body of an error. One that is larger than ``limit`` is handed over empty, without its rest."""

    __slots__ = ("_over",)

    def __init__(
        self, owner: Owner, reply: Outlet, status: int, length: int | None, limit: int, budget: Budget
    ) -> None:
        super().__init__(owner, reply, status, length, limit, budget)
        self._over = False

    def feed(self, chunk: bytes) -> None:
        if self._over:
            return
        if self._held + len(chunk) <= self._limit:
            super().feed(chunk)
            return
        self._over = True
        self.release()
        self._owner.collected(b"")

    def end(self) -> None:
        if not self._over:
            super().end()
