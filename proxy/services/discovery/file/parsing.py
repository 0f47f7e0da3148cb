"""The services of a file, in any of the shapes that README.md lists. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from proxy.config import document
from proxy.config.mistakes import Mistakes, join, quoted, sort
from proxy.config.service_schema import ServerAddress
from proxy.errors import ConfigError
from proxy.services.discovery.file.instances import LISTS, InstanceReader

ANY: Final = ""  # the name of addresses without one: they are those of each service that names the file

FoundServices = Mapping[str, tuple[ServerAddress, ...]]


def parse(content: bytes, label: str) -> FoundServices:
    """Addresses by the name of their service. ``label`` names the file in mistakes. Raises ConfigError with all.

    A file without a byte is a mistake: writers that are cut off, or that have just begun, leave one.
    """
    mistakes = Mistakes()
    if not content.strip():
        mistakes.add(label, "", "is empty; for no services at all, write {}")
    top = document.parse(content, label, mistakes)
    found: dict[str, dict[str, ServerAddress]] = {}
    if top is not None:
        reader = InstanceReader(lambda path, text: mistakes.add(label, path, text))
        for name, address in _Services(reader).read(top):
            found.setdefault(name, {}).setdefault(address.url, address)
    if mistakes:
        raise ConfigError(mistakes)
    return {name: tuple(addresses.values()) for name, addresses in found.items()}


class _Services:
    """Each ``read...`` yields names with addresses."""

    def __init__(self, reader: InstanceReader) -> None:
        self._instances = reader
        self._refuse: Callable[[str, str], None] = reader.refuse

    def read(self, top: Mapping[Any, Any]) -> Iterator[tuple[str, ServerAddress]]:
        # Settings of an agent of Consul may be in the same file.
        definitions = [(key, top[key]) for key in ("service", "services") if key in top]
        for key, value in definitions:
            if isinstance(value, dict) and (key == "services" or not _is_definition(value)):
                yield from self._by_name(value, key)
            else:
                yield from self._listed(value, key)
        if "addresses" in top:
            yield from self._of(ANY, top["addresses"], "addresses")
        elif not definitions:
            yield from self._by_name(top, "")

    def _by_name(self, value: Mapping[Any, Any], path: str) -> Iterator[tuple[str, ServerAddress]]:
        for name, item in value.items():
            place = join(path, name)
            if isinstance(name, str):
                yield from self._of(name, item, place)
            else:
                self._refuse(place, "expected text as the name of a service; put it in quotes")

    def _listed(self, value: Any, path: str) -> Iterator[tuple[str, ServerAddress]]:
        """Definitions that have names, one or a list."""
        several = isinstance(value, list)
        for index, item in enumerate(value if several else [value]):
            place = f"{path}[{index}]" if several else path
            if not isinstance(item, dict):
                self._refuse(place, f"expected a mapping with a name, got {sort(item)}")
                continue
            keys = {str(key).lower(): key for key in item}
            key = keys.get("name", keys.get("service"))
            name = item[key] if key is not None else None
            if not isinstance(name, str) or not name:
                self._refuse(join(place, key or "name"), "is missing" if name is None else "expected text")
                continue
            rest = {each: value for each, value in item.items() if each != key}
            yield from self._of(name, rest, place)

    def _of(self, name: str, value: Any, path: str) -> Iterator[tuple[str, ServerAddress]]:
        """The addresses of one service: a list of them, one, or a mapping that has such a list."""
        if isinstance(value, dict):
            lists = [key for key in value if str(key).lower() in LISTS]
            for key in lists:
                yield from self._of(name, value[key], join(path, key))
            if lists:
                return
        if value is None:
            return  # everything below it is commented out
        several = isinstance(value, list)
        for index, item in enumerate(value if several else [value]):
            address = self._instances.read(item, f"{path}[{index}]" if several else path)
            if address is not None:
                yield name, address


def _is_definition(value: Mapping[Any, Any]) -> bool:
    """Whether a mapping is one service's own definition, and no mapping of services by name."""
    keys = {str(key).lower() for key in value}
    return "name" in keys or "port" in keys


def missing(found: FoundServices, service: str) -> str:
    """That a file has no such service, and which ones it has."""
    names = ", ".join(map(quoted, sorted(found)[:10])) or "none"
    return f"has no service {quoted(service)} (it has: {names}{', ...' if len(found) > 10 else ''})"
