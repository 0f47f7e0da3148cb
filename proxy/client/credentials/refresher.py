"""Keeps issued credentials fresh: fetched in a thread, one fetch per source at a time, before the old one expires.

A credential belongs to its source, not to a catalog, so it survives a reload.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Final, Protocol

from proxy.client.credentials.base import CredentialFailed, IssuedCredential, UnsignedRequest
from proxy.errors import UpstreamAuthFailed
from proxy.providers.credential_source import CredentialSource

AHEAD: Final = 240.0  # seconds before its end at which a credential is renewed; at most half of its life
MARGIN: Final = 10.0  # seconds before its end at which a credential is no longer used
WAIT_SECS: Final = 15.0  # how long a request waits for a fetch
RETRY: Final = 5.0  # seconds after a failed fetch, doubled with each further one
LONGEST_RETRY: Final = 60.0
YOUNG: Final = 30.0  # seconds; a refused credential of this age would not be better if it were fetched again
SIGNED_AT_ONCE: Final = 256 * 1024  # bytes; the hash of a larger body would block the loop

_MODULES: Final = {"google": "proxy.client.credentials.google", "aws": "proxy.client.credentials.aws"}

# Gets a credential; blocks. Raises CredentialFailed.
Fetch = Callable[[CredentialSource, Mapping[str, str], float], IssuedCredential]


class WarnOperator(Protocol):
    """The log's warnings."""

    def __call__(self, event: str, /, **fields: object) -> None: ...


class CredentialRefresher:
    """The credentials of all sources. ``environ`` names proxies; ``wall`` returns Unix seconds.

    ``fetch`` replaces the modules of the issuers in tests.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        wall: Callable[[], float] = time.time,
        warn: WarnOperator | None = None,
        fetch: Fetch | None = None,
    ) -> None:
        self._environ = environ
        self._wall = wall
        self._warn = warn
        self._fetch = fetch or _fetch
        self._held: dict[CredentialSource, _Held] = {}

    async def lines(self, source: CredentialSource, request: UnsignedRequest) -> bytes:
        """The header lines that authenticate ``request``. Raises UpstreamAuthFailed."""
        credential = await self._credential(source)
        if source.signs and sum(map(len, request.body)) > SIGNED_AT_ONCE:
            return await asyncio.to_thread(credential.lines, request)
        return credential.lines(request)

    def refused(self, source: CredentialSource) -> None:
        """Forget a credential that a provider refused, unless it was just fetched."""
        held = self._held.get(source)
        if held is not None and self._wall() - held.fetched_at > YOUNG:
            held.credential = None

    def failure(self, source: CredentialSource) -> str:
        """Why the latest fetch failed; ``""``: it did not, or there was none."""
        held = self._held.get(source)
        return held.why if held is not None else ""

    def close(self) -> None:
        """Cancel running fetches."""
        for held in self._held.values():
            if held.task is not None:
                held.task.cancel()

    async def _credential(self, source: CredentialSource) -> IssuedCredential:
        held = self._held.get(source)
        if held is None:
            held = self._held[source] = _Held()
        now, found = self._wall(), held.credential
        if found is not None and now < found.expires_at - MARGIN:
            if held.task is None and now >= held.refresh_at:
                self._begin(source, held)
            return found
        if held.task is None and now < held.retry_at:
            raise _failure(held.why)
        await asyncio.wait((held.task or self._begin(source, held),), timeout=WAIT_SECS)
        found = held.credential
        if found is None or self._wall() >= found.expires_at:
            raise _failure(held.why or f"no credential was issued within {WAIT_SECS:g} s")
        return found

    def _begin(self, source: CredentialSource, held: _Held) -> asyncio.Task[None]:
        held.task = asyncio.create_task(self._run(source, held), name=f"credential {source!r}")
        return held.task

    async def _run(self, source: CredentialSource, held: _Held) -> None:
        try:
            found = await asyncio.to_thread(self._fetch, source, self._environ, self._wall())
        except Exception as error:  # anything that a file or a server can cause
            why = str(error) if isinstance(error, CredentialFailed) else f"{source.issuer}: {type(error).__name__}"
            self._failed(held, why)
        else:
            now = self._wall()
            if found.expires_at - now <= MARGIN:
                self._failed(held, f"{source.issuer}: the issued credential has expired; is the clock right?")
                return
            held.credential, held.fetched_at = found, now
            held.refresh_at = max(found.expires_at - min(AHEAD, (found.expires_at - now) / 2), now + RETRY)
            held.failures, held.retry_at, held.why = 0, 0.0, ""
        finally:
            held.task = None

    def _failed(self, held: _Held, why: str) -> None:
        if held.failures == 0 and self._warn is not None:
            self._warn("A provider's credential cannot be fetched.", why=why)
        delay = min(RETRY * 2**held.failures, LONGEST_RETRY)
        held.failures += 1
        held.why = why
        held.retry_at = held.refresh_at = self._wall() + delay


class _Held:
    """What is known of one source. Times are Unix seconds; ``failures`` in a row."""

    __slots__ = ("credential", "failures", "fetched_at", "refresh_at", "retry_at", "task", "why")

    def __init__(self) -> None:
        self.credential: IssuedCredential | None = None
        self.fetched_at = 0.0
        self.refresh_at = 0.0  # when to fetch the next one
        self.retry_at = 0.0  # no fetch before, after a failed one
        self.failures = 0
        self.why = ""
        self.task: asyncio.Task[None] | None = None


def _failure(why: str) -> UpstreamAuthFailed:
    return UpstreamAuthFailed("The gateway has no credential for the provider.", detail=why)


def _fetch(source: CredentialSource, environ: Mapping[str, str], now: float) -> IssuedCredential:
    """Call the module of the issuer. Its package takes a quarter of a second to import."""
    found: IssuedCredential = import_module(_MODULES[source.issuer]).fetch(source.settings, environ, now)
    return found
