"""The table of routes: which one a request takes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final
from urllib.parse import unquote

from msgspec import Struct

from proxy.errors import ClientFault
from proxy.routing.routes import DECODINGS, check_path
from proxy.services.table.route import ServiceRoute
from proxy.services.table.segments import plain_segments
from proxy.services.table.tree import SegmentTree

# Paths that need no check: no escapes, no empty segments, none that begins with a dot.
_is_plain: Final = re.compile(r"(?:/[A-Za-z0-9_~!$&'()*+,;=:@-][A-Za-z0-9._~!$&'()*+,;=:@-]*)*/?").fullmatch
_AMBIGUOUS: Final = "Invalid request path: its encoded slashes may lead to another route."


class RouteMatch(Struct, frozen=True, eq=False):
    """The route of a request. ``path``: goes on to the service, after the path of its address.

    ``fault``: why the request is refused: two servers could read its path differently.
    """

    route: ServiceRoute
    path: str
    fault: ClientFault | None = None


class RouteTable:
    """Never changes; a change of the routes makes another table.

    The host decides first: its own routes, then those of ``*.`` and the longest suffix, then those of any host. Then
    the path, then the number of other conditions, then the order.
    """

    __slots__ = ("_any", "_hosts", "_suffixes", "by_id")

    def __init__(self, routes: Iterable[ServiceRoute] = ()) -> None:
        self.by_id = {each.id: each for each in routes}
        by_host: dict[str, list[ServiceRoute]] = {}
        for each in self.by_id.values():
            by_host.setdefault(each.host, []).append(each)
        trees = {host: SegmentTree.of(found) for host, found in by_host.items()}
        self._any = trees.pop("", None)
        self._suffixes = {host[1:]: tree for host, tree in trees.items() if host.startswith("*.")}
        self._hosts = {host: tree for host, tree in trees.items() if not host.startswith("*.")}

    def __bool__(self) -> bool:
        return bool(self.by_id)

    def __iter__(self) -> Iterator[ServiceRoute]:
        return iter(self.by_id.values())

    def __len__(self) -> int:
        return len(self.by_id)

    def __repr__(self) -> str:
        return f"<RouteTable of {len(self.by_id)}>"

    def match(self, host: str, path: str, method: str, headers: Mapping[str, str]) -> RouteMatch | None:
        """The route of a request; ``None``: it has none. ``host``: the value of the header ``Host``."""
        if path[:1] != "/":
            return None
        route = self._find(host, plain_segments(path), method, headers)
        if route is None:
            return None
        fault = None if _is_plain(path) else self._fault(route, host, path, method, headers)
        return RouteMatch(route, route.target(path) if route.changes_path and fault is None else path, fault)

    def _find(self, host: str, segments: list[str], method: str, headers: Mapping[str, str]) -> ServiceRoute | None:
        if self._hosts or self._suffixes:
            for tree in self._trees(host):
                found = tree.find(segments, method, headers)
                if found is not None:
                    return found
        return self._any.find(segments, method, headers) if self._any is not None else None

    def _trees(self, host: str) -> Iterator[SegmentTree]:
        """The trees of one host, the most specific one first, without that of any host."""
        name = _name_of(host)
        if (own := self._hosts.get(name)) is not None:
            yield own
        if not self._suffixes:
            return
        dot = name.find(".")
        while dot >= 0:
            if (tree := self._suffixes.get(name[dot:])) is not None:
                yield tree
            dot = name.find(".", dot + 1)

    def _fault(
        self, route: ServiceRoute, host: str, path: str, method: str, headers: Mapping[str, str]
    ) -> ClientFault | None:
        """Why a path is refused that is not plain: other servers may resolve it in another way.

        One with encoded slashes is refused if they, read as slashes, lead to a route that asks for something else.
        """
        try:
            check_path(path)
        except ClientFault as fault:
            return fault
        decoded = path
        for _ in range(DECODINGS):
            once = unquote(decoded)
            if once == decoded:
                break
            if once.count("/") != decoded.count("/"):
                other = self._find(host, once.split("/")[1:], method, headers)
                if other is not None and not _alike(route, other):
                    return ClientFault(_AMBIGUOUS, code="bad_path")
            decoded = once
        return None


def _alike(one: ServiceRoute, other: ServiceRoute) -> bool:
    """Whether two routes ask the same of a client."""
    first, second = one.settings, other.settings
    return one is other or (
        first.public == second.public and one.scopes == other.scopes and first.limits == second.limits
    )


def _name_of(host: str) -> str:
    """A ``Host`` without its port, in lower case."""
    name = host.lower()
    if name[:1] == "[":  # an IPv6 address
        return name[: name.find("]") + 1]
    return name.partition(":")[0].rstrip(".")
