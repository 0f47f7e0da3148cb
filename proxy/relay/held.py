"""An outlet that holds back a whole stream, so that it can be discarded if it breaks."""

from __future__ import annotations

from proxy.errors import GatewayError, Overloaded
from proxy.net.budget import Budget
from proxy.server.outlet import Outlet


class Held(Outlet):
    """Replaces a reply whose head a ping may have sent. ``limit`` is in bytes.

    ``fault`` is why the stream is incomplete: it broke, or it exceeds the limit or the budget (Overloaded).
    """

    __slots__ = ("_budget", "_closed", "_limit", "_pieces", "begun", "ended", "fault", "held")

    begun: bool
    ended: bool

    def __init__(self, limit: int, budget: Budget) -> None:
        self._limit = limit
        self._budget = budget
        self._pieces: list[bytes] = []
        self._closed = False  # what is written is discarded
        self.held = 0
        self.begun = True
        self.ended = False
        self.numbered = False
        self.fault: GatewayError | None = None

    def __repr__(self) -> str:
        return f"<Held {self.held} bytes{' whole' if self.ended and self.fault is None else ''}>"

    def send(self, status: int, header_lines: bytes, body: bytes = b"") -> None:
        raise AssertionError("a held answer has begun")

    def begin(self, status: int, header_lines: bytes, first: bytes = b"", *, length: int | None = None) -> None:
        raise AssertionError("a held answer has begun")

    def lose(self, fault: GatewayError) -> None:
        """Discard the answer, as nothing of it was sent: another may follow."""
        self.fault = self.fault or fault
        self.release()
        raise self.fault

    def write(self, data: bytes) -> None:
        """Raises Overloaded, once, if the answer is too large, and discards it."""
        if self._closed:
            return
        try:
            if self.held + len(data) > self._limit:
                raise Overloaded("The answer is too large to hold back.", code="answer_too_large")
            self._budget.take(len(data))
        except Overloaded as fault:
            self.fault = fault
            self.release()
            raise
        self.held += len(data)
        self._pieces.append(data)

    def for_frames(self) -> None:
        """Return ``None``: a held answer has no framing."""

    def count(self, size: int) -> None:
        """Nothing to count: everything came by ``write``."""

    def end(self, last: bytes = b"") -> None:
        if last:
            self.write(last)
        self.ended = True

    def break_off(self, fault: GatewayError, last: bytes) -> None:
        """Discard it: another answer may follow."""
        self.fault = self.fault or fault
        self.ended = True
        self.release()

    def abort(self) -> None:
        """Nothing to cut."""

    def detach(self) -> None:
        """The client disconnected: discard what is held."""
        self.release()

    def take(self) -> bytes:
        """Return the whole answer, and release it."""
        whole = b"".join(self._pieces)
        self.release()
        return whole

    def release(self) -> None:
        """Discard the answer, and hold nothing from now on."""
        self._closed = True
        self._pieces.clear()
        self._budget.give(self.held)
        self.held = 0
