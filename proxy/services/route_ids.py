"""Identifiers of routes that were given none."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Final

from msgspec.structs import replace

from proxy.config.service_schema import RouteSettings

_OTHER: Final = re.compile(r"[^A-Za-z0-9_~-]+")
LONGEST: Final = 100  # characters, before a number


def made_id(route: RouteSettings, taken: Collection[str]) -> str:
    """An id from host, path and methods, such as ``api.v1.analyze``; with a number if it is ``taken``."""
    text = " ".join((route.host, route.path or route.pattern, *route.methods))
    base = _OTHER.sub(".", text).strip(".-~")[:LONGEST].rstrip(".") or "all"
    found, number = base, 2
    while found in taken:
        found, number = f"{base}.{number}", number + 1
    return found


def with_ids(routes: Iterable[RouteSettings]) -> list[RouteSettings]:
    """The routes of the file, each with an id."""
    listed = list(routes)
    taken = {each.id for each in listed if each.id}
    found = []
    for each in listed:
        if not each.id:
            each = replace(each, id=made_id(each, taken))
            taken.add(each.id)
        found.append(each)
    return found
