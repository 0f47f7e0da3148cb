"""Where the bytes of an answer go: the client's ``Reply``, or what wraps it.

An answer is one call of ``send``, or one of ``begin`` and any number of ``write``, closed by ``end``, ``break_off`` or
``abort``. No method awaits. Backpressure reaches the writer through the request's flow.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from proxy.errors import GatewayError


class Outlet(ABC):
    """At most one answer. After ``ended`` or ``abort`` nothing may be written.

    ``numbered``: an event with an ``id`` was written, so no blank line may follow that ends no event.
    """

    __slots__ = ("numbered",)

    numbered: bool

    @property
    @abstractmethod
    def begun(self) -> bool:
        """Whether the status was sent."""

    @property
    @abstractmethod
    def ended(self) -> bool:
        """Whether the answer is whole."""

    @abstractmethod
    def send(self, status: int, header_lines: bytes, body: bytes = b"") -> None:
        """A whole answer in one write. ``header_lines`` are serialized, without the lines for framing."""

    @abstractmethod
    def begin(self, status: int, header_lines: bytes, first: bytes = b"", *, length: int | None = None) -> None:
        """The head of a streamed answer, with the first bytes of its body. ``length`` of the body, where known."""

    @abstractmethod
    def write(self, data: bytes) -> None:
        """More of the body; ``data`` is never empty. Of an event stream: whole events and comments."""

    @abstractmethod
    def for_frames(self) -> Callable[[bytes], None] | None:
        """A function that takes chunks together with their chunk framing, or ``None`` if all have to go to ``write``.

        Nothing else looks at them. ``count`` the size of their content afterwards.
        """

    @abstractmethod
    def count(self, size: int) -> None:
        """Add ``size`` bytes of the body that went through the function of ``for_frames``."""

    @abstractmethod
    def end(self, last: bytes = b"") -> None:
        """The body is whole; ``last`` goes out in the same write as its terminator."""

    @abstractmethod
    def break_off(self, fault: GatewayError, last: bytes) -> None:
        """The body ends early because of ``fault``. The client knows by ``last``, or by what it has already."""

    @abstractmethod
    def lose(self, fault: GatewayError) -> None:
        """An event that cannot be relayed is missing. Raises ``fault`` where another answer can still be sent."""

    @abstractmethod
    def abort(self) -> None:
        """Cut the connection, so that a body without its end cannot look complete."""

    @abstractmethod
    def detach(self) -> None:
        """The client left: discard whatever is written from now on."""


class OutletWrapper(Outlet):
    """Passes everything on to ``outlet``. Override what you need.

    ``for_frames`` returns ``None``, so that every byte of a body reaches ``begin``, ``write``, ``end`` or
    ``break_off``. A wrapper that ignores the body may return ``self.outlet.for_frames()`` to keep the fast lane.
    """

    __slots__ = ("outlet",)

    def __init__(self, outlet: Outlet) -> None:
        self.outlet = outlet

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.outlet!r}>"

    @property
    def begun(self) -> bool:
        return self.outlet.begun

    @property
    def ended(self) -> bool:
        return self.outlet.ended

    @property
    def numbered(self) -> bool:
        return self.outlet.numbered

    @numbered.setter
    def numbered(self, value: bool) -> None:
        self.outlet.numbered = value

    def send(self, status: int, header_lines: bytes, body: bytes = b"") -> None:
        self.outlet.send(status, header_lines, body)

    def begin(self, status: int, header_lines: bytes, first: bytes = b"", *, length: int | None = None) -> None:
        self.outlet.begin(status, header_lines, first, length=length)

    def write(self, data: bytes) -> None:
        self.outlet.write(data)

    def for_frames(self) -> Callable[[bytes], None] | None:
        return None

    def count(self, size: int) -> None:
        self.outlet.count(size)

    def end(self, last: bytes = b"") -> None:
        self.outlet.end(last)

    def break_off(self, fault: GatewayError, last: bytes) -> None:
        self.outlet.break_off(fault, last)

    def lose(self, fault: GatewayError) -> None:
        self.outlet.lose(fault)

    def abort(self) -> None:
        self.outlet.abort()

    def detach(self) -> None:
        self.outlet.detach()
