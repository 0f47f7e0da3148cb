"""Choosing the store of entries by configuration."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from proxy.config.schema import Config
from proxy.database.address import address_of
from proxy.services.store.database import DatabaseEntries
from proxy.services.store.memory import MemoryEntries
from proxy.services.store.sqlite_version import SqliteVersion

if TYPE_CHECKING:
    from proxy.database.opening import LazyEngine
    from proxy.services.store.base import EntryStore

_CONSUL: Final = "proxy.services.store.consul"


def open_entries(config: Config, database: LazyEngine) -> EntryStore:
    """Consul, the database, or without one the memory of this process. Connects to nothing yet."""
    if config.discovery.store == "consul":
        found: EntryStore = import_module(_CONSUL).open_entries(config.discovery)
        return found
    if not config.database.enabled:
        return MemoryEntries()
    address = address_of(config.database, config.data_dir)
    return DatabaseEntries(database, SqliteVersion(address.target) if address.kind == "sqlite" else None)
