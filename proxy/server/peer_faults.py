"""Log lines about connections that end before their first request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

INTERVAL = 60.0  # s between two lines with the same code


class WarnWithFields(Protocol):
    """``proxy.observe.log.Log.warning``."""

    def __call__(self, message: str, /, **fields: object) -> object: ...


class PeerFaults:
    """Writes one line a minute for each code, so that peers cannot fill the log; the others are counted.

    ``now``: a monotonic clock in seconds.
    """

    def __init__(self, warn: WarnWithFields, now: Callable[[], float]) -> None:
        self._warn = warn
        self._now = now
        self._next: dict[str, float] = {}  # when the code may be logged again; the codes are few and ours
        self._omitted: dict[str, int] = {}

    def report(self, code: str, message: str, address: str) -> None:
        """Log ``message``, unless a line with this code was written within the last minute."""
        now = self._now()
        if now < self._next.get(code, now):
            self._omitted[code] = self._omitted.get(code, 0) + 1
            return
        self._next[code] = now + INTERVAL
        fields: dict[str, object] = {"code": code, "client": address or "unix"}
        if omitted := self._omitted.pop(code, 0):
            fields["omitted"] = omitted
        self._warn(message, **fields)
