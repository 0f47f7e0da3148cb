"""Header rules of a route, compiled: which lines are left out, and which are added."""

from __future__ import annotations

from msgspec import Struct

from proxy.config.service_schema import HeaderRules


class HeaderChanges(Struct, frozen=True):
    """``removed``: names in lower case whose lines are left out. ``lines``: complete lines to append, with CRLF."""

    removed: frozenset[bytes] = frozenset()
    lines: bytes = b""

    @staticmethod
    def of(rules: HeaderRules) -> HeaderChanges:
        """A line that is set replaces all lines of its name; one that is added stands beside them."""
        removed = frozenset(name.lower().encode() for name in (*rules.remove, *rules.set))
        lines = [*rules.set.items(), *rules.add.items()]
        return HeaderChanges(removed, b"".join(f"{name}: {value}\r\n".encode() for name, value in lines))

    def __bool__(self) -> bool:
        return bool(self.removed or self.lines)
