"""Entry points for modules that must not import SQLAlchemy (15 MB, 0.3 s) where no database is used."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from msgspec import structs

from proxy.config.schema import Database
from proxy.database.address import address_of, require
from proxy.database.health import DatabaseHealth, DatabaseState
from proxy.errors import ConfigError

if TYPE_CHECKING:
    from proxy.database.engine import Engine
    from proxy.database.migrate import Revisions


class LazyEngine:
    """The engine of the configured database, created when it is first needed.

    ``warn`` and ``info`` take one line each when the database stops answering and when it answers again. ``keeps``: see
    ``Engine``.
    """

    def __init__(
        self,
        settings: Database,
        data_dir: str | Path,
        warn: Callable[[str], object],
        info: Callable[[str], object],
        *,
        keeps: bool = True,
    ) -> None:
        self._settings = settings
        self._data_dir = data_dir
        self._health = DatabaseHealth(warn=warn, info=info)
        self._keeps = keeps
        self._engine: Engine | None = None

    @property
    def state(self) -> DatabaseState | None:
        """Whether the database answers; ``None``: it has not been needed yet."""
        return None if self._engine is None else self._health.state

    def get(self) -> Engine:
        """The engine. It connects at its first use. Raises ConfigError where a package is missing."""
        if self._engine is None:
            address = address_of(self._settings, self._data_dir)
            require(address)
            from proxy.database.engine import Engine

            self._engine = Engine(address, self._health, keeps=self._keeps)
        return self._engine

    async def close(self) -> None:
        """Close its connections. Nothing may be queried afterwards."""
        if self._engine is not None:
            await self._engine.close()


class Lines(Protocol):
    """``proxy.observe.log.Log``."""

    def warning(self, message: str, /) -> None: ...
    def info(self, message: str, /) -> None: ...


def open_reader(settings: Database, data_dir: str | Path, log: Lines) -> LazyEngine:
    """Where pages and analytics read, which is rare: the database of ``readUrl`` if there is one."""
    url = settings.read_url or settings.url
    return LazyEngine(structs.replace(settings, url=url), data_dir, log.warning, log.info, keeps=False)


async def compare(settings: Database, data_dir: str | Path, time_limit: float) -> Revisions | None:
    """The revision of the database and the one that the start would bring it to. Changes and makes nothing.

    ``None``: its SQLite file does not exist. ``time_limit`` (seconds) bounds the wait for a connection.
    Raises ConfigError, also where the database cannot be reached.
    """
    address = address_of(settings, data_dir)
    require(address)
    if address.kind == "sqlite" and not await asyncio.to_thread(Path(address.target).exists):
        return None
    from proxy.database import drivers, migrate

    try:
        return await migrate.compare(address, time_limit)
    except drivers.failures(address) as error:
        raise ConfigError([f"database: {address} cannot be used: {drivers.reason(error)}"]) from None


async def upgrade(settings: Database, data_dir: str | Path) -> Revisions:
    """Run the missing migrations, as ``sluice db upgrade`` does.

    Raises ConfigError, also where the database cannot be reached.
    """
    address = address_of(settings, data_dir)
    require(address)
    from proxy.database import drivers, migrate

    try:
        return await migrate.upgrade(address)
    except drivers.failures(address) as error:
        raise ConfigError([f"database: {address} cannot be used: {drivers.reason(error)}"]) from None
