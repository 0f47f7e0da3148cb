"""Samples of the demo are valid against their schema."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.demo.schema import BadSchema, fitting

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 20, "maxLength": 30},
        "age": {"type": "integer", "minimum": 18, "maximum": 99},
        "score": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
        "role": {"enum": ["admin", "user"]},
        "kind": {"const": "person"},
        "nick": {"type": ["string", "null"]},
        "tags": {"type": "array", "items": {"type": "string"}, "minItems": 2},
        "address": {"$ref": "#/$defs/address"},
        "friend": {"anyOf": [{"$ref": "#"}, {"type": "null"}]},
    },
    "required": ["name", "age", "score", "role", "kind", "nick", "tags", "address", "friend"],
    "additionalProperties": False,
    "$defs": {
        "address": {"allOf": [{"type": "object", "properties": {"zip": {"type": "string"}}, "required": ["zip"]}]},
    },
}
TREE = {
    "$ref": "#/$defs/node",
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "value": {"type": "integer", "multipleOf": 7},
                "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
            },
            "required": ["value", "children"],
        }
    },
}

leaves = st.one_of(
    st.just({"type": "boolean"}),
    st.just({"type": "null"}),
    st.builds(
        lambda low, more: {"type": "integer", "minimum": low, "maximum": low + more},
        st.integers(-99, 99),
        st.integers(0, 9),
    ),
    st.builds(
        lambda low, more: {"type": "number", "exclusiveMinimum": low, "exclusiveMaximum": low + more},
        st.integers(-9, 9),
        st.integers(2, 9),
    ),
    st.builds(
        lambda low, more: {"type": "string", "minLength": low, "maxLength": low + more},
        st.integers(0, 9),
        st.integers(0, 9),
    ),
    st.lists(st.text() | st.integers() | st.none(), min_size=1, max_size=3).map(lambda some: {"enum": some}),
    st.text(max_size=5).map(lambda text: {"const": text}),
)
schemas = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(lambda items, least: {"type": "array", "items": items, "minItems": least}, inner, st.integers(0, 2)),
        st.dictionaries(st.text(max_size=4), inner, max_size=3).map(
            lambda properties: {"type": "object", "properties": properties, "required": list(properties)}
        ),
        st.lists(inner, min_size=1, max_size=3).map(lambda options: {"anyOf": options}),
    ),
    max_leaves=8,
)


def valid(schema: Any, prompt: str = "Weather in Paris for 300 days") -> Any:
    value = fitting(schema, prompt)
    jsonschema.validate(value, schema)
    return value


@pytest.mark.parametrize("schema", [PERSON, TREE, {"type": "string", "format": "uuid"}, {"items": {"type": "null"}}])
def test_a_sample_matches_its_schema(schema: dict[str, Any]) -> None:
    valid(schema)


@given(schemas, st.text(max_size=20))
def test_a_sample_matches_any_schema(schema: dict[str, Any], prompt: str) -> None:
    valid(schema, prompt)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=2)
            | st.dictionaries(
                st.sampled_from(["type", "properties", "items", "anyOf", "allOf", "$ref", "enum", "const", "required"]),
                inner,
                max_size=3,
            )
        ),
        max_leaves=8,
    )
)
def test_an_invalid_schema_is_rejected(schema: Any) -> None:
    with suppress(BadSchema):
        fitting(schema, "x")


def test_text_and_numbers_come_from_the_prompt() -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}
    assert valid(schema) == {"city": "Paris", "days": 300}


def test_a_text_between_backticks_is_taken_whole() -> None:
    assert valid({"type": "string"}, "Use Read on `/tmp/notes.txt` and `more`") == "/tmp/notes.txt"
    assert valid({"type": "string"}, "A lone ` and\n another ` in Paris") == "Paris"


def test_types_may_be_in_capitals_as_googles_are() -> None:
    schema = {"type": "OBJECT", "properties": {"days": {"type": "INTEGER"}, "go": {"type": "BOOLEAN"}}}
    assert fitting(schema, "3 days") == {"days": 3, "go": True}
