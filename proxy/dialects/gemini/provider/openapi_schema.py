"""JSON Schemas as models before Gemini 2.5 take them: a part of OpenAPI 3.0, without references.

Any other keyword is an error there. What cannot be said so is added to the description, as the model may keep to it.
Source: https://ai.google.dev/api/caching#Schema
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from msgspec import Struct

from proxy.dialects.translation.members import JsonObject
from proxy.wire import document

_KEPT: Final = ("title", "description", "default", "minItems", "maxItems", "minProperties", "maxProperties",
                "minLength", "maxLength", "minimum", "maximum", "pattern", "propertyOrdering")  # fmt: skip
_SILENT: Final = frozenset({"$schema", "$id", "$comment", "$defs", "definitions", "examples", "deprecated"})
_FORMATS: Final = frozenset({"date-time", "float", "double", "int32", "int64"})
_TYPES: Final = frozenset({"string", "number", "integer", "boolean", "array", "object"})
_MOST_NODES: Final = 10_000  # references may double at each step

_Seen: TypeAlias = tuple[str, ...]  # references that are being replaced: one of them again has no end


class OpenApiSchema(Struct, frozen=True):
    """``exact``: it says all that the JSON Schema does."""

    schema: JsonObject
    exact: bool


def openapi_schema(schema: Any) -> OpenApiSchema:
    """The schema in the older form. A recursion becomes an object of any members."""
    conversion = _SchemaConversion(schema)
    try:
        return OpenApiSchema(conversion.convert(schema, ()), conversion.exact)
    except RecursionError:
        return OpenApiSchema({"type": "object"}, exact=False)


class _SchemaConversion:
    """Converts one schema."""

    __slots__ = ("_nodes", "_root", "exact")

    def __init__(self, root: Any) -> None:
        self._root = root
        self._nodes = 0
        self.exact = True

    def convert(self, schema: Any, seen: _Seen) -> JsonObject:
        rest, seen = self._resolved(schema, seen)
        nullable = _take_null(rest)
        while "allOf" in rest:  # the only alternative to null
            rest, seen = self._resolved(rest, seen)
            nullable |= _take_null(rest)
        found: JsonObject = {name: rest.pop(name) for name in _KEPT if name in rest}
        alternatives = _pop_list(rest, "anyOf") or _pop_list(rest, "oneOf")
        if alternatives:
            found["anyOf"] = [self.convert(each, seen) for each in alternatives]
        else:
            self._add_type(rest, found, seen)
        if isinstance(rest.get("properties"), dict):
            found["properties"] = {name: self.convert(each, seen) for name, each in rest.pop("properties").items()}
        _add_required(rest, found)
        if rest.get("additionalProperties") in (True, False):
            del rest["additionalProperties"]
        if nullable:
            found["nullable"] = True
        return self._described(rest, found)

    def _resolved(self, schema: Any, seen: _Seen) -> tuple[JsonObject, _Seen]:
        """The members of a schema, with those that it refers to or is made of."""
        self._nodes += 1
        if not isinstance(schema, dict) or self._nodes > _MOST_NODES:
            return self._unknown(), seen
        found = {name: value for name, value in schema.items() if name not in _SILENT}
        reference = found.pop("$ref", None)
        if isinstance(reference, str):
            target = None if reference in seen else self._target(reference)
            if target is None:
                return self._unknown() | found | {"type": "object"}, seen
            inner, seen = self._resolved(target, (*seen, reference))
            found = inner | found
        for part in _pop_list(found, "allOf"):
            inner, seen = self._resolved(part, seen)
            for name, value in inner.items():
                found[name] = _joined(found[name], value) if name in found else value
        return found, seen

    def _unknown(self) -> JsonObject:
        self.exact = False
        return {}

    def _target(self, reference: str) -> Any:
        """What a reference within the schema means; ``None``: nothing."""
        found = self._root
        for name in reference.removeprefix("#").strip("/").split("/"):
            key = name.replace("~1", "/").replace("~0", "~")
            found = found.get(key) if isinstance(found, dict) else None
        return found

    def _add_type(self, rest: JsonObject, found: JsonObject, seen: _Seen) -> None:
        values = [rest.pop("const")] if "const" in rest else _pop_list(rest, "enum")
        kind = _type_of(rest) or _kind_of(values)
        if not kind:  # any value
            self.exact, kind = False, "string"
        found["type"] = kind
        rest.pop("type", None)
        if kind == "string" and values and all(isinstance(each, str) for each in values):
            found["enum"] = values
        elif values:  # only texts can be listed
            rest["enum"] = values
        if rest.get("format") in _FORMATS:
            found["format"] = rest.pop("format")
        if kind == "array":
            found["items"] = self.convert(rest.pop("items", None), seen)

    def _described(self, rest: JsonObject, found: JsonObject) -> JsonObject:
        rest.pop("type", None)
        if rest:
            self.exact = False
            said = [found["description"]] if isinstance(found.get("description"), str) else []
            found["description"] = "\n\n".join([*said, document.encode(rest).decode()])
        return found


def _add_required(rest: JsonObject, found: JsonObject) -> None:
    """Only described members can be required. The others stay in ``rest``."""
    names, properties = _pop_list(rest, "required"), found.get("properties", {})
    described = [each for each in names if isinstance(each, str) and each in properties]
    if described:
        found["required"] = described
    if len(described) < len(names):
        rest["required"] = [each for each in names if each not in described]


def _take_null(rest: JsonObject) -> bool:
    """Take ``null`` from the types and alternatives; whether it was one. One that is left alone becomes ``allOf``."""
    nullable = rest.pop("nullable", None) is True
    kinds = rest.get("type")
    if isinstance(kinds, list):
        some = [each for each in kinds if each in _TYPES]
        nullable |= "null" in kinds
        rest["type"] = some[0] if len(some) == 1 else None
        if len(some) > 1 and "anyOf" not in rest:
            rest["anyOf"] = [{"type": each} for each in some]
    for name in ("anyOf", "oneOf"):
        alternatives = _pop_list(rest, name)
        others = [each for each in alternatives if each != {"type": "null"}]
        nullable |= len(others) < len(alternatives)
        if others:
            rest["allOf" if len(others) == 1 else name] = others
    return nullable


def _kind_of(values: list[Any]) -> str:
    """The type of the values of an enumeration, ``""`` for none."""
    kinds = {type(each) for each in values}
    if kinds == {bool}:
        return "boolean"
    if kinds and kinds <= {int, float}:
        return "number" if float in kinds else "integer"
    return "string" if kinds else ""


def _type_of(schema: JsonObject) -> str:
    """The type that a schema says or shows, ``""`` for none."""
    said = schema.get("type")
    if said in _TYPES:
        return str(said)
    return "object" if "properties" in schema else "array" if "items" in schema else ""


def _joined(one: Any, other: Any) -> Any:
    """Members of both; of two values that are no lists or objects, the first."""
    if isinstance(one, dict) and isinstance(other, dict):
        return other | one
    return [*one, *other] if isinstance(one, list) and isinstance(other, list) else one


def _pop_list(holder: JsonObject, name: str) -> list[Any]:
    value = holder.pop(name, None)
    return value if isinstance(value, list) else []
