"""JSON Schemas as the Messages API enforces them: a subset, in which all objects are closed.

Source: https://platform.claude.com/docs/en/build-with-claude/structured-outputs, and ``transform_schema`` of the
package anthropic 2.14. Constraints that cannot be enforced are added to the description, as that package does.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from msgspec import Struct

from proxy.dialects.translation.members import JsonObject
from proxy.wire import document

_FORMATS: Final = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}
)
_DEFINITIONS: Final = ("$defs", "definitions")
_MAPS: Final = ("patternProperties", "propertyNames", "dependentSchemas", "unevaluatedProperties")
_OTHERS: Final = ("prefixItems", "not", "if", "contains", "$dynamicRef", "$anchor", "$recursiveRef")
_IMPOSSIBLE: Final = frozenset(_MAPS + _OTHERS)
_SILENT: Final = frozenset({"$schema", "$id", "$comment", "examples", "deprecated", "readOnly", "writeOnly"})
_KEPT: Final = ("title", "description", "default")


class StrictSchema(Struct, frozen=True):
    """A schema that can be enforced.

    ``exact``: no constraint is only a description. ``optional``: members of objects that may be absent. ``unions``:
    values of several types.
    """

    schema: JsonObject
    exact: bool
    optional: int
    unions: int


def strict_schema(schema: Any) -> StrictSchema | None:
    """The same schema in the subset; ``None``: it allows what cannot be enforced, such as a map or a recursion."""
    conversion = _Conversion()
    try:
        converted = conversion.convert(schema)
        if _is_recursive(schema):
            return None
    except (_Inexpressible, RecursionError):
        return None
    return StrictSchema(converted, conversion.exact, conversion.optional, conversion.unions)


class _Inexpressible(Exception):
    pass


class _Conversion:
    """Converts one schema, and counts what the API limits."""

    __slots__ = ("exact", "optional", "unions")

    def __init__(self) -> None:
        self.exact = True
        self.optional = 0
        self.unions = 0

    def convert(self, schema: Any) -> JsonObject:
        """Raises _Inexpressible."""
        if not isinstance(schema, dict) or not _IMPOSSIBLE.isdisjoint(schema):
            raise _Inexpressible
        rest = {name: value for name, value in schema.items() if name not in _SILENT}
        found: JsonObject = {}
        for name in _DEFINITIONS:
            if name in rest:
                found[name] = self._each(rest.pop(name))
        if "$ref" in rest:
            return found | {"$ref": rest["$ref"]}
        self._add_kind(rest, found)
        for name in _KEPT:
            if name in rest:
                found[name] = rest.pop(name)
        self._describe(rest, found)
        return found

    def _add_kind(self, rest: JsonObject, found: JsonObject) -> None:
        """Move what says which values are allowed."""
        for name, as_ in (("anyOf", "anyOf"), ("oneOf", "anyOf"), ("allOf", "allOf")):
            if name in rest:
                found[as_] = [self.convert(each) for each in _list(rest.pop(name))]
                self.unions += as_ == "anyOf"
        for name in ("enum", "const"):
            if name in rest:
                found[name] = rest.pop(name)
        kinds = rest.pop("type", None)
        if kinds is None:
            if not found.keys() & {"anyOf", "allOf", "enum", "const"}:
                raise _Inexpressible
            return
        found["type"] = kinds
        if isinstance(kinds, list):
            self.unions += 1
        else:
            kinds = [kinds]
        if "object" in kinds:
            self._add_members(rest, found)
        if "array" in kinds:
            self._add_items(rest, found)
        if isinstance(rest.get("format"), str) and rest["format"] in _FORMATS:
            found["format"] = rest.pop("format")

    def _add_members(self, rest: JsonObject, found: JsonObject) -> None:
        if rest.pop("additionalProperties", False) is not False:
            raise _Inexpressible
        members = found["properties"] = self._each(rest.pop("properties", {}))
        required = found["required"] = _list(rest.pop("required", []))
        found["additionalProperties"] = False
        self.optional += len(members.keys() - set(map(str, required)))

    def _add_items(self, rest: JsonObject, found: JsonObject) -> None:
        if "items" not in rest:
            raise _Inexpressible
        found["items"] = self.convert(rest.pop("items"))
        if rest.get("minItems") in (0, 1):
            found["minItems"] = rest.pop("minItems")

    def _each(self, schemas: Any) -> JsonObject:
        if not isinstance(schemas, dict):
            raise _Inexpressible
        return {name: self.convert(each) for name, each in schemas.items()}

    def _describe(self, rest: JsonObject, found: JsonObject) -> None:
        """Say what is left over in the description, so that the model may keep to it."""
        if rest:
            self.exact = False
            said = [found["description"]] if isinstance(found.get("description"), str) else []
            found["description"] = "\n\n".join([*said, document.encode(rest).decode()])


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise _Inexpressible
    return value


def _is_recursive(schema: JsonObject) -> bool:
    """Whether a definition refers to itself, or anything to what is no definition."""
    known = {
        f"#/{kind}/{name}": each
        for kind in _DEFINITIONS
        for name, each in schema.get(kind, {}).items()  # the conversion proved the shape
    }
    references = {name: set(_references(each)) for name, each in known.items()}
    root = {name: value for name, value in schema.items() if name not in _DEFINITIONS}
    if not set(_references(root)).union(*references.values()) <= known.keys():
        return True
    while references:
        leaves = {name for name, targets in references.items() if not targets}
        if not leaves:
            return True
        references = {name: targets - leaves for name, targets in references.items() if name not in leaves}
    return False


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)
