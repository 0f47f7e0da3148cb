"""Entries: services, routes and overrides that were made at run time, as a store keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct

Kind = Literal["service", "route", "override"]
EntryKey = tuple[Kind, str]


class RoutingEntry(Struct, frozen=True):
    """One definition. ``body``: plain values as the admin API takes them (``specs.py``), without the name.

    ``name``: of the service, the route's id, or for an override the name of the service whose weights and drained
    marks it sets. ``version``: of the store, at the change that made it. ``changed_at``: Unix seconds.
    """

    kind: Kind
    name: str
    body: Mapping[str, Any]
    version: int = 0
    changed_at: float = 0.0
    changed_by: str = ""

    @property
    def key(self) -> EntryKey:
        return self.kind, self.name


class Entries(Struct, frozen=True):
    """All entries of a store at one version. Two sets with the same version are equal."""

    version: int = 0
    by_key: Mapping[EntryKey, RoutingEntry] = {}

    @staticmethod
    def of(version: int, entries: list[RoutingEntry]) -> Entries:
        return Entries(version, {each.key: each for each in entries})

    def get(self, kind: Kind, name: str) -> RoutingEntry | None:
        return self.by_key.get((kind, name))

    def of_kind(self, kind: Kind) -> list[RoutingEntry]:
        return [each for each in self.by_key.values() if each.kind == kind]

    def put(self, entry: RoutingEntry) -> Entries:
        """The set with ``entry`` added or replaced, at its version."""
        return Entries(max(self.version, entry.version), {**self.by_key, entry.key: entry})

    def without(self, kind: Kind, name: str, version: int = 0) -> Entries:
        """The set without one entry."""
        kept = {key: each for key, each in self.by_key.items() if key != (kind, name)}
        return Entries(max(self.version, version), kept)


NO_ENTRIES = Entries()
