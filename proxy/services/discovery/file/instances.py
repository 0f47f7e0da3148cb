"""One address of a service in a file: a text, or a mapping as Consul and others write it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any, Final

from proxy.config.checks import base_url
from proxy.config.mistakes import join, quoted, sort
from proxy.config.service_schema import ServerAddress

LISTS: Final = ("addresses", "instances", "servers", "endpoints", "backends", "nodes", "hosts", "urls")
_HOSTS: Final = ("address", "host", "ip", "hostname")
_SETTINGS: Final = ("weight", "priority", "region", "scheme")  # also as tags and in meta
_KNOWN: Final = ("url", *_HOSTS, "port", "path", *_SETTINGS, "tags", "meta", "weights", "check", "checks", "id")
_LOCAL: Final = "127.0.0.1"  # Consul's definitions without an address are of the agent's own machine
_SCHEMES: Final = ("http", "https")
CLOSE: Final = 0.8  # so that only typing errors are mistakes: definitions have many keys that say nothing here
MOST_WEIGHT: Final = 1_000_000
MOST_PRIORITY: Final = 100


class InstanceReader:
    """``refuse`` gets the path and the text of each mistake. Keys may be written as Consul's API does: ``Address``."""

    def __init__(self, refuse: Callable[[str, str], None]) -> None:
        self.refuse = refuse

    def read(self, value: Any, path: str) -> ServerAddress | None:
        """``None`` after a mistake."""
        if isinstance(value, str):
            url = self._url(value, None, "http", "", path)
            return None if url is None else ServerAddress(url)
        if isinstance(value, dict):
            return self._mapping(value, path)
        self.refuse(path, f"expected an address such as http://10.0.0.1:8080, got {sort(value)}")
        return None

    def _mapping(self, value: Mapping[Any, Any], path: str) -> ServerAddress | None:
        found = {str(key).lower(): item for key, item in value.items() if item is not None}
        written = {str(key).lower(): join(path, key) for key in value}
        for key in found:
            if key not in _KNOWN and (meant := get_close_matches(key, _KNOWN, 1, CLOSE)):
                self.refuse(path, f"unknown key {quoted(key)}; did you mean {quoted(meant[0])}?")
        settings, places = self._settings(found, written, path)
        scheme = settings.get("scheme", "http")
        if scheme not in _SCHEMES:
            self.refuse(places["scheme"], 'expected "http" or "https"')
            scheme = "http"
        weight = self._number(settings.get("weight", 1), MOST_WEIGHT, places.get("weight", path))
        priority = self._number(settings.get("priority", 0), MOST_PRIORITY, places.get("priority", path))
        region = settings.get("region", "")
        if not isinstance(region, str):
            self.refuse(places["region"], f"expected text, got {sort(region)}")
            region = ""
        if not float(priority).is_integer():
            self.refuse(places["priority"], "expected a whole number")
        url = self._place(found, written, scheme, path)
        return None if url is None else ServerAddress(url, float(weight), int(priority), region)

    def _settings(
        self, found: Mapping[str, Any], written: Mapping[str, str], path: str
    ) -> tuple[dict[str, Any], dict[str, str]]:
        """Weight and others, and where each is written: keys go before meta, and meta before tags."""
        settings: dict[str, Any] = {}
        places: dict[str, str] = {}
        tags, meta, weights = found.get("tags", []), found.get("meta", {}), found.get("weights", {})
        if isinstance(tags, str):
            tags = [each.strip() for each in tags.split(",")]
        if not isinstance(tags, list) or not all(isinstance(each, str) for each in tags):
            self.refuse(written["tags"], "expected a list of texts")
            tags = []
        for key, kind in (("meta", meta), ("weights", weights)):
            if not isinstance(kind, dict):
                self.refuse(written[key], f"expected a mapping, got {sort(kind)}")
        pairs = [(*each.partition("=")[::2], written["tags"]) for each in tags if "=" in each]
        if isinstance(meta, dict):
            pairs += [(str(key), item, join(written["meta"], key)) for key, item in meta.items()]
        if isinstance(weights, dict) and "passing" in (plain := {str(key).lower(): key for key in weights}):
            key = plain["passing"]
            pairs.append(("weight", weights[key], join(written["weights"], key)))
        pairs += [(key, found[key], written[key]) for key in _SETTINGS if key in found]
        for name, item, place in pairs:
            if name.lower() in _SETTINGS:
                settings[name.lower()], places[name.lower()] = item, place
        return settings, places

    def _place(self, found: Mapping[str, Any], written: Mapping[str, str], scheme: str, path: str) -> str | None:
        given = [key for key in ("url", *_HOSTS) if found.get(key) not in (None, "")]
        if len(given) > 1:
            self.refuse(path, f"only one of {' and '.join(given)} may be set")
            return None
        if not given and "port" not in found:
            self.refuse(path, "has no address: set url, or address and port")
            return None
        place = written[given[0]] if given else written["port"]
        text = found[given[0]] if given else _LOCAL
        if not isinstance(text, str):
            self.refuse(place, f"expected text, got {sort(text)}")
            return None
        port = found.get("port")
        if port is not None and not _is_port(port):
            self.refuse(written["port"], "expected a port from 1 to 65535")
            return None
        suffix = found.get("path", "")
        if not isinstance(suffix, str) or (suffix and not suffix.startswith("/")):
            self.refuse(written["path"], "expected a path that begins with a slash")
            return None
        return self._url(text, None if port is None else int(port), scheme, suffix, place)

    def _url(self, text: str, port: int | None, scheme: str, path: str, place: str) -> str | None:
        """The URL of a URL, of ``host:port`` or of a host."""
        if "://" not in text:
            bare = text.count(":") > 1 and not text.startswith("[")  # an IPv6 address without brackets
            text = f"{scheme}://{f'[{text}]' if bare else text}{'' if port is None else f':{port}'}"
        elif port is not None:
            self.refuse(place, "is a URL, so that the port belongs into it")
            return None
        try:
            return base_url(text + path)
        except ValueError as error:
            self.refuse(place, str(error))
            return None

    def _number(self, value: Any, most: int, place: str) -> float:
        try:
            number = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not 0 <= number <= most:
            self.refuse(place, f"expected a number from 0 to {most}")
            return 0.0
        return number


def _is_port(value: Any) -> bool:
    text = str(value)
    return not isinstance(value, bool) and text.isascii() and text.isdigit() and 1 <= int(text) <= 65535
