from __future__ import annotations

from typing import Any

import pytest

from proxy.dialects.translation.strict_schemas import is_strict

TEXT: dict[str, Any] = {"type": "string"}


def closed(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def test_objects_whose_members_are_all_required_and_no_others_are_strict() -> None:
    assert is_strict(closed(a=TEXT, b={"type": "array", "items": closed(c=TEXT)}))
    assert is_strict(closed(a={"anyOf": [TEXT, {"$ref": "#/$defs/b"}]}) | {"$defs": {"b": closed()}})


@pytest.mark.parametrize(
    "lax",
    [
        {"type": "object"},
        closed(a=TEXT) | {"required": []},
        closed(a=TEXT) | {"additionalProperties": TEXT},
        closed(a={"type": "object", "properties": {}}),
        closed(a=TEXT) | {"$defs": {"b": {"type": "object"}}},
        closed(a={"oneOf": [TEXT]}),
    ],
)
def test_other_schemas_are_not(lax: dict[str, Any]) -> None:
    assert not is_strict(lax)


def test_a_member_may_have_the_name_of_a_keyword() -> None:
    assert is_strict(closed(**{"not": TEXT, "if": TEXT, "properties": TEXT, "type": TEXT}))
