"""Schemas out of an OpenAPI document of version 3.1."""

from __future__ import annotations

from typing import Any

from tests.support.schemas.nodes import Either, Items, Leaf, Member, Node, Shape, either

_PLAIN = {"string": "text", "integer": "whole", "number": "number", "boolean": "flag"}


class OpenApi:
    """The schemas of one document, each read once."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._schemas: dict[str, Any] = document["components"]["schemas"]
        self._shapes: dict[str, Shape] = {}

    def shape(self, name: str) -> Shape:
        """An object by the schema's name."""
        node = self._node(self._schemas[name], name)
        assert isinstance(node, Shape), name
        return node

    def _node(self, schema: dict[str, Any], name: str) -> Node:
        """``name`` is a unique one for the shape that may be found."""
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            return self._node(self._schemas[name], name)
        if "const" in schema or "enum" in schema:
            return Leaf("enumeration", tuple(schema.get("enum") or [schema["const"]]))
        for several in ("oneOf", "anyOf"):
            if several in schema and "properties" not in schema:
                nodes = [self._node(each, f"{name}.{at}") for at, each in enumerate(schema[several]) if not _null(each)]
                return _open_enumeration(either(nodes))
        if "properties" in schema or "allOf" in schema:
            return self._object(schema, name)
        kind = schema.get("type")
        kinds = [each for each in (kind if isinstance(kind, list) else [kind]) if each != "null"]
        return either([self._plain(each, schema, name) for each in kinds])

    def _plain(self, kind: str | None, schema: dict[str, Any], name: str) -> Node:
        if kind == "array":
            return Items(self._node(schema.get("items", {}), f"{name}[]"))
        if kind == "object":
            return Leaf("table")
        return Leaf(_PLAIN[kind]) if kind in _PLAIN else Leaf("any")  # type: ignore[arg-type]

    def _object(self, schema: dict[str, Any], name: str) -> Node:
        parts = self._parts(schema)
        if not any("properties" in part for part in parts):  # allOf around one schema, to describe it
            return either(
                [self._node(part, name) for part in parts if part.keys() - {"description", "default", "title"}]
            )
        if name not in self._shapes:
            self._shapes[name] = Shape(name, lambda: self._members(parts, name))
        return self._shapes[name]

    def _parts(self, schema: dict[str, Any]) -> list[dict[str, Any]]:
        """The schemas that an object must match all of."""
        if "$ref" in schema:
            return self._parts(self._schemas[schema["$ref"].rpartition("/")[2]])
        own = {key: value for key, value in schema.items() if key != "allOf"}
        return [part for each in schema.get("allOf", []) for part in self._parts(each)] + ([own] if own else [])

    def _members(self, parts: list[dict[str, Any]], name: str) -> dict[str, Member]:
        required = {each for part in parts for each in part.get("required", [])}
        return {
            each: Member(self._node(schema, f"{name}.{each}"), each in required)
            for part in parts
            for each, schema in part.get("properties", {}).items()
        }


def _null(schema: dict[str, Any]) -> bool:
    return schema.get("type") == "null"


def _open_enumeration(node: Node) -> Node:
    """A text with some known values counts as a text."""
    if not isinstance(node, Either) or Leaf("text") not in node.nodes:
        return node
    return either([each for each in node.nodes if not (isinstance(each, Leaf) and each.kind == "enumeration")])
