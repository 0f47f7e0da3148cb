"""The limit on wrong guesses at the admin token."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from math import ceil
from typing import Final

from proxy.control.access.credential import AdminCredential
from proxy.errors import RateLimited
from proxy.limits.base import Cost, Limit
from proxy.limits.memory import Memory
from proxy.net.address import key_of
from proxy.server.request import Request

FAILURE_SECS: Final = 0.3  # delay of the response to a wrong guess
MAX_ADDRESSES: Final = 10_000  # of which wrong guesses are remembered
UNGUESSABLE: Final = 32  # characters of a token

# Five wrong guesses at once, then one in five seconds.
_GUESSES: Final = Limit("address", "requestsPerMinute", "admin:guesses", 5.0, 0.2)


class LoginThrottle:
    """Counts wrong guesses by client address (IPv6: by /64).

    ``address`` returns the address of a request. ``now`` and ``sleep`` are in seconds.
    """

    def __init__(
        self,
        credential: AdminCredential,
        address: Callable[[Request], str],
        now: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._unguessable = len(credential.token) >= UNGUESSABLE
        self._address = address
        self._sleep = sleep
        self._store = Memory(now, MAX_ADDRESSES)

    async def check(self, request: Request, correct: bool, guesses: int = 1) -> bool:
        """Return ``correct``; delay the response to a wrong guess. Raises RateLimited after too many wrong ones.

        A short token is throttled even when it is right: its guess is counted first and returned afterwards. Parallel
        guesses therefore gain nothing. A long token cannot be guessed, so its owner never waits for what others try
        from the same address.
        """
        if correct and self._unguessable:
            return True
        guess = Cost(_GUESSES, key_of(self._address(request)), guesses)
        verdict = self._store.take((guess,), 0)
        if not verdict.admitted:
            raise RateLimited("login", "attempts", retry_after=max(1, ceil(verdict.retry_after)))
        if correct:
            self._store.settle((Cost(_GUESSES, guess.key, -guess.amount),), (), 0)
            return True
        await self._sleep(FAILURE_SECS)
        return False
