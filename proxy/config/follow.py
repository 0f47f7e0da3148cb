"""Keeps what runs at what the files and the URL say."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable
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


class Runner(Protocol):
    """Who runs on a configuration."""

    async def take(self, loaded: Loaded, why: str) -> None:
        """Put it in force. Raises ``ConfigError``; then nothing has changed."""

    def keep(self, why: str, mistakes: list[str]) -> None:
        """What there is to load cannot be used: one line each. What runs stays."""

    def notice(self, line: str) -> None:
        """Something worth knowing, while nothing changes."""


class Follow:
    """Loads when it is woken, when a file has changed, and when the list at the URL is due.

    ``config`` is what runs; files are looked at every ``POLL_SECS``.
    """

    def __init__(self, source: Source, runner: Runner, config: Config) -> None:
        self._source = source
        self._runner = runner
        self._config = config
        self._told: list[str] = []
        self._woken = asyncio.Event()
        self._turn = asyncio.Lock()
        self._watch = FileWatch()
        self._refresh_at = 0.0

    def wake(self) -> None:
        """Load again soon: the operator's wish, and so even if nothing seems to have changed."""
        self._woken.set()

    async def run(self) -> None:
        """Until it is cancelled."""
        time = asyncio.get_running_loop().time
        self._plan_refresh()
        while True:
            try:
                async with asyncio.timeout(POLL_SECS):
                    await self._woken.wait()
            except TimeoutError:
                pass
            if self._woken.is_set():
                self._woken.clear()
                await self.reload("asked to")
            elif changed := self._watch.changed(self._source.stamps):
                await self.reload(f"changed: {', '.join(map(str, changed))}")
            elif time() >= self._refresh_at:
                await self.refresh()

    async def reload(self, why: str) -> bool:
        """Load everything and put it in force. Whether that was possible."""
        async with self._turn:
            return await self._guard(self._load(why), why)

    async def refresh(self) -> bool:
        """Ask the URL, and load if it says anything new. Whether something else is in force now."""
        async with self._turn:
            return await self._guard(self._load_news(), NEWS)

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

    async def _take(self, loaded: Loaded, why: str) -> bool:
        await self._runner.take(loaded, why)
        self._config, self._told = loaded.config, loaded.notices
        return True

    async def _guard(self, loading: Awaitable[bool], why: str) -> bool:
        """What ``loading`` says; whatever it raises is told, and must not end the following."""
        try:
            return await loading
        except FetchFailed as failure:
            url = bare(self._config.models_file)
            self._tell([f"modelsFile: {url} {failure}; the last good list stays"])
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
