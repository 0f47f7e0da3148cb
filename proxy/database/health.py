"""How a database fares: told in one line when it goes away, and in one when it is back."""

from __future__ import annotations

import time
from collections.abc import Callable

from msgspec import Struct

Tell = Callable[[str], object]


def _silent(_text: str) -> None:
    pass


class Unreachable(Exception):
    """It cannot be reached, does not answer in time, or refuses. The text is for the log and holds no password."""


class State(Struct, frozen=True):
    """``since`` is the moment of the last turn, Unix seconds; ``latency`` the seconds that the last answer took."""

    up: bool
    since: float
    latency: float | None = None


class Health:
    """``what`` is the subject of both lines. It is up until something fails."""

    def __init__(
        self,
        what: str = "the database",
        warn: Tell = _silent,
        info: Tell = _silent,
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
    def state(self) -> State:
        return State(self._up, self._since, self._latency)

    def answered(self, seconds: float) -> None:
        self._latency = seconds
        if not self._up:
            away = self._turn(up=True)
            self._info(f"{self._what} answers again after {away:.0f} s")

    def failed(self, why: str) -> None:
        if self._up:
            self._turn(up=False)
            self._warn(f"{self._what} does not answer: {why}; keys that are known here go on working")

    def _turn(self, *, up: bool) -> float:
        """How long it had been as it was."""
        before, self._since = self._since, self._wall()
        self._up = up
        return max(0.0, self._since - before)
