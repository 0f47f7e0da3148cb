"""Asks providers for their models now and then, where that is wanted. It is told in /health/detailed, and nowhere else:
breakers go by the requests of clients."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from proxy.client.get_models import ModelsRequest
from proxy.config.provider_schema import Tls
from proxy.config.schema import ProbeSettings as Settings
from proxy.control.deployments.views import Clock
from proxy.control.health.views import ProbeView
from proxy.providers.keys import Key
from proxy.providers.provider import Provider, Site

if TYPE_CHECKING:
    from aiohttp import ClientSession

AT_ONCE: Final = 8
# A provider that refuses our key or our account serves nobody; a list of models need not exist.
_REFUSED: Final = (401, 402, 403)


class Probes:
    """``of`` tells what came of the last round; ``adopt`` after each (re)load, ``close`` at the end.

    ``providers`` are those in force, ``context`` makes a provider's TLS, ``environ`` names the proxy on the way.
    """

    def __init__(
        self,
        providers: Callable[[], Mapping[str, Provider]],
        context: Callable[[Tls], ssl.SSLContext],
        environ: Mapping[str, str],
        clock: Clock,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._providers = providers
        self._request = ModelsRequest(context, environ)
        self._clock = clock
        self._sleep = sleep
        self._settings = Settings()
        self._found: dict[str, list[ProbeView]] = {}
        self._task: asyncio.Task[None] | None = None

    def of(self, provider: str) -> Sequence[ProbeView]:
        """One for each of its addresses, in their order; none as long as none has answered."""
        return self._found.get(provider, ())

    def adopt(self, settings: Settings) -> None:
        if settings == self._settings:
            return
        self._settings = settings
        self.close()
        if settings.enabled:
            self._task = asyncio.create_task(self._run(), name="probes of providers")
        else:
            self._found = {}

    def close(self) -> None:
        """A round that runs is given up."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self) -> None:
        while True:
            async with self._request.session(self._settings.timeout_secs) as session:
                await self.round(session)
            await self._sleep(self._settings.every_secs)

    async def round(self, session: ClientSession) -> None:
        """Every address of every provider, some of them at once."""
        room = asyncio.Semaphore(AT_ONCE)

        async def one(site: Site) -> ProbeView:
            async with room:
                return await self._ask(session, site)

        providers = self._providers()
        sites = [site for provider in providers.values() for site in provider.sites]
        results = await asyncio.gather(*map(one, sites))
        found: dict[str, list[ProbeView]] = {name: [] for name in providers}
        for site, result in zip(sites, results, strict=True):
            found[site.provider.name].append(result)
        self._found = found

    async def _ask(self, session: ClientSession, site: Site) -> ProbeView:
        now = self._clock.now
        began = now()
        key = site.provider.keys.take(began)
        why = "every key rests" if key is None else await self._answered(session, site, key)
        return ProbeView(
            at=self._clock.told(began),
            status="down" if why else "up",
            latency_ms=round((now() - began) * 1000, 3),
            why=why,
        )

    async def _answered(self, session: ClientSession, site: Site, key: Key) -> str:
        """``""``, or why not, without the address."""
        from aiohttp import ClientError

        try:
            async with self._request.send(session, site, key) as response:
                return _judged(response.status)
        except TimeoutError:
            return f"no answer within {self._settings.timeout_secs:g} s"
        except (ClientError, OSError, ValueError) as error:  # its text may repeat the address
            return f"cannot be reached: {type(error).__name__}"


def _judged(status: int) -> str:
    if status in _REFUSED:
        return f"{'the key is' if status == 401 else 'we are'} refused (status {status})"
    return f"status {status}" if status >= 500 else ""
