"""Single flight: of equal requests at the same time, one is sent to a provider, and the others wait for its answer."""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import Final, Generic, TypeVar

T = TypeVar("T")


class NotShared(Enum):
    """Why there is no answer to share. ``LEFT``: the first client has left, so another request has to be sent.
    ``STALE``: no provider answered, and the first request got a stale answer.
    """

    LEFT = "left"
    STALE = "stale"


LEFT: Final = NotShared.LEFT
STALE: Final = NotShared.STALE


class Flight(Generic[T]):
    """One request that is sent to a provider. Each follower has a future of its own, as it may be canceled.

    ``moment``: of its look at the store, which is the number of invalidations so far.
    """

    __slots__ = ("_followers", "moment")

    def __init__(self, moment: int = 0) -> None:
        self.moment = moment
        self._followers: list[asyncio.Future[T | NotShared | None]] = []

    async def follow(self, seconds: float) -> T | NotShared | None:
        """The answer; ``None``: there is none to share, or it takes longer."""
        future: asyncio.Future[T | NotShared | None] = asyncio.get_running_loop().create_future()
        self._followers.append(future)
        try:
            async with asyncio.timeout(seconds):
                return await future
        except TimeoutError:
            return None

    def land(self, answer: T | NotShared | None) -> None:
        """Give the answer to all followers; ``None``: each calls a provider itself."""
        for future in self._followers:
            if not future.done():
                future.set_result(answer)
