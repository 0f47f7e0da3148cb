"""A service in force: settings, clocks, and where each of its addresses is reached."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from msgspec import Struct

from proxy.addresses.book import EMPTY, AddressBook
from proxy.addresses.live import LiveAddress
from proxy.client.dial import Origin
from proxy.config.service_schema import ServiceSettings
from proxy.config.timeouts import Clocks
from proxy.errors import ConnectFailed

if TYPE_CHECKING:
    from proxy.addresses.group import AddressGroup
    from proxy.services.table.route import Definer


class ServiceTarget(Struct, frozen=True):
    """Where an address is reached. ``authority``: value of ``Host``. ``path``: precedes that of each request."""

    origin: Origin
    authority: str
    path: str


class LiveService:
    """One service, until it changes; then another object takes its place. Its live addresses are in the book.

    ``clocks``: of each attempt; ``first_content`` is off, as an answer of any kind has no such event.
    ``weight``: its share of a split, after overrides. ``definer``: where it is defined.
    """

    __slots__ = ("_groups", "_targets", "clocks", "definer", "name", "settings", "weight")

    def __init__(
        self,
        name: str,
        settings: ServiceSettings,
        clocks: Clocks,
        definer: Definer,
        weight: float,
        book: AddressBook,
    ) -> None:
        self.name = name
        self.settings = settings
        self.clocks = clocks
        self.definer = definer
        self.weight = weight
        self._groups = book.groups
        self._targets: dict[
            str, ServiceTarget
        ] = {}  # by URL; filled by requests, as discovery may find a thousand at once

    def __repr__(self) -> str:
        return f"<LiveService {self.name} {self.group!r}>"

    @property
    def group(self) -> AddressGroup:
        """Its addresses now."""
        return self._groups.get(self.name, EMPTY)

    def target(self, address: LiveAddress) -> ServiceTarget:
        """Where ``address`` is reached. Raises ConnectFailed for a URL that is not usable."""
        found = self._targets.get(address.settings.url)
        return found if found is not None else self._resolved(address.settings.url)

    def _resolved(self, url: str) -> ServiceTarget:
        try:
            origin = Origin.of(url, self.settings.tls)
        except ValueError as error:
            raise ConnectFailed("The address of the service is not usable.", detail=f"{url}: {error}") from error
        if len(self._targets) > 2 * len(self.group.addresses):  # of addresses that left
            self._targets.clear()
        found = self._targets[url] = ServiceTarget(origin, origin.authority, urlsplit(url).path.rstrip("/"))
        return found
