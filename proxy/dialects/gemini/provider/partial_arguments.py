"""Arguments of one call that come in pieces, each with the path of the value that it belongs to.

Only Vertex AI sends them, where a request asks for it: ``{"jsonPath": "$.user.names[0]", "stringValue": "An",
"willContinue": true}``. A text may come in several pieces. Paths are singular queries of RFC 9535.
Source: https://cloud.google.com/vertex-ai/generative-ai/docs/reference/rest/v1/Content#PartialArg
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from msgspec import Struct

from proxy.dialects.translation.answer_members import text_at
from proxy.dialects.translation.members import JsonObject
from proxy.wire import document

_VALUES: Final = ("stringValue", "numberValue", "boolValue", "nullValue")
# A name after a dot, an index in brackets, a quoted name in brackets.
_segments: Final = re.compile(r"""\.?([^.\[\]'"]+)|\[(\d+)\]|\['((?:[^'\\]|\\.)*)'\]|\["((?:[^"\\]|\\.)*)"\]""")
_unescaped: Final = re.compile(r"\\(.)")
_MOST_DEPTH: Final = 100

_Key = str | int


class _Text(Struct):
    """A text, and whether its next piece continues it."""

    pieces: list[str]
    continues: bool = False


class _Node(Struct):
    """An object, or an array, whose keys are then all numbers. No array has a place for an index that never came."""

    members: dict[_Key, Any] = {}


class PartialArguments:
    """Puts the pieces of one call's arguments together."""

    __slots__ = ("_root",)

    def __init__(self) -> None:
        self._root = _Node()

    def add(self, piece: JsonObject) -> None:
        """Add one of ``partialArgs``. A piece without a path or without a value is left out."""
        name = next((each for each in _VALUES if each in piece), "")
        path = list(_keys(text_at(piece, "jsonPath")))
        if not name or not 0 < len(path) <= _MOST_DEPTH:
            return
        *outer, last = path
        node = self._root
        for key in outer:
            inner = node.members.get(key)
            if not isinstance(inner, _Node):
                inner = node.members[key] = _Node()
            node = inner
        value = piece[name]
        if name == "stringValue" and isinstance(value, str):
            self._add_text(node, last, value, continues=piece.get("willContinue") is True)
        elif isinstance(value, float) and value.is_integer():  # the wire type of all numbers is double
            node.members[last] = int(value)
        else:
            node.members[last] = None if name == "nullValue" else value

    def json(self) -> str:
        """The arguments as JSON text; ``""`` if no piece came."""
        return document.encode(_value(self._root)).decode() if self._root.members else ""

    @staticmethod
    def _add_text(node: _Node, key: _Key, text: str, *, continues: bool) -> None:
        found = node.members.get(key)
        if isinstance(found, _Text) and found.continues:
            found.pieces.append(text)
            found.continues = continues
        else:
            node.members[key] = _Text([text], continues)


def _keys(path: str) -> Iterator[_Key]:
    """The names and indices of a path. What is no segment is skipped."""
    for segment in _segments.finditer(path.removeprefix("$")):
        name, index, single, double = segment.groups()
        if index is not None:
            yield int(index) if len(index) < 10 else index
        elif name is not None:
            yield name
        else:
            yield _unescaped.sub(r"\1", double if single is None else single)


def _value(found: Any) -> Any:
    if isinstance(found, _Text):
        return "".join(found.pieces)
    if not isinstance(found, _Node):
        return found
    members = found.members
    if members and all(isinstance(key, int) for key in members):
        return [_value(members[key]) for key in sorted(members, key=int)]
    return {str(key): _value(each) for key, each in members.items()}
