"""Schemas out of pydantic models, as the package google-genai has them: members have aliases, none is required."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from enum import Enum
from functools import cache
from types import UnionType
from typing import Any

from pydantic import BaseModel

from tests.support.schemas.nodes import Items, Leaf, Member, Node, Shape, either

_PLAIN = {str: "text", bytes: "text", int: "whole", float: "number", bool: "flag", Any: "any"}


@cache
def shape_of_model(model: type[BaseModel]) -> Shape:
    """The object that a model describes."""
    return Shape(f"{model.__module__}.{model.__qualname__}", lambda: dict(_members(model)))


def _members(model: type[BaseModel]) -> Iterator[tuple[str, Member]]:
    for name, field in model.model_fields.items():
        node = _node(field.annotation)
        if node is not None:
            yield field.alias or name, Member(node)


def _node(hint: Any) -> Node | None:
    """``None`` for what is no JSON."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, UnionType):
        found = [node for each in arguments if each is not type(None) and (node := _node(each)) is not None]
        return either(found) if found else None
    if origin is list:
        inner = _node(arguments[0])
        return Items(inner) if inner is not None else None
    if origin is dict:
        return Leaf("table")
    if isinstance(hint, type) and issubclass(hint, Enum):
        return Leaf("enumeration", tuple(each.value for each in hint if "UNSPECIFIED" not in each.value))
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return shape_of_model(hint)
    return Leaf(_PLAIN[hint]) if hint in _PLAIN else None  # type: ignore[arg-type]
