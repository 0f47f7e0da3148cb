"""A JSON Web Key Set at a URL: fetched when needed, and kept if a later fetch fails."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from proxy.auth.keyset import KeySet, parse
from proxy.config.proxies import proxy_url
from proxy.config.remote import FetchFailed, bounded
from proxy.errors import GatewayError

if TYPE_CHECKING:
    from proxy.auth.publickey import PublicKey

MAX_BYTES = 256 * 1024
TIMEOUT_SECS = 5.0  # in total; a request may be waiting
PAUSE_SECS = 10.0  # between two fetches, however many unknown key IDs come
RETRY_SECS = 1.0  # the same until the first set was fetched


class Jwks:
    """Finds keys. Only requests with an unknown key ID wait, all for the same fetch."""

    def __init__(
        self,
        url: str,
        refresh_secs: float,
        fetch: Callable[[str], Awaitable[bytes]],
        *,
        now: Callable[[], float],
        warn: Callable[[str], None],
        info: Callable[[str], None],
    ) -> None:
        """``fetch`` raises ``FetchFailed``. ``refresh_secs`` 0: only unknown key IDs cause a fetch."""
        self._url = url
        self._refresh_secs = refresh_secs
        self._fetch = fetch
        self._now = now
        self._warn = warn
        self._info = info
        self._set: KeySet | None = None
        self._fetched_at = 0.0
        self._next_at = float("-inf")  # no fetch begins before
        self._task: asyncio.Task[None] | None = None
        self.failure = ""  # why the last fetch failed; "" if it did not

    async def find(self, kid: str | None, algorithm: str) -> PublicKey | None:
        """The key; ``None``: the set has no such key. Raises GatewayError (503) if no set was ever fetched."""
        found = self._find(kid, algorithm)
        if found is None:
            task = self._task or self._begin()
            if task is not None:
                # Unlike awaiting the task: a canceled request does not cancel it, nor does its end cancel requests.
                await asyncio.wait({task})
            found = self._find(kid, algorithm)
        elif self._refresh_secs and self._now() >= self._fetched_at + self._refresh_secs:
            self._begin()
        if self._set is None:
            raise GatewayError(
                "Tokens cannot be verified: the key set is unavailable. Try again later.",
                status=503,
                code="token_keys_unavailable",
                retry_after=1,
                detail=f"auth.jwt.jwksUrl {self.failure}",
            )
        return found

    async def close(self) -> None:
        """Cancel a running fetch."""
        task = self._task
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def _find(self, kid: str | None, algorithm: str) -> PublicKey | None:
        return None if self._set is None else self._set.find(kid, algorithm)

    def _begin(self) -> asyncio.Task[None] | None:
        now = self._now()
        if self._task is not None or now < self._next_at:
            return None
        self._next_at = now + (RETRY_SECS if self._set is None else PAUSE_SECS)
        self._task = asyncio.create_task(self._refresh(), name="jwks")
        return self._task

    async def _refresh(self) -> None:
        try:
            self._renew(parse(await self._fetch(self._url)))
        except FetchFailed as error:
            self._keep(str(error))
        finally:
            self._task = None

    def _renew(self, found: KeySet) -> None:
        self._set = found
        self._fetched_at = now = self._now()
        self._next_at = max(self._next_at, now + PAUSE_SECS)
        if self.failure:
            self._info(f"auth.jwt.jwksUrl: {self._url} answers again")
        self.failure = ""

    def _keep(self, why: str) -> None:
        if not self.failure:
            what = "no token can be verified" if self._set is None else "the keys that were fetched before are kept"
            self._warn(f"auth.jwt.jwksUrl: {self._url} {why}; {what}")
        self.failure = why


async def fetch(url: str, environ: Mapping[str, str]) -> bytes:
    """The content at ``url``. Redirects are not followed: whoever controls one could replace the keys.

    ``environ`` names proxies, as for providers. Raises ``FetchFailed``.
    """
    from aiohttp import ClientError, ClientSession, ClientTimeout
    from yarl import URL

    here = URL(url, encoded=True)
    timeout = ClientTimeout(total=TIMEOUT_SECS)
    proxy = proxy_url(url, environ)
    try:
        async with (
            ClientSession(timeout=timeout, headers={"Accept": "application/json"}) as session,
            session.get(here, proxy=proxy, allow_redirects=False) as response,
        ):
            return await bounded(response, MAX_BYTES)
    except TimeoutError:
        raise FetchFailed(f"did not complete within {TIMEOUT_SECS:g} s") from None
    except (ClientError, ValueError) as error:  # its text may contain the response
        raise FetchFailed(f"cannot be fetched: {type(error).__name__}") from None
