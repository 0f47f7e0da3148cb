"""The routes of one host, as a tree of path segments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from proxy.services.table.route import Parameter, ServiceRoute

Routes = tuple[ServiceRoute, ...]


class SegmentTree:
    """One node, for the segments on the way to it. Of routes that end at one node, the most specific comes first.

    ``text``, ``parameter``: nodes behind one more segment. ``whole``: patterns that end here, ``rest``: those that end
    with ``{+name}``, ``prefixes``: paths that end here, below which everything belongs to the route.
    """

    __slots__ = ("parameter", "prefixes", "rest", "text", "whole")

    def __init__(self) -> None:
        self.text: dict[str, SegmentTree] = {}
        self.parameter: SegmentTree | None = None
        self.whole: Routes = ()
        self.rest: Routes = ()
        self.prefixes: Routes = ()

    @staticmethod
    def of(routes: Iterable[ServiceRoute]) -> SegmentTree:
        root = SegmentTree()
        for each in routes:
            root._add(each)
        return root

    def find(self, segments: Sequence[str], method: str, headers: Mapping[str, str]) -> ServiceRoute | None:
        """The route for a path. At each segment text goes before a parameter, that before the rest, before a prefix."""
        many = len(segments)
        # A stack of nodes with their depth: no path is deeper than the tree, but a tree may be as deep as a long path.
        waiting: list[tuple[SegmentTree, int, bool]] = [(self, 0, False)]
        while waiting:
            node, depth, ends = waiting.pop()
            if ends:
                below = depth + 1 < many or segments[depth] != ""
                found = _first(node.rest, method, headers) if node.rest and below else None
                found = found or _first(node.prefixes, method, headers)
                if found is not None:
                    return found
                continue
            while depth < many:  # down along the text, as far as it leads
                segment = segments[depth]
                if node.rest or node.prefixes:
                    waiting.append((node, depth, True))
                if node.parameter is not None and segment:
                    waiting.append((node.parameter, depth + 1, False))
                if (text := node.text.get(segment)) is None:
                    break
                node, depth = text, depth + 1
            else:
                found = _first(node.whole, method, headers) or _first(node.prefixes, method, headers)
                if found is not None:
                    return found
        return None

    def _add(self, route: ServiceRoute) -> None:
        node = self
        for each in route.segments:
            if not isinstance(each, Parameter):
                below = node.text.get(each)
                if below is None:
                    below = node.text[each] = SegmentTree()
                node = below
            elif each.rest:
                node.rest = _ranked(node.rest, route)
                return
            else:
                if node.parameter is None:
                    node.parameter = SegmentTree()
                node = node.parameter
        if route.prefix:
            node.prefixes = _ranked(node.prefixes, route)
        else:
            node.whole = _ranked(node.whole, route)


def _ranked(routes: Routes, route: ServiceRoute) -> Routes:
    if not routes:
        return (route,)
    return tuple(sorted((*routes, route), key=lambda each: (-each.rank, each.order)))


def _first(routes: Routes, method: str, headers: Mapping[str, str]) -> ServiceRoute | None:
    for each in routes:
        if not each.rank or each.accepts(method, headers):
            return each
    return None
