"""What the files and the store define together, with what is wrong in the store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from msgspec import Struct

from proxy.config.mistakes import quoted
from proxy.config.own_paths import OwnPaths
from proxy.config.schema import Config
from proxy.config.service_schema import RouteSettings, ServiceOverride, ServiceSettings
from proxy.config.service_sections import own_path, unusable_scopes
from proxy.errors import ConfigError
from proxy.services.entries import Entries, EntryKey, RoutingEntry
from proxy.services.route_ids import with_ids
from proxy.services.specs import read_override, read_route, read_service
from proxy.services.table.route import Definer, Order

_FILE: Final = "is configured in the file, so it can be changed only there"


class DefinedService(Struct, frozen=True):
    settings: ServiceSettings
    definer: Definer


class DefinedRoute(Struct, frozen=True):
    settings: RouteSettings
    definer: Definer
    order: Order


Defined = DefinedService | DefinedRoute | ServiceOverride


class FileDefinitions(Struct, frozen=True):
    """What the files define. ``definer``: the store of what is defined at run time. ``auth_mode``: ``auth.mode``."""

    services: Mapping[str, DefinedService]
    routes: Mapping[str, DefinedRoute]
    definer: Definer
    auth_mode: str

    @staticmethod
    def of(config: Config) -> FileDefinitions:
        routes = with_ids(config.routes)
        return FileDefinitions(
            {name: DefinedService(each, "file") for name, each in config.services.items()},
            {each.id: DefinedRoute(each, "file", (number, each.id)) for number, each in enumerate(routes)},
            "consul" if config.discovery.store == "consul" else "api",
            config.auth.mode,
        )


class ReadEntry(Struct, frozen=True):
    """An entry that was read. ``defined``: ``None`` if it is wrong, except for a route that refuses all requests."""

    entry: RoutingEntry
    defined: Defined | None
    mistakes: tuple[str, ...] = ()


class Definitions(Struct, frozen=True):
    """``services`` by name, ``routes`` by id, ``overrides`` by the name of the service.

    What is wrong in the store is left out: ``mistakes`` has the lines for each such entry. But a route is kept whose
    scopes no client can have: without it, another route could admit its requests. ``parsed`` spares the next set of
    entries the work for those that did not change; what is unchanged is the same object there.
    """

    services: Mapping[str, DefinedService]
    routes: Mapping[str, DefinedRoute]
    overrides: Mapping[str, ServiceOverride]
    mistakes: Mapping[EntryKey, tuple[str, ...]] = {}
    parsed: Mapping[EntryKey, ReadEntry] = {}


NOTHING: Final = Definitions({}, {}, {})
LAST: Final = 1 << 30  # order of routes of the store: after those of the files


def definitions(files: FileDefinitions, entries: Entries, own: OwnPaths, before: Definitions = NOTHING) -> Definitions:
    """All definitions. ``own``: paths that no route may have. ``before``: those of an earlier set."""
    services, routes = dict(files.services), dict(files.routes)
    overrides: dict[str, ServiceOverride] = {}
    parsed: dict[EntryKey, ReadEntry] = {}
    mistakes: dict[EntryKey, tuple[str, ...]] = {}
    for key, entry in entries.by_key.items():
        found = parsed[key] = _parsed(entry, before.parsed.get(key), files, own)
        defined, wrong, name = found.defined, found.mistakes, entry.name
        if isinstance(defined, ServiceOverride):
            overrides[name] = defined
        elif name in (files.services if entry.kind == "service" else files.routes):
            wrong = (f"{entry.kind} {quoted(name)} {_FILE}",)
        elif isinstance(defined, DefinedService):
            services[name] = defined
        elif defined is not None:
            routes[name] = defined
        if wrong:
            mistakes[key] = wrong
    return Definitions(services, routes, overrides, mistakes, parsed)


def new_mistakes(found: Definitions, before: Definitions) -> Iterator[tuple[EntryKey, str]]:
    """Lines about entries that were not wrong before: others must not keep a change from being stored."""
    for key, lines in found.mistakes.items():
        if before.mistakes.get(key) != lines:
            yield from ((key, line) for line in lines)


def _parsed(entry: RoutingEntry, before: ReadEntry | None, files: FileDefinitions, own: OwnPaths) -> ReadEntry:
    if before is not None:
        old = before.entry
        if old is entry or (old.version == entry.version != 0) or old.body == entry.body:
            return before
    try:
        defined = _read(entry, files.definer, own)
    except ConfigError as error:
        return ReadEntry(entry, None, tuple(error.mistakes))
    mistake = unusable_scopes(defined.settings, files.auth_mode) if isinstance(defined, DefinedRoute) else ""
    return ReadEntry(entry, defined, (mistake,) if mistake else ())


def _read(entry: RoutingEntry, definer: Definer, own: OwnPaths) -> Defined:
    if entry.kind == "service":
        return DefinedService(read_service(entry.body), definer)
    if entry.kind == "override":
        return read_override(entry.body)
    route = read_route(entry.body)
    if mistake := own_path(route, own):
        raise ConfigError([mistake])
    return DefinedRoute(route, definer, (LAST, entry.name))
