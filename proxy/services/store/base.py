"""The face of all stores of entries.

All entries together have one version, which each change raises. A change is checked against the whole set, so it is
stored only if the set still has the version that it was checked against. Writers of several replicas thus lose nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct

from proxy.errors import GatewayError
from proxy.services.entries import Entries, Kind


class EntriesChanged(Exception):
    """Another writer was faster: load the entries, check the change again, and put it again."""


class EntriesDown(GatewayError):
    """The store does not answer."""

    status = 503
    code = "routing_store_unavailable"

    def __init__(self, detail: str = "") -> None:
        text = "The store of services and routes does not answer; try again in a moment."
        super().__init__(text, retry_after=1, detail=detail)


class EntryChange(Struct, frozen=True):
    """``body``: what the entry has from now on; ``None``: it is deleted."""

    kind: Kind
    name: str
    body: Mapping[str, Any] | None


class RoutingChange(Struct, frozen=True):
    """A change that was made. ``before`` ``None``: the entry is new; ``after`` ``None``: it was deleted.

    ``version``: of all entries with it. ``at``: Unix seconds. ``by``: who made it.
    """

    version: int
    kind: Kind
    name: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    at: float
    by: str


class EntryStore(Protocol):
    """All methods raise ``EntriesDown``. ``durable``: entries survive this process, and other replicas get them."""

    @property
    def durable(self) -> bool: ...

    async def load(self) -> Entries: ...

    async def version(self, known: int) -> int:
        """The version of all entries. A store that can wait does so, at most a minute, while it is ``known``."""

    async def put(self, changes: Sequence[EntryChange], by: str, expected: int) -> int:
        """Make all of ``changes`` or none, with a ``RoutingChange`` of each. Returns the new version.

        ``expected``: version of the entries that the changes were checked against. Raises ``EntriesChanged`` if there
        is another one. A change that deletes what is not there is left out.
        """

    async def changes(self, limit: int, before: int = 0) -> Sequence[RoutingChange]:
        """The last changes before the version ``before``, the last first; 0: the last of all."""
