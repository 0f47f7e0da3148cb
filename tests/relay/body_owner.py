"""The client's end of an answer, and the owner that stands behind its body."""

from __future__ import annotations

from proxy.errors import ConnectionBroken, GatewayError
from proxy.relay.pipe import Pipe
from proxy.server.reply import Reply
from tests.support.pump import Outlet

FAULT = ConnectionBroken("The provider closed the connection early.")


class Client(Outlet):
    """Both, with a pipe between them."""

    def __init__(self, *, length: int | None = None, http10: bool = False) -> None:
        super().__init__()
        self.closed = False
        self.bodies: list[bytes] = []
        self.commits = self.deliveries = 0
        self.cuts: list[GatewayError] = []
        self.reply = Reply(self, http10=http10, head_only=False, keep_alive=True)
        self.length = length
        self.pipe = Pipe(self, self.reply, 206, length)

    def abort(self) -> None:
        self.closed = True

    def commit(self) -> bytes:
        self.commits += 1
        return b"Content-Type: audio/mpeg\r\n"

    def collected(self, body: bytes) -> None:
        self.bodies.append(body)

    def delivered(self, fault: GatewayError | None = None) -> None:
        if fault is None:
            self.deliveries += 1
        else:
            self.cuts.append(fault)

    @property
    def sent(self) -> bytes:
        return b"".join(self.writes)

    @property
    def body(self) -> bytes:
        return self.sent.partition(b"\r\n\r\n")[2]
