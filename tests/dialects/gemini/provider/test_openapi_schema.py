from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from google.genai.types import Schema
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.gemini.provider.openapi_schema import openapi_schema


def converted(schema: Any) -> tuple[dict[str, Any], bool]:
    found = openapi_schema(schema)
    return found.schema, found.exact


def member(schema: Any, **root: Any) -> tuple[Any, bool]:
    """A member ``a`` with this schema."""
    found, exact = converted({"type": "object", "properties": {"a": schema}} | root)
    return found["properties"]["a"], exact


def test_what_both_forms_have_stays() -> None:
    schema = {
        "type": "object",
        "title": "T",
        "description": "D",
        "properties": {
            "a": {"type": "string", "enum": ["x"], "pattern": "x", "minLength": 1, "default": "x"},
            "b": {"type": "array", "items": {"type": "integer", "format": "int32", "minimum": 0}, "maxItems": 3},
            "c": {"anyOf": [{"type": "string"}, {"type": "number"}]},
        },
        "required": ["a"],
    }
    assert converted(schema) == (schema, True)


def test_members_without_a_meaning_for_the_model_are_left_out() -> None:
    schema = {"$schema": "x", "$id": "y", "type": "object", "additionalProperties": False, "$defs": {}}
    assert converted(schema) == ({"type": "object"}, True)


@pytest.mark.parametrize(
    ("schema", "found"),
    [
        ({"type": ["string", "null"]}, {"type": "string", "nullable": True}),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, {"type": "string", "nullable": True}),
        ({"type": ["string", "integer"]}, {"anyOf": [{"type": "string"}, {"type": "integer"}]}),
        ({"oneOf": [{"type": "string"}, {"type": "integer"}]}, {"anyOf": [{"type": "string"}, {"type": "integer"}]}),
        ({"const": "x"}, {"type": "string", "enum": ["x"]}),
        ({"enum": ["x", "y"]}, {"type": "string", "enum": ["x", "y"]}),
        ({"properties": {"b": {"type": "string"}}}, {"type": "object", "properties": {"b": {"type": "string"}}}),
        (
            {"allOf": [{"properties": {"b": {"type": "string"}}}, {"required": ["b"], "description": "D"}]},
            {"type": "object", "description": "D", "properties": {"b": {"type": "string"}}, "required": ["b"]},
        ),
    ],
)
def test_what_has_another_form_is_exact(schema: Any, found: Any) -> None:
    assert member(schema) == (found, True)


@pytest.mark.parametrize(
    ("schema", "found"),
    [
        ({"type": "integer", "exclusiveMinimum": 0, "description": "D"}, {"type": "integer", "description": 'D\n\n{"exclusiveMinimum":0}'}),
        ({"type": "string", "format": "uri"}, {"type": "string", "description": '{"format":"uri"}'}),
        ({"enum": [1, 2]}, {"type": "integer", "description": '{"enum":[1,2]}'}),
        ({"const": 0.5}, {"type": "number", "description": '{"enum":[0.5]}'}),
        ({"type": "array"}, {"type": "array", "items": {"type": "string"}}),
        ({}, {"type": "string"}),
        (True, {"type": "string"}),
        ({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a", "b", []]}, {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "description": '{"required":["b",[]]}'}),
        ({"type": "object", "additionalProperties": {"type": "string"}}, {"type": "object", "description": '{"additionalProperties":{"type":"string"}}'}),
    ],
)  # fmt: skip
def test_what_cannot_be_said_is_described(schema: Any, found: Any) -> None:
    assert member(schema) == (found, False)


def test_references_are_replaced() -> None:
    root = {"$defs": {"A/b": {"type": "string", "description": "Old"}}}
    assert member({"$ref": "#/$defs/A~1b", "description": "New"}, **root) == (
        {"type": "string", "description": "New"},
        True,
    )
    nullable = {"anyOf": [{"$ref": "#/$defs/A~1b"}, {"type": "null"}]}
    assert member(nullable, **root) == ({"type": "string", "description": "Old", "nullable": True}, True)


@pytest.mark.parametrize("reference", ["#/$defs/gone", "https://a.example/schema", "#/properties/a"])
def test_a_reference_to_nothing_or_to_itself_is_any_object(reference: str) -> None:
    assert member({"$ref": reference}) == ({"type": "object"}, False)


def test_a_recursion_ends() -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}
    found, exact = member({"$ref": "#/$defs/Node"}, **{"$defs": {"Node": node}})
    assert found == {"type": "object", "properties": {"next": {"type": "object"}}}
    assert not exact
    assert openapi_schema({"$ref": "#"}).schema == {"type": "object"}


def test_references_that_double_at_each_step_end() -> None:
    names = "abcdefghijklmnopqrstuvwxyz"
    definitions: dict[str, Any] = {
        one: {"type": "object", "properties": {side: {"$ref": f"#/$defs/{other}"} for side in ("l", "r")}}
        for one, other in pairwise(names)
    }
    assert not openapi_schema({"$ref": "#/$defs/a", "$defs": definitions}).exact


def test_a_deep_schema_ends() -> None:
    schema: Any = {"type": "string"}
    for _ in range(5000):
        schema = {"type": "array", "items": schema}
    assert converted(schema) == ({"type": "object"}, False)


KEYWORDS = st.sampled_from(
    ["type", "properties", "items", "anyOf", "oneOf", "allOf", "$ref", "$defs", "enum", "const", "required", "format",
     "additionalProperties", "not", "nullable", "minimum", "x"]
)  # fmt: skip
VALUES = st.sampled_from(["string", "object", "array", "null", "#", "#/$defs/x", 1, None, True, "x"])
SCHEMAS = st.recursive(
    VALUES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYWORDS, inner, max_size=4), max_leaves=12
)


def structure(schema: Any) -> Any:
    """A schema without what a client may have written wrongly, such as a text as ``minimum``."""
    if not isinstance(schema, dict):
        return schema
    kept = {name: value for name, value in schema.items() if name in ("type", "nullable", "required", "enum", "format")}
    for name in ("properties", "items", "anyOf"):
        value = schema.get(name)
        if name == "properties" and value is not None:
            kept[name] = {key: structure(each) for key, each in value.items()}
        elif value is not None:
            kept[name] = [structure(each) for each in value] if name == "anyOf" else structure(value)
    return kept


@given(SCHEMAS)
def test_the_api_takes_what_any_schema_becomes(schema: Any) -> None:
    Schema.model_validate(structure(openapi_schema(schema).schema))
