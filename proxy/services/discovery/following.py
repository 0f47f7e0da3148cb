"""Following one source of one service, for as long as the service has it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Final

from proxy.errors import ConfigError
from proxy.services.discovery.backoff import delay
from proxy.services.discovery.base import AddressSource, Found, SourceState

_NEVER: Final = SourceState(up=False)


class FollowedSource:
    """One source of the service ``service``, which ``open_source`` makes. It never ends by itself.

    ``technology``: its name. ``wanted``: what is looked for; a source with another one is another source.
    """

    def __init__(
        self,
        service: str,
        technology: str,
        wanted: object,
        open_source: Callable[[], AddressSource],
        *,
        chance: Random,
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self.service = service
        self.technology = technology
        self.wanted = wanted
        self.was_up: bool | None = None  # when it was last reported
        self._open = open_source
        self._chance = chance
        self._sleep = sleep
        self._source: AddressSource | None = None
        self._error = ""  # while it waits to be followed again
        self._task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<FollowedSource {self.technology} of {self.service} {self.state}>"

    @property
    def state(self) -> SourceState:
        state = _NEVER if self._source is None else self._source.state
        return SourceState(up=False, at=state.at, error=self._error) if self._error else state

    def start(self, found: Found) -> None:
        self._task = asyncio.create_task(self._follow(found), name=f"{self.technology} of {self.service}")

    def stop(self) -> asyncio.Task[None]:
        """Cancel it; returns its task, which then ends."""
        assert self._task is not None
        self._task.cancel()
        return self._task

    async def _follow(self, found: Found) -> None:
        failures = 0
        while True:
            before = 0.0 if self._source is None else self._source.state.at
            why = await self._follow_once(found)
            # One that has answered meanwhile begins with short delays again.
            answered = self._source is not None and self._source.state.at > before
            failures = 1 if answered else failures + 1
            self._error = why
            await self._sleep(delay(failures, self._chance))
            self._error = ""

    async def _follow_once(self, found: Found) -> str:
        """Follow until that fails; returns why."""
        try:
            if self._source is None:
                self._source = self._open()
            await self._source.follow(found)
        except ConfigError as error:
            return "; ".join(error.mistakes)
        except Exception as error:  # of any kind: the service keeps its last addresses, and others are not affected
            return f"unexpected {type(error).__name__}: {error}"
        return "ended"
