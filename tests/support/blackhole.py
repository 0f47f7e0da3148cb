"""An address that never answers a connection attempt: a listener whose queue is full and never emptied.

Linux drops a SYN for a full accept queue, so a connection attempt hangs as it does behind a silent firewall.
"""

from __future__ import annotations

import socket
from types import TracebackType


class Blackhole:
    """``with Blackhole() as hole``: ``hole.url`` is a base URL, ``hole.port`` its port."""

    def __enter__(self) -> Blackhole:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=0)
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"
        self._fillers: list[socket.socket] = []
        while self._fills():
            pass
        return self

    def _fills(self) -> bool:
        filler = socket.socket()
        filler.settimeout(0.2)
        self._fillers.append(filler)
        try:
            filler.connect(("127.0.0.1", self.port))
        except TimeoutError:
            return False
        return True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each in [*self._fillers, self._listener]:
            each.close()
