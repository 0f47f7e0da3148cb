"""JSON Schema of structs."""

from __future__ import annotations

from proxy.control.activity.requests import RequestFilter
from proxy.control.http.operation import Operation
from proxy.control.keys.schemas import KeyRotation, NewKey
from proxy.control.openapi.schemas import Schemas, query_parameters


def test_query_parameters_have_bounds_and_defaults() -> None:
    found = {each["name"]: each for each in query_parameters(RequestFilter)}
    assert found["limit"]["schema"] == {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}
    assert not found["before"]["required"]


def test_a_union_of_structs_becomes_any_of() -> None:
    schemas = Schemas([*Operation("keys", "x", NewKey | KeyRotation).types])
    assert schemas.of(NewKey | KeyRotation) == {
        "anyOf": [{"$ref": "#/components/schemas/NewKey"}, {"$ref": "#/components/schemas/KeyRotation"}]
    }
