"""Changes of routes as changes of entries. Pure: each plan gets the entries that it is checked against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from proxy.config.service_schema import RouteSettings
from proxy.control.services.bodies import RouteBody, is_masked, merged, read_route_settings, unmasked
from proxy.control.services.faults import configured, unknown_route
from proxy.control.services.preconditions import Preconditions
from proxy.errors import ClientFault
from proxy.services.entries import Entries, RoutingEntry
from proxy.services.route_ids import made_id
from proxy.services.specs import plain, read_route
from proxy.services.store.base import EntryChange


class RoutePlans(Struct, frozen=True):
    """What a request makes of ``entries``. ``in_file``: the routes of the configuration by id. ``most``: routes.

    All raise ClientFault: 404 for an unknown route, 409 for one of the file or for requests that another route takes,
    412 for a wrong ``If-Match``.
    """

    entries: Entries
    in_file: Mapping[str, RouteSettings]
    most: int
    given: Preconditions = Preconditions()

    def version(self, id_: str) -> int | None:
        """0: of a route in the file; ``None``: unknown."""
        entry = self._entry(id_)
        return entry.version if entry is not None else 0 if id_ in self.in_file else None

    def create(self, body: RouteBody) -> EntryChange:
        """A new route. Without an id, a route for the same requests is replaced: else the new one would have none."""
        settings, taken = read_route(body.settings), self._same(body.settings)
        id_ = body.id or taken or made_id(settings, {*self.in_file, *self._ids()})
        self.given.check(self.version(id_))
        if id_ in self.in_file:
            raise configured("route", id_)
        if body.id and self._entry(id_) is not None:
            text = f"There is a route {id_!r} already. Change it with PATCH, or replace it with PUT."
            raise ClientFault(text, status=409, param="id", code="route_exists")
        return self._change(id_, body.settings)

    def replace(self, id_: str, settings: Mapping[str, Any]) -> EntryChange:
        """All settings of a route, which may be new."""
        entry = self._changeable(id_)
        return self._change(id_, settings if entry is None else unmasked(settings, entry.body))

    def patch(self, id_: str, patch: Mapping[str, Any]) -> EntryChange:
        entry = self._existing(id_)
        return self._change(id_, read_route_settings(id_, unmasked(merged(entry.body, patch), entry.body)))

    def delete(self, id_: str) -> EntryChange:
        self._existing(id_)
        return EntryChange("route", id_, None)

    def _entry(self, id_: str) -> RoutingEntry | None:
        return self.entries.get("route", id_)

    def _ids(self) -> Sequence[str]:
        return [each.name for each in self.entries.of_kind("route")]

    def _changeable(self, id_: str) -> RoutingEntry | None:
        if id_ in self.in_file:
            raise configured("route", id_)
        entry = self._entry(id_)
        self.given.check(None if entry is None else entry.version)
        return entry

    def _existing(self, id_: str) -> RoutingEntry:
        if id_ not in self.in_file and self._entry(id_) is None:
            raise unknown_route(id_)
        entry = self._changeable(id_)
        assert entry is not None
        return entry

    def _change(self, id_: str, settings: Mapping[str, Any]) -> EntryChange:
        other = self._same(settings, id_)
        if other:
            text = f"The route {other!r} is for the same requests, so this one would get none."
            raise ClientFault(text, status=409, code="route_conflict")
        if is_masked(settings):
            raise ClientFault("A value is masked (********): send the value itself.", code="invalid_parameters")
        if self._entry(id_) is None and len(self._ids()) >= self.most:
            text = f"There may be at most {self.most} routes (discovery.mostServices)."
            raise ClientFault(text, status=409, code="too_many_routes")
        return EntryChange("route", id_, settings)

    def _same(self, settings: Mapping[str, Any], but: str = "") -> str:
        """The id of another route with the same conditions; ``""``: there is none."""
        wanted = _conditions(settings)
        for id_, each in self.in_file.items():
            if id_ != but and _conditions(plain(each)) == wanted:
                return id_
        for entry in self.entries.of_kind("route"):
            if entry.name != but and _conditions(entry.body) == wanted:
                return entry.name
        return ""


def _conditions(route: Mapping[str, Any]) -> tuple[object, ...]:
    """What a request must be for a route, which is given as plain values."""
    headers = {name.lower(): value for name, value in route.get("headers", {}).items()}
    texts = (route.get(name, "") for name in ("host", "path", "pattern"))
    return *texts, frozenset(route.get("methods", ())), frozenset(headers.items())
