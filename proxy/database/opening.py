"""The way in for those that must not load SQLAlchemy (15 MB, 0.3 s) where no database is used."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from proxy.config.schema import Database
from proxy.database.address import address_of, require
from proxy.database.health import Health
from proxy.errors import ConfigError

if TYPE_CHECKING:
    from proxy.database.keys import KeyTable
    from proxy.database.migrate import Revisions


def open_keys(settings: Database, data_dir: str | Path, health: Health) -> KeyTable:
    """The keys of a configuration's database, to which nothing connects yet.

    Raises ``ConfigError`` where a package is missing.
    """
    address = address_of(settings, data_dir)
    require(address)
    from proxy.database.engine import Engine
    from proxy.database.keys import KeyTable

    return KeyTable(Engine(address, health))


async def upgrade(settings: Database, data_dir: str | Path) -> Revisions:
    """Bring the tables up to date, as ``sluice db upgrade`` does. Raises ``ConfigError``, also where nobody answers."""
    address = address_of(settings, data_dir)
    require(address)
    from proxy.database import drivers, migrate

    try:
        return await migrate.upgrade(address)
    except drivers.failures(address) as error:
        raise ConfigError([f"database: {address} cannot be used: {drivers.reason(error)}"]) from None
