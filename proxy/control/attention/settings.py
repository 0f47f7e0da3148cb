"""Troubles of the configuration: mistakes at a reload, changes that wait, and models that are left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from proxy.control.attention.trouble import Trouble
from proxy.control.live import LiveConfig, ReloadResult


class ConfigTroubles:
    """``reloaded`` after each reload. ``wall`` is the time in Unix seconds."""

    def __init__(self, live: LiveConfig, wall: Callable[[], float]) -> None:
        self._live = live
        self._wall = wall
        self._failed: ReloadResult | None = None
        self._failed_at = 0.0

    def reloaded(self, result: ReloadResult) -> None:
        self._failed = None if result.loaded else result
        self._failed_at = self._wall()

    async def find(self) -> list[Trouble]:
        return [*self._of_reload(), *self._of_left_out()]

    def _of_reload(self) -> Iterator[Trouble]:
        if self._failed is not None:
            first, *more = self._failed.mistakes or ["the log says why"]
            others = f" (and {len(more)} more)" if more else ""
            why = f"cannot be loaded again, the former one stays in force: {first}{others}"
            yield Trouble("warning", "config", "Configuration", why, since=round(self._failed_at, 3))
        if waiting := self._live.waiting:
            why = f"changes that take effect at the next start: {', '.join(waiting)}"
            yield Trouble("notice", "waiting", "Configuration", why, count=len(waiting))

    def _of_left_out(self) -> Iterator[Trouble]:
        counts = Counter((model.provider, model.absence) for model in self._live.left_out)
        for (provider, absence), count in counts.items():
            what = f"{count} model{'s' if count > 1 else ''} of {provider}"
            yield Trouble("notice", "left_out", what, f"the provider {absence}", count=count, provider=provider)
