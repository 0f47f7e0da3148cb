"""The stores that keep the contract. A new one is a line in ``KINDS`` and an opener."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final, TypeAlias

from proxy.config.schema import Database
from proxy.database.opening import LazyEngine
from proxy.services.store.base import EntryStore
from proxy.services.store.consul import ConsulEntries
from proxy.services.store.database import DatabaseEntries
from proxy.services.store.memory import MemoryEntries
from proxy.services.store.sqlite_version import SqliteVersion
from tests.consul.clients import client_of
from tests.database.databases import new_database
from tests.support.consul import FakeConsul

Opener: TypeAlias = Callable[[], Awaitable[EntryStore]]


@asynccontextmanager
async def opened(kind: str, folder: Path) -> AsyncIterator[Opener]:
    """A function that opens a replica's store. All that it opens have the same entries."""
    async with AsyncExitStack() as stack:
        yield await KINDS[kind](stack, folder)


async def _memory(stack: AsyncExitStack, folder: Path) -> Opener:
    store = MemoryEntries()

    async def make() -> EntryStore:
        return store

    return make


async def _sqlite(stack: AsyncExitStack, folder: Path) -> Opener:
    url = await stack.enter_async_context(new_database("sqlite", folder))

    async def make() -> EntryStore:
        return DatabaseEntries(_engine(stack, url, keeps=False), SqliteVersion(url.removeprefix("sqlite:///")))

    return make


async def _postgresql(stack: AsyncExitStack, folder: Path) -> Opener:
    url = await stack.enter_async_context(new_database("postgresql", folder))

    async def make() -> EntryStore:
        return DatabaseEntries(_engine(stack, url, keeps=True))

    return make


async def _consul(stack: AsyncExitStack, folder: Path) -> Opener:
    agent = await stack.enter_async_context(FakeConsul())

    async def make() -> EntryStore:
        return ConsulEntries(await stack.enter_async_context(client_of(agent)), "sluice/of test")

    return make


def _engine(stack: AsyncExitStack, url: str, *, keeps: bool) -> LazyEngine:
    engine = LazyEngine(Database(url=url), "", str, str, keeps=keeps)
    stack.push_async_callback(engine.close)
    return engine


KINDS: Final[dict[str, Callable[[AsyncExitStack, Path], Awaitable[Opener]]]] = {
    "memory": _memory,
    "sqlite": _sqlite,
    "postgresql": _postgresql,
    "consul": _consul,
}
