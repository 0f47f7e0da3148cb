"""One database: its connections, a bound on every wait for it, and how it fares."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from proxy.database import drivers
from proxy.database.address import Address
from proxy.database.health import Health, State, Unreachable
from proxy.database.migrate import upgrade
from proxy.errors import ConfigError

T = TypeVar("T")

TIME_LIMIT = 2.0  # seconds, for a transaction from the wait for a connection to its commit


class Engine:
    """Nothing is opened before the first use, which also brings the tables up to date."""

    def __init__(self, address: Address, health: Health, *, time_limit: float = TIME_LIMIT) -> None:
        self._address = address
        self._health = health
        self._time_limit = time_limit
        self._reading = drivers.open_pool(address, time_limit)
        self._writing = self._reading.execution_options(**drivers.WRITING)
        self._failures: tuple[type[Exception], ...] = (*drivers.failures(address), ConfigError)
        self._current = False
        self._upgrade: asyncio.Task[None] | None = None
        self._leaving: set[asyncio.Task[Any]] = set()

    @property
    def state(self) -> State:
        return self._health.state

    async def ready(self) -> None:
        """Bring the tables up to date now, however long it takes.

        Raises ``ConfigError`` where they belong to a newer version of the code, ``Unreachable`` where that cannot
        be found out; then the first use after its return does it.
        """
        try:
            await self._upgraded()
        except ConfigError:
            raise
        except self._failures as error:
            raise self._failed(error) from None

    async def read(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """What ``work`` makes of a transaction in which it only reads. Raises ``Unreachable``."""
        return await self._run(self._reading, work)

    async def write(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """The same where it writes; committed at its end. Raises ``Unreachable``: then nobody knows whether it was."""
        return await self._run(self._writing, work)

    async def close(self) -> None:
        """Nothing is asked afterwards."""
        if self._upgrade is not None and not self._upgrade.done():
            self._leave(self._upgrade)
        while self._leaving:
            await asyncio.wait(self._leaving)
        await self._reading.dispose()

    async def _run(self, engine: AsyncEngine, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        began = time.monotonic()
        try:
            result = await self._limited(self._transaction(engine, work))
        except IntegrityError:  # an answer like any other
            raise
        except self._failures as error:
            raise self._failed(error) from None
        self._health.answered(time.monotonic() - began)
        return result

    async def _transaction(self, engine: AsyncEngine, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        await self._upgraded()
        async with engine.begin() as connection:
            return await work(connection)

    async def _limited(self, work: Coroutine[Any, Any, T]) -> T:
        # In a task of its own: a cancelled query closes its connection first, and may take long over it.
        task = asyncio.get_running_loop().create_task(work)
        try:
            await asyncio.wait((task,), timeout=self._time_limit)
        finally:
            if not task.done():
                self._leave(task)
        if task in self._leaving:
            raise TimeoutError(f"no answer within {self._time_limit:g} s")
        return task.result()

    async def _upgraded(self) -> None:
        if self._current:
            return
        if self._upgrade is None or self._upgrade.done():
            self._upgrade = asyncio.get_running_loop().create_task(self._bring_up())
            self._upgrade.add_done_callback(_heard)
        await asyncio.shield(self._upgrade)  # whoever gives up waiting does not stop it

    async def _bring_up(self) -> None:
        await upgrade(self._address)
        self._current = True

    def _leave(self, task: asyncio.Task[Any]) -> None:
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)
        task.add_done_callback(_heard)
        task.cancel()

    def _failed(self, error: Exception) -> Unreachable:
        why = drivers.reason(error)
        self._health.failed(why)
        return Unreachable(why)


def _heard(task: asyncio.Task[Any]) -> None:
    """Nobody waits for it any more; unheard, its failure would be complained of."""
    if not task.cancelled():
        task.exception()
