"""JSON Schema (2020-12) of the types that the control plane sends and receives."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from msgspec import Struct, json

from proxy.control.http.operation import union_members

_CODE = re.compile(r"``(.+?)``")


class Schemas:
    """``of`` returns the schema of one of ``types``; ``components`` are the named schemas that these refer to."""

    def __init__(self, types: Iterable[Any]) -> None:
        kinds = list(dict.fromkeys(types))
        found, components = json.schema_components(kinds, ref_template="#/components/schemas/{name}")
        self._of: dict[Any, dict[str, Any]] = {
            kind: _to_markdown(schema) for kind, schema in zip(kinds, found, strict=True)
        }
        self.components: dict[str, Any] = {name: _to_markdown(components[name]) for name in sorted(components)}

    def of(self, kind: Any) -> dict[str, Any]:
        """Raises KeyError for an unknown type. A union becomes ``anyOf``, because msgspec cannot describe it."""
        found = [self._of[each] for each in union_members(kind)]
        return found[0] if len(found) == 1 else {"anyOf": found}


def query_parameters(query: type[Struct]) -> list[dict[str, Any]]:
    """The fields of a struct as Parameter Objects of the query string."""
    _, components = json.schema_components([query], ref_template="#/components/schemas/{name}")
    schema = components[query.__name__]
    required = schema.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": field}
        for name, field in schema["properties"].items()
    ]


def _to_markdown(schema: Any) -> Any:
    """Turn the code marks of docstrings into those of CommonMark, in all descriptions."""
    if isinstance(schema, list):
        return [_to_markdown(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: _CODE.sub(r"`\1`", value) if name == "description" and isinstance(value, str) else _to_markdown(value)
        for name, value in schema.items()
    }
