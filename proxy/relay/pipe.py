"""Bodies that are piped: bytes of any kind, sent as they arrive."""

from __future__ import annotations

from collections.abc import Callable

from proxy.errors import BrokenAnswer, GatewayError
from proxy.relay.body import BodyOwner
from proxy.server.outlet import Outlet


class Pipe:
    """Sends a body as it arrives. If it breaks, the client's connection is cut."""

    __slots__ = ("_length", "_outlet", "_owner", "_status", "committed")

    def __init__(self, owner: BodyOwner, outlet: Outlet, status: int, length: int | None) -> None:
        self._owner = owner
        self._outlet = outlet
        self._status = status
        self._length = length
        self.committed = False

    def feed(self, chunk: bytes) -> None:
        if self.committed:
            self._outlet.write(chunk)
        else:
            self.begin(chunk)

    def end(self) -> None:
        if not self.committed:
            self.begin(b"")
        self._outlet.end()
        self._owner.delivered()

    def broken(self, fault: GatewayError) -> None:
        self._outlet.abort()
        self._owner.delivered(fault)

    def release(self) -> None:
        """Nothing is held."""

    def begin(self, chunk: bytes) -> None:
        """Send the head, with these bytes of the body. Raises BrokenAnswer if a ping has promised an event stream."""
        if self._outlet.begun:
            raise BrokenAnswer("The provider's answer is no event stream.")
        header_lines = self._owner.commit()  # raises where another attempt has won: the answer is not this one's to cut
        self.committed = True
        self._outlet.begin(self._status, header_lines, chunk, length=self._length)


class ErrorPipe(Pipe):
    """Sends an error as it arrives, without the gateway's credentials in its first ``limit`` bytes."""

    __slots__ = ("_held", "_limit", "_redact")

    def __init__(
        self,
        owner: BodyOwner,
        outlet: Outlet,
        status: int,
        length: int | None,
        limit: int,
        redact: Callable[[bytes], bytes],
    ) -> None:
        super().__init__(owner, outlet, status, length)
        self._held = b""
        self._limit = limit
        self._redact = redact

    def feed(self, chunk: bytes) -> None:
        if self.committed:
            self._outlet.write(chunk)
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
        self.begin(kept)
