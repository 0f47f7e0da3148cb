"""Catalogs whose providers take their addresses from a service."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from proxy.addresses.book import AddressBook
from proxy.config.service_schema import ServerAddress, ServiceSettings
from proxy.routing.catalog import Catalog
from proxy.routing.lists import ModelLists
from proxy.routing.live import Registry
from tests.support.gateway import to_config

SERVICE = "llm"
PROVIDER: dict[str, Any] = {"baseUrl": f"service://{SERVICE}/v1"}


class Fleet:
    """A catalog that is compiled again at each ``set``, as the gateway does it."""

    def __init__(
        self,
        models: Sequence[str] = (),
        *,
        others: Sequence[dict[str, Any]] = (),
        provider: dict[str, Any] | None = None,
        region: str = "",
        **sections: Any,
    ) -> None:
        """``models``: configured ones; without any, the provider takes any model. ``others``: of other providers."""
        self.config = to_config(
            {
                "providers": {"fleet": PROVIDER | (provider or {})},
                "models": [{"name": name, "provider": "fleet"} for name in models] + [*others],
                "discovery": {"region": region},
            }
            | sections
        )
        self.book = AddressBook()
        self.registry = Registry.of(self.config.circuit_breaker)
        self.lists = ModelLists()
        self.catalog = self._compiled(None)

    def set(self, *addresses: ServerAddress | str, drained: Sequence[str] = ()) -> Catalog:
        """Replace the addresses of the service."""
        self.place(*addresses, drained=drained)
        return self.renew()

    def place(self, *addresses: ServerAddress | str, drained: Sequence[str] = ()) -> None:
        """The same, before the catalog is compiled again."""
        each = [ServerAddress(address) if isinstance(address, str) else address for address in addresses]
        self.book.put(SERVICE, ServiceSettings(), each, 0.0, drained)

    def prepare(self) -> int:
        """Prepare for the present addresses. Returns the number of portions."""
        return sum(1 for _ in self.catalog.prepare(self.book.group)) + 1

    def renew(self) -> Catalog:
        self.catalog = self._compiled(self.catalog)
        self.registry.retire(self.catalog.keys)
        return self.catalog

    def healthy(self, url: str, value: bool | None) -> Catalog:
        """What active checks say of an address."""
        for live in self.book.group(SERVICE).addresses:
            if live.url == url:
                self.book.note_health(live, value, 0.0)
        return self.renew()

    def list(self, url: str, *names: str, now: float = 0.0) -> Catalog:
        """The address lists these models."""
        for site in self.catalog.providers["fleet"].sites:
            if site.base_url == f"{url}/v1":
                self.lists.end(site, now, names)
        return self.renew()

    def _compiled(self, before: Catalog | None) -> Catalog:
        return Catalog(
            self.config,
            self.registry,
            version="1",
            created=0,
            lists=self.lists,
            groups=self.book.group,
            before=before,
        )
