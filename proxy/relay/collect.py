"""Bodies that are collected: JSON, which is checked before any of it is sent, and errors."""

from __future__ import annotations

from proxy.errors import BrokenAnswer, GatewayError
from proxy.net.budget import Budget
from proxy.relay.body import BodyOwner
from proxy.relay.pipe import Pipe


class Collector:
    """Collects a body of up to ``limit`` bytes, and passes it on complete.

    A larger one goes to ``pipe``. With ``whole``, as for a translation, it is an error instead.
    """

    __slots__ = ("_budget", "_held", "_length", "_limit", "_owner", "_pieces", "_pipe", "_whole")

    def __init__(
        self, owner: BodyOwner, pipe: Pipe, length: int | None, limit: int, budget: Budget, *, whole: bool = False
    ) -> None:
        self._owner = owner
        self._pipe = pipe
        self._length = length
        self._limit = limit
        self._budget = budget
        self._whole = whole
        self._pieces: list[bytes] = []
        self._held = 0

    @property
    def committed(self) -> bool:
        return self._pipe.committed

    def feed(self, chunk: bytes) -> None:
        """Raises Overloaded if the process has buffered too much, BrokenAnswer for a whole body over the limit."""
        if self._pipe.committed:
            self._pipe.feed(chunk)
            return
        size = len(chunk)
        held = self._held + size
        if size != self._length:  # a complete body is passed on in the same read, and not counted
            self._budget.take(size)
            self._held = held
        self._pieces.append(chunk)
        if held > self._limit:
            if self._whole:
                raise BrokenAnswer(
                    f"The provider's answer is too large to be translated (limit {self._limit} bytes).",
                    code="answer_too_large",
                )
            self._pipe.begin(b"".join(self._pieces))
            self.release()

    def end(self) -> None:
        if self._pipe.committed:
            self._pipe.end()
            return
        body = b"".join(self._pieces)  # a single piece is not copied
        self.release()
        self._owner.collected(body)

    def broken(self, fault: GatewayError) -> None:
        self.release()
        self._pipe.broken(fault)

    def release(self) -> None:
        self._pieces.clear()
        if self._held:
            self._budget.give(self._held)
            self._held = 0


class ErrorCollector:
    """Collects the body of an error. One larger than ``limit`` is replaced by ``b""``, without waiting for its end."""

    __slots__ = ("_budget", "_held", "_length", "_limit", "_over", "_owner", "_taken")

    committed = False  # this class sends nothing

    def __init__(self, owner: BodyOwner, length: int | None, limit: int, budget: Budget) -> None:
        self._owner = owner
        self._length = length
        self._limit = limit
        self._budget = budget
        self._held = b""
        self._taken = 0  # bytes of the budget
        self._over = False

    def feed(self, chunk: bytes) -> None:
        """Raises Overloaded if the process has buffered too much."""
        if self._over:
            return
        if len(self._held) + len(chunk) > self._limit:
            self._over = True
            self.release()
            self._owner.collected(b"")
            return
        if len(chunk) != self._length:  # as in Collector
            self._budget.take(len(chunk))
            self._taken += len(chunk)
        self._held += chunk

    def end(self) -> None:
        if not self._over:
            body = self._held
            self.release()
            self._owner.collected(body)

    def broken(self, fault: GatewayError) -> None:
        """Never called, as nothing is committed."""

    def release(self) -> None:
        self._budget.give(self._taken)
        self._taken = 0
        self._held = b""
