"""JSON Schemas in the subset that the API enforces."""

from __future__ import annotations

from typing import Any

import pytest
from anthropic.lib._parse._transform import transform_schema
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.anthropic.provider.output_schema import strict_schema

STRING = {"type": "string"}
CLOSED = {"additionalProperties": False}


def members(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def converted(schema: Any) -> Any:
    found = strict_schema(schema)
    assert found is not None
    return found.schema


@pytest.mark.parametrize(
    "schema",
    [
        members(a=STRING, b={"type": "integer", "description": "One."}) | CLOSED,
        members(a={"anyOf": [STRING, {"type": "null"}]}) | CLOSED,
        members(a={"type": ["string", "null"]}) | CLOSED,
        members(a={"enum": ["x", 1, None]}, b={"const": 2}) | CLOSED,
        members(a={"type": "array", "items": STRING, "minItems": 1}) | CLOSED,
        members(a={"type": "string", "format": "date-time"}) | CLOSED,
        members(a={"$ref": "#/$defs/b"}) | CLOSED | {"$defs": {"b": members(c=STRING) | CLOSED}},
    ],
)
def test_a_schema_of_the_subset_stays_as_it_is(schema: dict[str, Any]) -> None:
    found = strict_schema(schema)
    assert found is not None
    assert (found.schema, found.exact) == (schema, True)


def test_objects_are_closed_and_annotations_left_out() -> None:
    open_ = {"$schema": "x", "type": "object", "properties": {"a": {"type": "object", "examples": [1]}}}
    inner = {"type": "object", "properties": {}, "required": []} | CLOSED
    assert converted(open_) == {"type": "object", "properties": {"a": inner}, "required": []} | CLOSED


def test_constraints_that_cannot_be_enforced_are_described() -> None:
    found = strict_schema(
        members(a={"type": "integer", "minimum": 1, "description": "One."}, b={"type": "string", "format": "ip"})
    )
    assert found is not None
    assert not found.exact
    assert found.schema["properties"]["a"] == {"type": "integer", "description": 'One.\n\n{"minimum":1}'}
    assert found.schema["properties"]["b"] == {"type": "string", "description": '{"format":"ip"}'}


def test_a_format_of_a_wrong_type_is_described() -> None:
    found = strict_schema(STRING | {"format": ["uri"]})
    assert found is not None
    assert (found.schema, found.exact) == (STRING | {"description": '{"format":["uri"]}'}, False)


def test_one_of_is_any_of() -> None:
    assert converted({"oneOf": [STRING, {"type": "null"}]}) == {"anyOf": [STRING, {"type": "null"}]}


def test_optional_members_and_unions_are_counted() -> None:
    union = {"anyOf": [STRING, {"type": "null"}]}
    found = strict_schema(
        {"type": "object", "properties": {"a": union, "b": {"type": ["string", "null"]}, "c": members(d=STRING)}}
    )
    assert found is not None
    assert (found.optional, found.unions) == (3, 2)


@pytest.mark.parametrize(
    "schema",
    [
        None,
        True,
        {},
        {"description": "Anything."},
        members(a={}),
        {"type": "object", "additionalProperties": True},
        {"type": "object", "additionalProperties": STRING},
        {"type": "object", "patternProperties": {"a": STRING}},
        {"type": "array"},
        {"type": "array", "prefixItems": [STRING]},
        {"not": STRING},
        STRING | {"not": {}},
        {"anyOf": STRING},
        {"type": "object", "properties": []},
        {"type": "object", "properties": {"a": STRING}, "required": "a"},
        members(a={"$ref": "#"}),
        members(a={"$ref": "https://a.example"}),
        {"$defs": {"a": members(b={"$ref": "#/$defs/a"})}, "$ref": "#/$defs/a"},
        {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
    ],
)
def test_a_schema_that_allows_more_has_no_counterpart(schema: Any) -> None:
    assert strict_schema(schema) is None


def test_definitions_may_refer_to_each_other() -> None:
    schema = {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": STRING}, "anyOf": [{"$ref": "#/$defs/a"}, {"type": "null"}]}
    assert converted(schema) == schema


def test_a_schema_of_any_depth_is_read() -> None:
    schema: dict[str, Any] = STRING
    for _ in range(5000):
        schema = {"type": "array", "items": schema}
    assert strict_schema(schema) is None


# Schemas that the anthropic package converts, too.
LEAVES = st.sampled_from([STRING, {"type": "integer"}, {"type": "boolean", "description": "x"}, {"enum": ["a", "b"]}])
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: (
        st.builds(lambda items: {"type": "array", "items": items}, inner)
        | st.builds(lambda a, b: members(a=a, b=b), inner, inner)
        | st.builds(lambda a, b: {"anyOf": [a, b], "title": "t"}, inner, inner)
    ),
    max_leaves=8,
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("type", "properties", "items", "anyOf", "$ref", "$defs", "required", "a", "additionalProperties"),
                    *("format", "minItems", "enum", "const", "allOf", "oneOf", "description", "title"),
                ]
            ),
            inner | st.sampled_from(["object", "array", "string", "#/$defs/a"]),
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(SCHEMAS)
def test_the_subset_is_that_of_the_sdk(schema: dict[str, Any]) -> None:
    assert converted(schema) == transform_schema(schema)


@given(JSON)
def test_nothing_raises(schema: Any) -> None:
    strict_schema(schema)
