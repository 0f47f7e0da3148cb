"""Schemas out of OpenAPI documents."""

from __future__ import annotations

from tests.support.schemas.nodes import Either, Items, Leaf, Member
from tests.support.schemas.openapi import OpenApi

DOCUMENT = {
    "components": {
        "schemas": {
            "Request": {
                "allOf": [
                    {"$ref": "#/components/schemas/Base"},
                    {
                        "type": "object",
                        "properties": {
                            "input": {
                                "oneOf": [
                                    {"type": "string"},
                                    {"type": "array", "items": {"$ref": "#/components/schemas/Item"}},
                                ]
                            },
                            "tier": {"anyOf": [{"type": "string", "enum": ["auto", "fast"]}, {"type": "null"}]},
                        },
                        "required": ["input"],
                    },
                ]
            },
            "Base": {
                "type": "object",
                "properties": {
                    "model": {"anyOf": [{"type": "string"}, {"type": "string", "enum": ["a"]}]},
                    "temperature": {"type": ["number", "null"]},
                    "metadata": {"type": "object", "additionalProperties": {"type": "string"}},
                    "any": {},
                    "described": {"description": "One.", "allOf": [{"$ref": "#/components/schemas/Size"}]},
                },
                "required": ["model"],
            },
            "Size": {"type": "integer"},
            "Item": {
                "type": "object",
                "properties": {"type": {"const": "item"}, "inner": {"$ref": "#/components/schemas/Item"}},
                "required": ["type"],
            },
        }
    }
}


def test_members_of_all_parts_of_an_object_have_their_types() -> None:
    document = OpenApi(DOCUMENT)
    item = document.shape("Item")
    assert document.shape("Request").members == {
        "model": Member(Leaf("text"), True),
        "temperature": Member(Leaf("number")),
        "metadata": Member(Leaf("table")),
        "any": Member(Leaf("any")),
        "described": Member(Leaf("whole")),
        "input": Member(Either((Leaf("text"), Items(item))), True),
        "tier": Member(Leaf("enumeration", ("auto", "fast"))),
    }
    assert item.members["inner"].node is item
