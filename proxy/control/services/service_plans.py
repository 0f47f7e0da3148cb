"""Changes of services as changes of entries. Pure: each plan gets the entries that it is checked against."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from proxy.control.services.bodies import (
    AddressBody,
    ServiceBody,
    merged,
    read_service_settings,
)
from proxy.control.services.faults import configured, unknown_address, unknown_service
from proxy.control.services.override_body import (
    with_address,
    with_weight,
    without_addresses,
    without_weights,
)
from proxy.control.services.preconditions import Preconditions
from proxy.errors import ClientFault
from proxy.services.entries import Entries, RoutingEntry
from proxy.services.store.base import EntryChange

_ONLY_OVERRIDES: Final = "Its weights can be changed, and its addresses drained."


class ServicePlans(Struct, frozen=True):
    """What a request makes of ``entries``. ``in_file``: names of the services of the configuration.

    All raise ClientFault: 404 for an unknown service, 409 for one of the file, 412 for a wrong ``If-Match``.
    """

    entries: Entries
    in_file: Collection[str]
    given: Preconditions = Preconditions()

    def version(self, name: str) -> int | None:
        """Of what the store has of a service; 0: of a service in the file without overrides; ``None``: unknown."""
        found = [each.version for each in (self._entry(name), self._override(name)) if each is not None]
        known = self._entry(name) is not None or name in self.in_file
        return max(found, default=0) if known else None

    # -- services -----------------------------------------------------------------------------------

    def create(self, body: ServiceBody) -> Sequence[EntryChange]:
        """A new service, or with the short form another address of one that was made with the API."""
        name, entry = body.name, self._entry(body.name)
        self.given.check(self.version(name))
        if name in self.in_file:
            raise configured("service", name, _ONLY_OVERRIDES)
        if entry is None:
            return [EntryChange("service", name, body.settings)]
        if not body.short:
            text = f"There is a service {name!r} already. Change it with PATCH, or replace it with PUT."
            raise ClientFault(text, status=409, param="name", code="service_exists")
        return self.add_address(name, body.settings["addresses"][0])

    def replace(self, name: str, settings: Mapping[str, Any]) -> Sequence[EntryChange]:
        """All settings of a service, which may be new. Weights among them go before what was set earlier."""
        entry = self._changeable(name, new=True)
        change = EntryChange("service", name, settings)
        return [change] if entry is None else [change, *self._forget_weights(name, settings)]

    def patch(self, name: str, patch: Mapping[str, Any]) -> Sequence[EntryChange]:
        entry = self._existing(name)
        settings = read_service_settings(name, merged(entry.body, patch))
        return [EntryChange("service", name, settings), *self._forget_weights(name, patch)]

    def delete(self, name: str, used_by: Collection[str]) -> Sequence[EntryChange]:
        """The service with what was set of it. ``used_by``: ids of the routes that lead to it, if that counts."""
        self._existing(name)
        if used_by:
            text = f"Routes lead to this service: {', '.join(sorted(used_by))}. Delete them first, or add ?force=true."
            raise ClientFault(text, status=409, code="service_in_use")
        return [EntryChange("service", name, None), EntryChange("override", name, None)]

    # -- addresses ----------------------------------------------------------------------------------

    def add_address(self, name: str, address: Mapping[str, Any]) -> Sequence[EntryChange]:
        """An address, in place of the one with the same URL if there is one."""
        entry = self._existing(name)
        listed, url = _listed(entry), address["url"]
        found = [address if each["url"] == url else each for each in listed]
        if all(each["url"] != url for each in listed):
            found.append(dict(address))
        change = EntryChange("service", name, {**entry.body, "addresses": found})
        return [change, *self._overridden(name, without_weights(self._override_body(name), [url]))]

    def change_address(self, name: str, url: str, change: AddressBody, known: bool) -> Sequence[EntryChange]:
        """``known``: the service has the address now, wherever it comes from."""
        version = self.version(name)
        if version is None:
            raise unknown_service(name)
        self.given.check(version)
        entry = self._entry(name)
        listed = [] if entry is None else _listed(entry)
        own = any(each["url"] == url for each in listed)
        if not (known or own):
            raise unknown_address(name, url)
        changes: list[EntryChange] = []
        if change.others:
            if entry is None or not own:
                text = "Only weight and drained can be changed of an address that was not added with this API."
                raise ClientFault(text, status=409, param=next(iter(change.others)), code="configured_address")
            found = [merged(each, change.others) if each["url"] == url else each for each in listed]
            changes.append(EntryChange("service", name, {**entry.body, "addresses": found}))
        body = with_address(self._override_body(name), url, change.weight, change.drained)
        return [*changes, *self._overridden(name, body)]

    def delete_address(self, name: str, url: str, source: str) -> Sequence[EntryChange]:
        """``source``: where the service has the address from now; ``""``: it has no such address."""
        entry = self._existing(name)
        kept = [each for each in _listed(entry) if each["url"] != url]
        if len(kept) == len(_listed(entry)):
            if not source:
                raise unknown_address(name, url)
            text = f"This address comes from {source}. Drain it instead, with PATCH and drained: true."
            raise ClientFault(text, status=409, param="url", code="discovered_address")
        change = EntryChange("service", name, {**entry.body, "addresses": kept})
        return [change, *self._overridden(name, without_addresses(self._override_body(name), [url]))]

    def set_weight(self, name: str, url: str, weight: float | None, most: int) -> Sequence[EntryChange]:
        """Of a service, or of one address (``url``). It is kept for a name that is not there yet; ``most``: names."""
        override = self._override(name)
        self.given.check(self.version(name) if override is None else max(self.version(name) or 0, override.version))
        if override is None and len(self.entries.of_kind("override")) >= most:
            text = f"There may be weights for at most {most} services (discovery.mostServices)."
            raise ClientFault(text, status=409, code="too_many_services")
        body = self._override_body(name)
        return self._overridden(name, with_address(body, url, weight) if url else with_weight(body, weight))

    # -- parts --------------------------------------------------------------------------------------

    def _entry(self, name: str) -> RoutingEntry | None:
        return self.entries.get("service", name)

    def _override(self, name: str) -> RoutingEntry | None:
        return self.entries.get("override", name)

    def _override_body(self, name: str) -> Mapping[str, Any]:
        found = self._override(name)
        return {} if found is None else found.body

    def _changeable(self, name: str, *, new: bool = False) -> RoutingEntry | None:
        if name in self.in_file:
            raise configured("service", name, _ONLY_OVERRIDES)
        entry = self._entry(name)
        if entry is None and not new:
            raise unknown_service(name)
        self.given.check(self.version(name))
        return entry

    def _existing(self, name: str) -> RoutingEntry:
        entry = self._changeable(name)
        assert entry is not None
        return entry

    def _overridden(self, name: str, body: Mapping[str, Any]) -> Sequence[EntryChange]:
        """The change of the override, unless there is none."""
        if body == self._override_body(name):
            return []
        return [EntryChange("override", name, body or None)]

    def _forget_weights(self, name: str, given: Mapping[str, Any]) -> Sequence[EntryChange]:
        """What is given now goes before what was set earlier."""
        body = dict(self._override_body(name))
        if "weight" in given:
            body = with_weight(body, None)
        listed = given.get("addresses") or ()
        urls = [each if isinstance(each, str) else each["url"] for each in listed]
        return self._overridden(name, without_weights(body, urls))


def _listed(entry: RoutingEntry) -> Sequence[Mapping[str, Any]]:
    found: Sequence[Mapping[str, Any]] = entry.body.get("addresses", ())
    return found
