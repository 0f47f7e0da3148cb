"""Schemas of the Gemini API, which are a part of OpenAPI's, as JSON Schema.

Clients also send JSON Schema in their place, so keywords that are none of Google's stay.
Source: https://ai.google.dev/api/caching#Schema
"""

from __future__ import annotations

from typing import Any, Final

from proxy.dialects.gemini.client.spelling import spelled
from proxy.dialects.translation.members import JsonObject

_SPELLED: Final = frozenset(
    {
        *("anyOf", "additionalProperties", "maxItems", "minItems", "maxLength", "minLength"),
        *("maxProperties", "minProperties", "propertyOrdering"),
    }
)
_TYPES: Final = frozenset(("STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL"))
_COUNTS: Final = ("maxItems", "minItems", "maxLength", "minLength", "maxProperties", "minProperties")
_SCHEMAS: Final = ("items", "additionalProperties")
# Formats that say nothing beside the type. OpenAI refuses them in strict schemas.
_FORMATS: Final = frozenset(("enum", "float", "double", "int32", "int64"))
_NULL: Final[JsonObject] = {"type": "null"}


def json_schema(schema: Any, *, closed: bool = False) -> Any:
    """The JSON Schema. ``closed``: objects have no other members than the schema says, as Gemini writes them.

    The properties are in the order of ``propertyOrdering``. What is no object is returned as it is.
    """
    if not isinstance(schema, dict):
        return schema
    found = dict(spelled(schema, _SPELLED))
    _rename(found)
    for name in _COUNTS:
        if name in found:
            found[name] = _count(found[name])
    for name in _SCHEMAS:
        if name in found:
            found[name] = json_schema(found[name], closed=closed)
    if isinstance(found.get("anyOf"), list):
        found["anyOf"] = [json_schema(each, closed=closed) for each in found["anyOf"]]
    if isinstance(found.get("$defs"), dict):
        found["$defs"] = {name: json_schema(each, closed=closed) for name, each in found["$defs"].items()}
    order = found.pop("propertyOrdering", None)
    if isinstance(found.get("properties"), dict):
        found["properties"] = {
            name: json_schema(each, closed=closed) for name, each in _ordered(found["properties"], order).items()
        }
        if closed:
            found.setdefault("additionalProperties", False)
    if found.pop("nullable", None) is True:
        _allow_null(found)
    return found


def _rename(schema: JsonObject) -> None:
    """Replace what JSON Schema calls otherwise."""
    kind = schema.get("type")
    if isinstance(kind, str) and kind.upper() in _TYPES:
        schema["type"] = kind.lower()
    elif kind == "TYPE_UNSPECIFIED":
        del schema["type"]
    if isinstance(schema.get("format"), str) and schema["format"] in _FORMATS:
        del schema["format"]
    if "example" in schema and "examples" not in schema:
        schema["examples"] = [schema.pop("example")]
    if isinstance(schema.get("ref"), str):
        schema["$ref"] = schema.pop("ref")
    if isinstance(schema.get("$ref"), str):
        schema["$ref"] = schema["$ref"].replace("#/defs/", "#/$defs/", 1)
    if isinstance(schema.get("defs"), dict):
        schema["$defs"] = schema.pop("defs")


def _count(value: Any) -> Any:
    """A number, which is a string in the JSON of a 64-bit integer."""
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19 else value


def _ordered(properties: JsonObject, order: Any) -> JsonObject:
    if not isinstance(order, list):
        return properties
    first = {name: properties[name] for name in order if isinstance(name, str) and name in properties}
    return first | properties


def _allow_null(schema: JsonObject) -> None:
    if isinstance(schema.get("type"), str) and schema["type"] != "null":
        schema["type"] = [schema["type"], "null"]
    if isinstance(schema.get("enum"), list) and None not in schema["enum"]:
        schema["enum"] = [*schema["enum"], None]
    if isinstance(schema.get("anyOf"), list) and _NULL not in schema["anyOf"]:
        schema["anyOf"] = [*schema["anyOf"], _NULL]
