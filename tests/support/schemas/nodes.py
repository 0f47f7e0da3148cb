"""A schema of a JSON document, from whatever source, as a tree that is read lazily: schemas refer to themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeAlias


@dataclass(frozen=True)
class Leaf:
    """A value without members of its own that the schema knows. ``values``: those of an enumeration.

    ``table``: an object with any names. ``any``: any JSON.
    """

    kind: Literal["text", "whole", "number", "flag", "enumeration", "table", "any"]
    values: tuple[Any, ...] = ()

    @property
    def constant(self) -> bool:
        return self.kind == "enumeration" and len(self.values) == 1


@dataclass(frozen=True)
class Items:
    """An array."""

    node: Node


@dataclass(frozen=True)
class Either:
    nodes: tuple[Node, ...]


@dataclass(frozen=True)
class Member:
    node: Node
    required: bool = False


@dataclass(eq=False)
class Shape:
    """An object. ``name`` is that of the schema, unique in its tree. ``load`` reads the members when they are needed."""

    name: str
    load: Callable[[], dict[str, Member]]

    @cached_property
    def members(self) -> dict[str, Member]:
        return self.load()

    def constants(self) -> dict[str, Any]:
        """The members that tell the shape from others, such as ``type``."""
        return {
            name: member.node.values[0]
            for name, member in self.members.items()
            if isinstance(member.node, Leaf) and member.node.constant and (member.required or name in ("type", "role"))
        }


Node: TypeAlias = Leaf | Items | Either | Shape


def either(nodes: list[Node]) -> Node:
    """One of ``nodes``, nested alternatives flattened and equal ones once. No node at all is any JSON."""
    flat: list[Node] = []
    for node in nodes:
        flat += [each for each in (node.nodes if isinstance(node, Either) else (node,)) if each not in flat]
    if not flat:
        return Leaf("any")
    return flat[0] if len(flat) == 1 else Either(tuple(flat))
