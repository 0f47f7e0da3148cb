"""A reply that nobody sees yet: a stream is collected here, so that it can still be thrown away whole."""

from __future__ import annotations

from proxy.errors import GatewayError, Overloaded
from proxy.net.budget import Budget
from proxy.server.outlet import Outlet


class Held(Outlet):
    """Takes what a relay writes to a reply of which the head is out. ``limit`` bounds it, in bytes.

    ``fault`` is why it is not whole: how the answer broke, or that it is more than may be held (Overloaded).
    """

    __slots__ = ("_budget", "_deaf", "_limit", "_pieces", "begun", "ended", "fault", "held")

    begun: bool
    ended: bool

    def __init__(self, limit: int, budget: Budget) -> None:
        self._limit = limit
        self._budget = budget
        self._pieces: list[bytes] = []
        self._deaf = False  # nothing more is held
        self.held = 0
        self.begun = True
        self.ended = False
        self.numbered = False
        self.fault: GatewayError | None = None

    def __repr__(self) -> str:
        return f"<Held {self.held} bytes{' whole' if self.ended and self.fault is None else ''}>"

    def send(self, status: int, header_lines: bytes, body: bytes = b"") -> None:
        raise AssertionError("a held reply has begun")

    def begin(self, status: int, header_lines: bytes, first: bytes = b"", *, length: int | None = None) -> None:
        """The client was told 200 and promised a stream: nothing can begin here."""
        raise AssertionError("a held reply has begun")

    def lose(self, fault: GatewayError) -> None:
        """The client has nothing of the answer: it is thrown away, and another may follow."""
        self.fault = self.fault or fault
        self.release()
        raise self.fault

    def write(self, data: bytes) -> None:
        """Raises Overloaded, once, where the answer is larger than may be held; it is forgotten then."""
        if self._deaf:
            return
        try:
            if self.held + len(data) > self._limit:
                raise Overloaded("The answer is larger than the gateway may hold back.", code="answer_too_large")
            self._budget.take(len(data))
        except Overloaded as fault:
            self.fault = fault
            self.release()
            raise
        self.held += len(data)
        self._pieces.append(data)

    def for_frames(self) -> None:
        """What is held has no framing."""

    def count(self, size: int) -> None:
        """Everything came by ``write``."""

    def end(self, last: bytes = b"") -> None:
        if last:
            self.write(last)
        self.ended = True

    def break_off(self, fault: GatewayError, last: bytes) -> None:
        """Nobody will see it: another answer may follow."""
        self.fault = self.fault or fault
        self.ended = True
        self.release()

    def abort(self) -> None:
        """There is no connection to cut."""

    def detach(self) -> None:
        """Its client left: what is held is nobody's."""
        self.release()

    def take(self) -> bytes:
        """All of it, once."""
        whole = b"".join(self._pieces)
        self.release()
        return whole

    def release(self) -> None:
        """Forget it, and hold nothing from now on."""
        self._deaf = True
        self._pieces.clear()
        self._budget.give(self.held)
        self.held = 0
