"""The requests that a schema allows, one member at a time.

A variant is a function from a value to the smallest request in which one member, wherever it stands, has this value.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, Literal

from tests.support.schemas.nodes import Either, Items, Leaf, Node, Shape

# A text that no request has by itself: letters and digits, and as base64 whole bytes.
MARK: Final = "Markedvalue01234"
FILLER: Final = "filler00"  # any other text
UNKNOWN_MEMBER: Final = "member_of_the_future"
UNKNOWN_TYPE: Final = "type_of_the_future"


class Absent:
    """Instead of a value: the member, or the item of an array, is left out."""


ABSENT: Final = Absent()

# Texts that must have a form. `{}` is the mark.
TEXTS: Final = {
    "arguments": '{{"{}": 1}}',
    "file_data": "data:application/pdf;base64,{}",
    "file_url": "https://files.example/{}.pdf",
    "fileUri": "https://files.example/{}.png",
    "image_url": "https://files.example/{}.png",
    "mimeType": "image/{}",
    "url": "https://files.example/{}",
}
# Numbers that are not any.
NUMBERS: Final = {
    "budget_tokens": (2000, 8500),
    "n": (2, 3),
    "top_logprobs": (2, 3),
    "top_k": (20, 40),
    "topK": (20, 40),
    "logprobs": (2, 3),
}
# Objects that say what their absence says.
_MEANINGLESS: Final = (
    {},
    *({"type": kind} for kind in ("adaptive", "auto", "direct", "local", "object", "text")),
    {"format": {"type": "text"}},
)
_SCHEMAS: Final = frozenset(("parameters", "input_schema", "schema", "output_schema"))


@dataclass(frozen=True)
class Variant:
    """``path`` without indices, such as ``messages[].name``. ``required``: the request needs the member.

    ``kind``: ``member``: the schema has it, with ``leaf`` as its type; ``shape``: one of several objects that may
    stand there, which the value ``True`` includes; ``unknown member`` and ``unknown type``: the schema lacks them.
    """

    path: str
    kind: Literal["member", "shape", "unknown member", "unknown type"]
    make: Callable[[Any], Any]
    leaf: Leaf | None = None
    required: bool = False
    shape: str = ""

    def within(self, prefix: str, around: Callable[[Any], Any]) -> Variant:
        """The same member in an outer object or array."""
        make = self.make
        separator = "" if not self.path or self.path.startswith("[") else "."
        return replace(self, path=f"{prefix}{separator}{self.path}", make=lambda value: around(make(value)))

    def __str__(self) -> str:
        name = self.shape.rpartition(".")[2]
        return f"{self.path} ({self.kind}{f' of {name}' if name else ''})"

    @property
    def values(self) -> tuple[Any, ...]:
        """What the member can have; a single one that is, or contains, the mark where the type allows it."""
        name = self.path.rpartition(".")[2].removesuffix("[]")
        if self.leaf is None:
            return (True,) if self.kind == "shape" else (MARK,)
        return tuple(_values(self.leaf, name))


def marked(value: Any) -> bool:
    """Whether the mark is somewhere in a JSON value."""
    return MARK.lower() in json.dumps(value).lower()  # types of media are often made lower case


class Variants:
    """``companions``: members that a shape needs beside those that its schema requires, by the end of its name."""

    def __init__(self, companions: dict[str, dict[str, Any]]) -> None:
        self._companions = companions
        self._smallest: dict[Shape, dict[str, Any]] = {}

    def of(self, shape: Shape) -> Iterator[Variant]:
        """All variants of a request, each schema at most once on the way to a member."""
        yield from self._of(shape, ())

    def smallest(self, node: Node, name: str = "", seen: tuple[str, ...] = ()) -> Any:
        """The smallest value, which must not be changed."""
        match node:
            case Items():
                return [self.smallest(node.node, name, seen)]
            case Either():
                # A leaf ends all recursion.
                return self.smallest(min(node.nodes, key=lambda each: not isinstance(each, Leaf)), name, seen)
            case Shape():
                assert node.name not in seen, f"{node.name} needs itself"
                if node not in self._smallest:
                    self._smallest[node] = self._smallest_of(node, (*seen, node.name))
                return self._smallest[node]
            case Leaf(kind="enumeration", values=values):
                return values[0]
            case Leaf(kind="flag"):
                return True
            case Leaf():
                return next(iter(_values(node, name, FILLER)))

    def _smallest_of(self, shape: Shape, seen: tuple[str, ...]) -> dict[str, Any]:
        needed = {
            name: self.smallest(member.node, name, seen) for name, member in shape.members.items() if member.required
        }
        return needed | shape.constants() | self._companions.get(shape.name.rpartition(".")[2], {})

    def _of(self, node: Node, seen: tuple[str, ...]) -> Iterator[Variant]:
        match node:
            case Leaf():
                if not node.constant:
                    yield Variant("", "member", lambda value: value, node)
            case Items():
                yield from (each.within("[]", _in_array) for each in self._of(node.node, seen))
            case Either():
                yield from self._alternatives(node, seen)
            case Shape() if node.name not in seen:
                if seen and self.smallest(node) not in _MEANINGLESS:
                    yield Variant("", "shape", partial(self._whole, node), shape=node.name)
                yield from self._members(node, seen)

    def _alternatives(self, node: Either, seen: tuple[str, ...]) -> Iterator[Variant]:
        for each in node.nodes:
            yield from self._of(each, seen)
        shapes = [each for each in node.nodes if isinstance(each, Shape)]
        if shapes and all("type" in shape.constants() for shape in shapes):
            yield Variant("", "unknown type", _of_unknown_type)

    def _members(self, shape: Shape, seen: tuple[str, ...]) -> Iterator[Variant]:
        inner = (*seen, shape.name)
        for name, member in shape.members.items():
            for each in self._of(member.node, inner):
                found = each.within(name, partial(self._with, shape, name))
                if not each.path and each.kind == "member":
                    found = replace(found, required=member.required, shape=shape.name)
                yield found
        unknown = Variant("", "unknown member", lambda value: value, shape=shape.name)
        yield unknown.within(UNKNOWN_MEMBER, partial(self._with, shape, UNKNOWN_MEMBER))

    def _whole(self, shape: Shape, value: Any) -> Any:
        return value if value is ABSENT else self.smallest(shape)

    def _with(self, shape: Shape, name: str, value: Any) -> Any:
        others = {each: member for each, member in self.smallest(shape).items() if each != name}
        return others if value is ABSENT else others | {name: value}


def _in_array(value: Any) -> list[Any]:
    return [] if value is ABSENT else [value]


def _of_unknown_type(value: Any) -> Any:
    return value if value is ABSENT else {"type": UNKNOWN_TYPE, "text": value}


def _values(leaf: Leaf, name: str, mark: str = MARK) -> Iterator[Any]:
    match leaf.kind:
        case "enumeration":
            yield from leaf.values
        case "flag":
            yield from (True, False)
        case "whole":
            yield from NUMBERS.get(name, (5000, 2500))
        case "number":
            yield from NUMBERS.get(name, (0.25, 0.75))
        case "text":
            yield TEXTS.get(name, "{}").format(mark)
        case _ if name in _SCHEMAS:
            yield {"type": "object", "properties": {mark: {"type": "string"}}}
        case _:
            yield {mark: mark}
