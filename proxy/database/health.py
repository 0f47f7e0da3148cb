"""Whether a database answers; one log line when it stops, and one when it answers again."""

from __future__ import annotations

import time
from collections.abc import Callable

from msgspec import Struct

LogLine = Callable[[str], object]


def _silent(_text: str) -> None:
    pass


class Unreachable(Exception):
    """The database cannot be reached, is too slow, or refuses. The text is for the log and contains no password."""


class DatabaseState(Struct, frozen=True):
    """``since``: the last change of ``up``, in Unix seconds. ``latency`` of the last answer, in seconds."""

    up: bool
    since: float
    latency: float | None = None


class DatabaseHealth:
    """``what`` is the subject of both log lines. It counts as up until a call fails."""

    def __init__(
        self,
        what: str = "the database",
        warn: LogLine = _silent,
        info: LogLine = _silent,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._what = what
        self._warn = warn
        self._info = info
        self._wall = wall
        self._up = True
        self._since = wall()
        self._latency: float | None = None

    @property
    def state(self) -> DatabaseState:
        return DatabaseState(self._up, self._since, self._latency)

    def answered(self, seconds: float) -> None:
        self._latency = seconds
        if not self._up:
            away = self._change(up=True)
            self._info(f"{self._what} answers again after {away:.0f} s")

    def failed(self, why: str) -> None:
        if self._up:
            self._change(up=False)
            self._warn(f"{self._what} does not answer: {why}; keys that are known here go on working")

    def _change(self, *, up: bool) -> float:
        """Returns the seconds since the change before this one."""
        before, self._since = self._since, self._wall()
        self._up = up
        return max(0.0, self._since - before)
