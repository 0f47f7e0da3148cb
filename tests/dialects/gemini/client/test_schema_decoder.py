"""Schemas of the Gemini API as JSON Schema."""

from __future__ import annotations

from typing import Any

import pytest
from google.genai import types
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.gemini.client.schema_decoder import json_schema

leaves = st.fixed_dictionaries(
    {"type": st.sampled_from(("STRING", "INTEGER", "NUMBER", "BOOLEAN"))},
    optional={"nullable": st.booleans(), "description": st.text(max_size=3), "enum": st.just(["a"])},
)
schemas = st.recursive(
    leaves,
    lambda inner: (
        st.fixed_dictionaries(
            {
                "type": st.just("OBJECT"),
                "properties": st.dictionaries(st.sampled_from(("maxItems", "type", "a_b")), inner),
            },
            optional={"required": st.just(["a_b"])},
        )
        | st.fixed_dictionaries({"type": st.just("ARRAY"), "items": inner}, optional={"minItems": st.just("1")})
        | st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1, max_size=2)})
    ),
    max_leaves=6,
)


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        (None, None),
        ({}, {}),
        ({"type": "STRING"}, {"type": "string"}),
        ({"type": "string"}, {"type": "string"}),
        ({"type": ["string", "null"]}, {"type": ["string", "null"]}),
        ({"type": "TYPE_UNSPECIFIED", "description": "x"}, {"description": "x"}),
        ({"type": "STRING", "nullable": True}, {"type": ["string", "null"]}),
        ({"type": "STRING", "nullable": False}, {"type": "string"}),
        ({"type": "NULL", "nullable": True}, {"type": "null"}),
        ({"type": "STRING", "enum": ["a"], "nullable": True}, {"type": ["string", "null"], "enum": ["a", None]}),
        ({"anyOf": [{"type": "STRING"}], "nullable": True}, {"anyOf": [{"type": "string"}, {"type": "null"}]}),
        ({"any_of": [{"type": "STRING"}]}, {"anyOf": [{"type": "string"}]}),
        ({"type": "ARRAY", "items": {"type": "NUMBER"}, "minItems": "1", "max_items": 3}, {"type": "array", "items": {"type": "number"}, "minItems": 1, "maxItems": 3}),
        ({"type": "STRING", "format": "enum", "enum": ["a"]}, {"type": "string", "enum": ["a"]}),
        ({"type": "INTEGER", "format": "int32", "minimum": 1}, {"type": "integer", "minimum": 1}),
        ({"type": "STRING", "format": "date-time"}, {"type": "string", "format": "date-time"}),
        ({"type": "STRING", "example": "x"}, {"type": "string", "examples": ["x"]}),
        ({"ref": "#/defs/Pet", "defs": {"Pet": {"type": "OBJECT"}}}, {"$ref": "#/$defs/Pet", "$defs": {"Pet": {"type": "object"}}}),
        ({"type": "OBJECT", "additional_properties": {"type": "STRING"}}, {"type": "object", "additionalProperties": {"type": "string"}}),
        ({"const": 1, "$comment": "kept"}, {"const": 1, "$comment": "kept"}),
        ({"maxItems": "many", "properties": [], "anyOf": 5, "enum": 5, "nullable": True}, {"maxItems": "many", "properties": [], "anyOf": 5, "enum": 5}),
    ],
)  # fmt: skip
def test_each_keyword_has_its_counterpart(own: Any, expected: Any) -> None:
    assert json_schema(own) == expected


def test_properties_keep_their_names_and_get_their_order() -> None:
    own = {
        "type": "OBJECT",
        "properties": {"b": {"type": "STRING"}, "max_items": {"type": "OBJECT"}, "any_of": {}},
        "property_ordering": ["any_of", "b", "gone"],
    }
    found = json_schema(own)
    assert list(found["properties"]) == ["any_of", "b", "max_items"]
    assert found["properties"]["max_items"] == {"type": "object"}
    assert "propertyOrdering" not in found


def test_closed_objects_have_no_other_members() -> None:
    inner = {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}}
    found = json_schema({"type": "ARRAY", "items": inner}, closed=True)
    assert found["items"]["additionalProperties"] is False
    assert json_schema({"type": "OBJECT"}, closed=True) == {"type": "object"}  # any object
    assert json_schema(inner | {"additionalProperties": True}, closed=True)["additionalProperties"] is True


@given(schemas)
def test_the_result_stays_as_it_is(own: dict[str, Any]) -> None:
    found = json_schema(own)
    assert json_schema(found) == found
    assert "nullable" not in str(found)


def test_each_keyword_that_the_sdk_knows_is_one_of_json_schema() -> None:
    """``nullable``, ``example`` and the order of properties are said otherwise."""
    known = {
        *("type", "format", "title", "description", "enum", "items", "properties", "required", "default", "pattern"),
        *("minimum", "maximum", "minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"),
        *("anyOf", "additionalProperties", "$ref", "$defs", "examples"),
    }
    values: dict[str, Any] = {
        "ref": "#/defs/A",
        "defs": {},
        "nullable": True,
        "propertyOrdering": ["a"],
        "type": "STRING",
    }
    for name, field in types.Schema.model_fields.items():
        for spelling in (name, field.alias or name):
            found = json_schema({spelling: values.get(field.alias or name, "1")})
            assert found.keys() <= known, spelling
