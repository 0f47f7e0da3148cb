"""Who may use a route of the control plane, and how guessing at the admin token is made slow.

Nothing is ever granted for where a request comes from: one over loopback proves itself like any other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from math import ceil

from proxy.auth.presented import all_presented
from proxy.control.access.credential import AdminCredential, session_of
from proxy.errors import ClientFault, RateLimited, Unauthorized
from proxy.limits.base import Cost, Limit
from proxy.limits.memory import Memory
from proxy.net.address import key_of
from proxy.server.connection import Request

FAILURE_SECS = 0.3  # how long a wrong guess waits for its answer
REMEMBERED = 10_000  # addresses that guessed wrong
UNGUESSABLE = 32  # characters of a token

# Five wrong guesses at once, then one in five seconds.
_GUESSES = Limit("address", "requestsPerMinute", "admin:guesses", 5.0, 0.2)
_SAFE = ("GET", "HEAD", "OPTIONS")  # RFC 9110 9.2.1


class AdminUnauthorized(Unauthorized):
    """The admin token is missing or wrong, or the session is."""

    realm = "sluice-admin"
    words = "This needs the admin token (see the start line, or data/admin-token)."


class SessionOver(AdminUnauthorized):
    """The cookie is not valid (any more): the browser is told to forget it, or it would go on guessing with it."""


class Attempts:
    """Counts wrong guesses at ``credential`` by address (IPv6 by /64), which ``address`` tells of a request.

    ``now`` and ``sleep`` are in seconds.
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
        self._store = Memory(now, REMEMBERED)

    async def passes(self, request: Request, right: bool, guesses: int = 1) -> bool:
        """``right``, but what is wrong takes its time. Raises RateLimited after too many wrong ones.

        With a short token even the right one has to wait then: a guess is taken before it is judged and given back if
        it was right, so many at once win nothing. A long one cannot be guessed, and who knows it never waits for what
        others try from the same address.
        """
        if right and self._unguessable:
            return True
        guess = Cost(_GUESSES, key_of(self._address(request)), guesses)
        verdict = self._store.take((guess,), 0)
        if not verdict.admitted:
            raise RateLimited("login", "attempts", retry_after=max(1, ceil(verdict.retry_after)))
        if right:
            self._store.settle((Cost(_GUESSES, guess.key, -guess.amount),), (), 0)
            return True
        await self._sleep(FAILURE_SECS)
        return False


class Gate:
    """Asks for the admin's credential."""

    def __init__(self, credential: AdminCredential, attempts: Attempts) -> None:
        self._credential = credential
        self._attempts = attempts

    async def admit(self, request: Request) -> None:
        """Raises Unauthorized, RateLimited, and ClientFault (403) for what another site made the browser do."""
        tokens, session = all_presented(request.headers), session_of(request)
        found = None if session is None else self._credential.judge(session)
        right = any(map(self._credential.is_token, tokens))
        if tokens and (right or found != "valid"):
            if not await self._attempts.passes(request, right, guesses=len(tokens)):
                raise AdminUnauthorized
            return
        if session is None:
            raise AdminUnauthorized
        # A token that can be guessed could be guessed by signing with it, too. The session itself is no guess:
        # who has a valid one is not kept waiting by what others try from the same address.
        if found == "over" or not (found == "valid" or await self._attempts.passes(request, False)):
            raise SessionOver
        check_site(request)


def check_site(request: Request) -> None:
    """A browser adds the cookie whoever made it ask: changes must come from our own page. Raises ClientFault (403).

    SameSite knows sites, and all ports of a host are one site: hence Sec-Fetch-Site, and Origin for those without it.
    """
    if request.method in _SAFE:
        return
    origin = request.headers.get("Origin")
    foreign = origin is not None and origin.partition("://")[2].lower() != request.headers.get("Host", "").lower()
    if foreign or request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        raise ClientFault(
            "Changes by cookie are taken from the gateway's own pages only.", status=403, code="cross_site_request"
        )
