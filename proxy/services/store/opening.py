"""Choosing the store of entries by configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.config.schema import Config
from proxy.database.address import address_of
from proxy.services.store.database import DatabaseEntries
from proxy.services.store.memory import MemoryEntries
from proxy.services.store.sqlite_version import SqliteVersion

if TYPE_CHECKING:
    from proxy.consul.client import ConsulClient
    from proxy.database.opening import LazyEngine
    from proxy.services.store.base import EntryStore


def open_entries(config: Config, database: LazyEngine, consul: ConsulClient | None = None) -> EntryStore:
    """Consul if there is one, else the database, or without one the memory of this process. Connects to nothing."""
    if consul is not None:
        from proxy.services.store.consul import ConsulEntries

        return ConsulEntries(consul, config.discovery.consul.prefix)
    if not config.database.enabled:
        return MemoryEntries()
    address = address_of(config.database, config.data_dir)
    return DatabaseEntries(database, SqliteVersion(address.target) if address.kind == "sqlite" else None)
