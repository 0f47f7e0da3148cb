"""Reloading the configuration when files or the URL change."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Protocol

from proxy.config.checks import is_url
from proxy.config.loader import Loaded, bare
from proxy.config.remote import FetchFailed
from proxy.config.schema import Config
from proxy.config.source import Source
from proxy.config.watch import FileWatch
from proxy.errors import ConfigError

POLL_SECS = 1.0
NEWS = "the list of models has changed"
NEW_PRICES = "the prices have changed"


class Runner(Protocol):
    """Applies configurations."""

    async def take(self, loaded: Loaded, why: str) -> None:
        """Apply a configuration. Raises ``ConfigError``, and then changes nothing."""

    def keep(self, why: str, mistakes: list[str]) -> None:
        """Report a configuration with mistakes, one line each. The present one stays."""

    def notice(self, line: str) -> None:
        """Report a notice without a change."""


class Follow:
    """Reloads when it is woken, when a file has changed, and when the model list or the prices are due.

    ``config`` is the present configuration. Files are checked every ``POLL_SECS``.
    """

    def __init__(self, source: Source, runner: Runner, config: Config) -> None:
        self._source = source
        self._runner = runner
        self._config = config
        self._told: list[str] = []
        self._prices_told = ""
        self._woken = asyncio.Event()
        self._turn = asyncio.Lock()
        self._watch = FileWatch()
        self._refresh_at = 0.0
        self._prices_at = 0.0
        self.reloaded: Callable[[], None] = _nothing  # called after the reload that was woken last, or its failure

    def wake(self) -> None:
        """Reload soon, even if nothing has changed."""
        self._woken.set()

    async def run(self) -> None:
        """Run until canceled."""
        time = asyncio.get_running_loop().time
        self._plan_refresh()
        self._plan_prices()
        while True:
            try:
                async with asyncio.timeout(POLL_SECS):
                    await self._woken.wait()
            except TimeoutError:
                pass
            if self._woken.is_set():
                self._woken.clear()
                await self.reload("asked to")
                if not self._woken.is_set():
                    self.reloaded()
            elif changed := self._watch.changed(self._source.stamps):
                await self.reload(f"changed: {', '.join(map(str, changed))}")
            elif time() >= self._refresh_at:
                await self.refresh()
            elif time() >= self._prices_at:
                await self.refresh_prices()

    async def reload(self, why: str) -> bool:
        """Load and apply everything; whether that succeeded."""
        async with self._turn:
            return await self._guard(self._load(why), why)

    async def refresh(self) -> bool:
        """Fetch the model list, and apply it if it has changed; whether it was applied."""
        async with self._turn:
            return await self._guard(self._load_news(), NEWS)

    async def refresh_prices(self) -> bool:
        """Fetch the prices, and apply them if they have changed; whether they were applied."""
        async with self._turn:
            try:
                return await self._guard(self._load_prices(), NEW_PRICES)
            finally:
                self._plan_prices()

    async def _load(self, why: str) -> bool:
        return await self._take(await self._source.load(), why)

    async def _load_news(self) -> bool:
        loaded = await self._source.refresh()
        if loaded is None:
            return False
        if loaded.config == self._config:
            self._tell(loaded.notices)
            return False
        return await self._take(loaded, NEWS)

    async def _load_prices(self) -> bool:
        try:
            loaded = await self._source.refresh_prices()
        except FetchFailed as failure:
            line = f"pricesUrl: {bare(self._config.prices_url)} {failure}; the former prices stay in use"
            if line != self._prices_told:
                self._runner.notice(line)
            self._prices_told = line
            return False
        self._prices_told = ""
        return loaded is not None and await self._take(loaded, NEW_PRICES)

    async def _take(self, loaded: Loaded, why: str) -> bool:
        await self._runner.take(loaded, why)
        former, self._config, self._told = self._config, loaded.config, loaded.notices
        if (former.prices_url, former.prices_refresh_secs) != (
            self._config.prices_url,
            self._config.prices_refresh_secs,
        ):
            self._plan_prices()
        return True

    async def _guard(self, loading: Awaitable[bool], why: str) -> bool:
        """The result of ``loading``; ``False`` after an error, which is reported."""
        try:
            return await loading
        except FetchFailed as failure:
            url = bare(self._config.models_file)
            self._tell([f"modelsFile: {url} {failure}; the last valid list stays in use"])
        except ConfigError as error:
            self._runner.keep(why, error.mistakes)
        except Exception as error:
            self._runner.keep(why, [f"unexpected {type(error).__name__}"])
        finally:
            self._plan_refresh()
        return False

    def _tell(self, notices: list[str]) -> None:
        """Once, and not every five minutes for as long as the URL is down."""
        for notice in notices:
            if notice not in self._told:
                self._runner.notice(notice)
        self._told = notices

    def _plan_refresh(self) -> None:
        config = self._config
        every = config.models_refresh_secs if is_url(config.models_file) else 0.0
        self._refresh_at = asyncio.get_running_loop().time() + every if every else math.inf

    def _plan_prices(self) -> None:
        every = self._config.prices_refresh_secs if self._config.prices_url else 0.0
        self._prices_at = asyncio.get_running_loop().time() + every if every else math.inf


def _nothing() -> None:
    pass
