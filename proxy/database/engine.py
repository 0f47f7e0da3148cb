"""One database: its connections, a time limit on every transaction, and its health."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from proxy.database import drivers
from proxy.database.address import Address
from proxy.database.health import DatabaseHealth, DatabaseState, Unreachable
from proxy.database.migrate import upgrade
from proxy.errors import ConfigError

T = TypeVar("T")

# Seconds in which a query of a canceled caller may end by itself. SQLAlchemy closes the connection of a canceled query
# in a task of its own, which never ends if aiosqlite's thread has stopped before: the process could not stop.
GRACE = 0.25
TIME_LIMIT = 2.0  # seconds, for a transaction from the wait for a connection to its commit

_CLOSED = "it was closed"


class Engine:
    """Connects at the first use, which also runs the missing migrations.

    ``keeps``: connections stay open between two uses. One to SQLite is a thread, which costs each token something.
    """

    def __init__(
        self, address: Address, health: DatabaseHealth, *, time_limit: float = TIME_LIMIT, keeps: bool = True
    ) -> None:
        self._address = address
        self._health = health
        self._time_limit = time_limit
        opened = drivers.open_pool if keeps else drivers.open_single
        self._reading = opened(address, time_limit)
        self._writing = self._reading.execution_options(**drivers.WRITING)
        self._failures: tuple[type[Exception], ...] = (*drivers.failures(address), ConfigError)
        self._current = False
        self._closed = False
        self._upgrade: asyncio.Task[None] | None = None
        self._running: set[asyncio.Task[Any]] = set()
        self._canceled: set[asyncio.Task[Any]] = set()

    @property
    def state(self) -> DatabaseState:
        return self._health.state

    async def ready(self) -> None:
        """Run the missing migrations now, without a time limit.

        Raises ConfigError if the tables belong to a newer version of the code. Raises Unreachable if the database
        cannot be reached; then the next use tries again.
        """
        try:
            await self._upgraded()
        except ConfigError:
            raise
        except self._failures as error:
            raise self._failed(error) from None

    async def read(self, work: Callable[[AsyncConnection], Awaitable[T]], time_limit: float = 0.0) -> T:
        """Run ``work`` in a transaction that only reads, and return its result. Raises Unreachable.

        ``time_limit`` (seconds): of this transaction, if it may take longer than others.
        """
        return await self._run(self._reading, work, max(time_limit, self._time_limit))

    async def write(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Run ``work`` in a transaction that writes, and commit. Raises Unreachable; it may still be committed."""
        return await self._run(self._writing, work, self._time_limit)

    async def close(self) -> None:
        """Let what runs end, but not for long; close every connection. What is run afterwards raises Unreachable."""
        self._closed = True
        running = set(self._running)
        if self._upgrade is not None and not self._upgrade.done():
            running.add(self._upgrade)
        if running:
            _, late = await asyncio.wait(running, timeout=GRACE)
            for task in late:
                self._abandon(task)
        while self._canceled:
            await asyncio.wait(self._canceled)
        await self._reading.dispose()

    async def _run(self, engine: AsyncEngine, work: Callable[[AsyncConnection], Awaitable[T]], time_limit: float) -> T:
        if self._closed:  # SQLAlchemy would open a connection that nobody closes
            raise Unreachable(_CLOSED)
        began = time.monotonic()
        try:
            result = await self._limited(self._transaction(engine, work), time_limit)
        except IntegrityError:  # the database answered
            raise
        except self._failures as error:
            raise self._failed(error) from None
        self._health.answered(time.monotonic() - began)
        return result

    async def _transaction(self, engine: AsyncEngine, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        await self._upgraded()
        async with engine.begin() as connection:
            return await work(connection)

    async def _limited(self, work: Coroutine[Any, Any, T], time_limit: float) -> T:
        # In a task of its own: a canceled query first closes its connection, which may take long.
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        try:
            await asyncio.wait((task,), timeout=time_limit)
        except asyncio.CancelledError:
            task.add_done_callback(_retrieve)
            asyncio.get_running_loop().call_later(GRACE, self._abandon_late, task)
            raise
        if not task.done():
            self._abandon(task)
        if task in self._canceled:
            raise TimeoutError(f"no answer within {time_limit:g} s")
        if task.cancelled():  # by ``close``
            raise Unreachable(_CLOSED)
        return task.result()

    async def _upgraded(self) -> None:
        if self._current:
            return
        if self._upgrade is None or self._upgrade.done():
            if self._closed:  # ``close`` has seen which tasks it waits for
                raise Unreachable(_CLOSED)
            self._upgrade = asyncio.get_running_loop().create_task(self._run_migrations())
            self._upgrade.add_done_callback(_retrieve)
        upgrade = self._upgrade
        await asyncio.wait((upgrade,))  # a caller that is canceled does not cancel it for the others
        if upgrade.cancelled():  # by ``close``
            raise Unreachable(_CLOSED)
        upgrade.result()

    async def _run_migrations(self) -> None:
        await upgrade(self._address)
        self._current = True

    def _abandon(self, task: asyncio.Task[Any]) -> None:
        """Cancel the task, once: it closes its connection then, and aiosqlite does not end if canceled meanwhile."""
        if task in self._canceled:
            return
        self._canceled.add(task)
        task.add_done_callback(self._canceled.discard)
        task.add_done_callback(_retrieve)
        task.cancel()

    def _abandon_late(self, task: asyncio.Task[Any]) -> None:
        if not task.done():
            self._abandon(task)

    def _failed(self, error: Exception) -> Unreachable:
        why = drivers.reason(error)
        self._health.failed(why)
        return Unreachable(why)


def _retrieve(task: asyncio.Task[Any]) -> None:
    """Mark the exception of a task that nothing awaits as seen, so that asyncio does not report it."""
    if not task.cancelled():
        task.exception()
