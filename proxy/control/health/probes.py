"""Active probes: request the model list of each provider at an interval, if enabled.

Results are shown in /health/detailed only. Circuit breakers depend on the requests of clients alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final

from proxy.client.get_models import ModelsRequest
from proxy.config.observe_schema import ProbeSettings
from proxy.control.clock import WallClock, milliseconds
from proxy.control.health.views import ProbeView
from proxy.control.live import LiveConfig
from proxy.errors import UpstreamAuthFailed
from proxy.providers.keys import Key
from proxy.providers.provider import Site

if TYPE_CHECKING:
    from aiohttp import ClientSession

MAX_CONCURRENT: Final = 8
# A provider that rejects our key or account serves no request; a list of models need not exist.
_REJECTED: Final = (401, 402, 403)


class ProviderProbes:
    """``adopt`` after each load of the configuration, ``close`` at the end."""

    def __init__(
        self,
        live: LiveConfig,
        request: ModelsRequest,
        clock: WallClock,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._live = live
        self._request = request
        self._clock = clock
        self._sleep = sleep
        self._settings = ProbeSettings()
        self._results: dict[str, list[ProbeView]] = {}
        self._task: asyncio.Task[None] | None = None

    def of(self, provider: str) -> Sequence[ProbeView]:
        """The latest result for each address of a provider, in their order; empty before the first round."""
        return self._results.get(provider, ())

    def adopt(self, settings: ProbeSettings) -> None:
        """Start, restart or stop probing."""
        if settings == self._settings:
            return
        self._settings = settings
        self.close()
        if settings.enabled:
            self._task = asyncio.create_task(self._run(), name="probes of providers")
        else:
            self._results = {}

    def close(self) -> None:
        """Stop, also during a round."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self) -> None:
        while True:
            async with self._request.session(self._settings.timeout_secs) as session:
                await self.round(session)
            await self._sleep(self._settings.every_secs)

    async def round(self, session: ClientSession) -> None:
        """Probe every address of every provider, a few at a time."""
        semaphore = asyncio.Semaphore(MAX_CONCURRENT)

        async def one(site: Site) -> ProbeView:
            async with semaphore:
                return await self._probe(session, site)

        providers = self._live.catalog.providers
        sites = [site for provider in providers.values() for site in provider.sites if site.address.present]
        results = await asyncio.gather(*map(one, sites))
        by_provider: dict[str, list[ProbeView]] = {name: [] for name in providers}
        for site, result in zip(sites, results, strict=True):
            by_provider[site.provider.name].append(result)
        self._results = by_provider

    async def _probe(self, session: ClientSession, site: Site) -> ProbeView:
        now = self._clock.now
        began = now()
        key = site.provider.keys.take(began)
        why = "every key is in cooldown" if key is None else await self._send(session, site, key)
        return ProbeView(
            at=self._clock.unix(began),
            status="down" if why else "up",
            latency_ms=milliseconds(now() - began),
            why=why,
        )

    async def _send(self, session: ClientSession, site: Site, key: Key) -> str:
        """Why the address counts as down, without the address; ``""``: it is up."""
        from aiohttp import ClientError

        try:
            async with self._request.send(session, site, key) as response:
                return _judge(response.status)
        except UpstreamAuthFailed as error:
            return error.detail
        except TimeoutError:
            return f"no answer within {self._settings.timeout_secs:g} s"
        except (ClientError, OSError, ValueError) as error:  # the message may contain the address
            return f"cannot be reached: {type(error).__name__}"


def _judge(status: int) -> str:
    if status in _REJECTED:
        return f"{'the key is' if status == 401 else 'we are'} refused (status {status})"
    return f"status {status}" if status >= 500 else ""
