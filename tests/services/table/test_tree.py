from __future__ import annotations

from collections.abc import Mapping, Sequence

from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from proxy.config.service_schema import RouteSettings
from proxy.services.specs import read_route
from proxy.services.table.route import Parameter, ServiceRoute
from proxy.services.table.tree import SegmentTree

NAMES = ("a", "b", "c")


def settings_of(names: Sequence[str], kind: str, methods: list[str], headers: dict[str, str]) -> RouteSettings:
    if kind == "path":
        path = "/" + "/".join(each for each in names if each != "{}")
        return read_route({"service": "s", "path": path, "methods": methods, "headers": headers})
    numbered = [f"{{p{number}}}" if each == "{}" else each for number, each in enumerate(names)]
    pattern = "/" + "/".join([*numbered, "{+rest}"] if kind == "rest" else numbered)
    return read_route({"service": "s", "pattern": pattern, "methods": methods, "headers": headers})


ROUTES = st.lists(
    st.builds(
        settings_of,
        st.lists(st.sampled_from((*NAMES, "{}")), max_size=4),
        st.sampled_from(("path", "pattern", "rest")),
        st.sampled_from(([], ["POST"], ["GET", "POST"])),
        st.sampled_from(({}, {"x-a": "*"}, {"x-a": "1", "x-b": "*"})),
    ),
    max_size=12,
)


def naive(
    route: ServiceRoute, segments: list[str], method: str, headers: Mapping[str, str]
) -> tuple[object, ...] | None:
    """How specific a route is for a path; ``None``: it does not match."""
    if not route.accepts(method, headers):
        return None
    key: list[int] = []
    for number, each in enumerate(route.segments):
        if number >= len(segments):
            return None
        if isinstance(each, Parameter) and each.rest:
            return None if segments[number:] == [""] else (*key, 1), route.rank, (-route.order[0],)
        if isinstance(each, str) and each != segments[number]:
            return None
        if isinstance(each, Parameter) and not segments[number]:
            return None
        key.append(2 if isinstance(each, Parameter) else 3)
    whole = len(segments) == len(route.segments)
    if not route.prefix and not whole:
        return None
    key.append(0 if route.prefix else 1)
    return tuple(key), route.rank, (-route.order[0],)


@given(
    ROUTES,
    st.lists(st.sampled_from((*NAMES, "d", "")), max_size=5).filter(lambda found: "" not in found[:-1]),
    st.sampled_from(("GET", "POST", "PUT")),
    st.sampled_from(({}, {"x-a": "1"}, {"x-a": "2", "x-b": "1"}, {"x-a": "1", "x-b": "1"})),
)
def test_the_tree_finds_what_a_scan_over_all_routes_finds(
    listed: list[RouteSettings], segments: list[str], method: str, headers: dict[str, str]
) -> None:
    routes = [ServiceRoute.of(str(number), each, "file", (number, "")) for number, each in enumerate(listed)]
    given_ = [] if segments == [""] else segments
    keys = {each: key for each in routes if (key := naive(each, given_, method, CIMultiDict(headers))) is not None}
    expected = max(keys, key=lambda each: keys[each]) if keys else None
    assert SegmentTree.of(routes).find(given_, method, CIMultiDict(headers)) is expected
