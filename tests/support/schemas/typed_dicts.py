"""Schemas out of the types of the SDKs' parameters, which are TypedDicts."""

from __future__ import annotations

import typing
from collections.abc import Iterable, Sequence
from functools import cache
from types import UnionType
from typing import Any

from tests.support.schemas.nodes import Items, Leaf, Member, Node, Shape, either

_PLAIN = {str: "text", int: "whole", float: "number", bool: "flag", object: "any"}
_ARRAYS = (list, Iterable, Sequence)


@cache
def shape_of(kind: Any) -> Shape:
    """The object that a TypedDict describes."""
    return Shape(f"{kind.__module__}.{kind.__qualname__}", lambda: dict(_members(kind)))


def _members(kind: Any) -> typing.Iterator[tuple[str, Member]]:
    for name, hint in typing.get_type_hints(kind, include_extras=True).items():
        node = _node(hint)
        if node is not None:
            # The types' own set lacks those whose `Required` stands in a text, as the SDKs' modules postpone them.
            origin = typing.get_origin(hint)
            yield name, Member(node, origin is typing.Required or name in kind.__required_keys__)


def _node(hint: Any) -> Node | None:
    """``None`` for what is no JSON: files, and the models that the SDKs also take."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Required, typing.NotRequired, typing.Annotated):
        return _node(arguments[0])
    if hasattr(hint, "__required_keys__"):  # whether TypedDict is of `typing` or of `typing_extensions`
        return shape_of(hint)
    if hint in _PLAIN:
        return Leaf(_PLAIN[hint])  # type: ignore[arg-type]
    if origin is typing.Literal:
        return Leaf("enumeration", arguments)
    if origin in (typing.Union, UnionType):
        return _open_enumeration([found for each in arguments if (found := _node(each)) is not None])
    if origin in _ARRAYS:
        inner = _node(arguments[0])
        return Items(inner) if inner is not None else None
    return Leaf("table") if origin is dict else None


def _open_enumeration(nodes: list[Node]) -> Node | None:
    """A text with some known values counts as a text."""
    text = Leaf("text") in nodes
    kept = [each for each in nodes if not (text and isinstance(each, Leaf) and each.kind == "enumeration")]
    return either(kept) if kept else None
