"""A compiled route: its conditions, and the path that goes on to the service."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal
from urllib.parse import unquote

from msgspec import Struct
from multidict import istr

from proxy.config.service_schema import RouteSettings
from proxy.services.header_changes import HeaderChanges
from proxy.services.table.segments import depth_of, plain_segments

Order = tuple[int, str]
Definer = Literal["file", "api", "consul"]  # where a service or a route is defined

_PARAMETER: Final = re.compile(r"\{(\+?)([A-Za-z][A-Za-z0-9_]*)\}")
ANY: Final = "*"  # value of a header condition


class Parameter(Struct, frozen=True):
    """A ``{name}`` of a pattern. ``rest``: ``{+name}``, one or more segments."""

    name: str
    rest: bool


class ServiceRoute(Struct, frozen=True, eq=False):
    """``segments``: the path or pattern; text is in its decoded form. ``prefix``: more segments may follow.

    ``rank``: the number of conditions beside host and path. ``order``: among routes that are equally specific the
    lowest one applies. ``services``: name and weight of each; weights of 0 only: the weights of the services count.
    """

    id: str
    settings: RouteSettings
    definer: Definer
    order: Order
    host: str
    segments: tuple[str | Parameter, ...]
    prefix: bool
    methods: frozenset[str]
    headers: tuple[tuple[istr, str], ...]
    services: tuple[tuple[str, float], ...]
    request_headers: HeaderChanges
    response_headers: HeaderChanges
    scopes: frozenset[str]
    rank: int
    changes_path: bool

    def __repr__(self) -> str:
        return f"<ServiceRoute {self.id}>"

    @staticmethod
    def of(id_: str, settings: RouteSettings, definer: Definer, order: Order) -> ServiceRoute:
        """Compile a route that was checked (``config/route_checks.py``)."""
        pattern = settings.pattern
        methods = frozenset(settings.methods)
        if "GET" in methods:  # RFC 9110, 9.3.2: a HEAD is a GET without content
            methods |= {"HEAD"}
        split = tuple(settings.split.items())
        return ServiceRoute(
            id=id_,
            settings=settings,
            definer=definer,
            order=order,
            host=settings.host,
            segments=_pattern_segments(pattern) if pattern else tuple(plain_segments(settings.path)),
            prefix=not pattern,
            methods=methods,
            headers=tuple((istr(name), value) for name, value in settings.headers.items()),
            services=split or ((settings.service, 1.0),),
            request_headers=HeaderChanges.of(settings.request_headers),
            response_headers=HeaderChanges.of(settings.response_headers),
            scopes=frozenset(settings.scopes),
            rank=len(settings.headers) + bool(methods),
            changes_path=settings.strip or bool(settings.rewrite),
        )

    def accepts(self, method: str, headers: Mapping[str, str]) -> bool:
        """Whether the conditions beside host and path hold."""
        if self.methods and method not in self.methods:
            return False
        for name, value in self.headers:
            found = headers.get(name)
            if found is None or (value != ANY and found != value):
                return False
        return True

    def target(self, path: str) -> str:
        """The path for the service of a request that matched, as the client's bytes where it is not rewritten."""
        if not self.changes_path:
            return path
        rewrite = self.settings.rewrite
        if self.prefix:
            rest = path[depth_of(path, len(self.segments)) :]
            return (rewrite.rstrip("/") + rest if rest else rewrite) or "/"
        values = self._values(path)
        return _PARAMETER.sub(lambda found: values[found[2]], rewrite)

    def _values(self, path: str) -> dict[str, str]:
        """What stands for the parameters, still encoded."""
        given = path.split("/")[1:]
        return {
            each.name: "/".join(given[index:]) if each.rest else given[index]
            for index, each in enumerate(self.segments)
            if isinstance(each, Parameter)
        }


def _pattern_segments(pattern: str) -> tuple[str | Parameter, ...]:
    found: list[str | Parameter] = []
    for segment in pattern.split("/")[1:] if pattern != "/" else ():
        name = _PARAMETER.fullmatch(segment)
        found.append(Parameter(name[2], bool(name[1])) if name else unquote(segment))
    return tuple(found)
