"""The types of the control plane as JSON Schema (2020-12), each under its own name among the components."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from msgspec import Struct, json

from proxy.control.openapi.operation import one_of

_CODE = re.compile(r"``(.+?)``")


class Schemas:
    """``of`` is the schema of one of the ``types``; ``components`` are those that these refer to."""

    def __init__(self, types: Iterable[Any]) -> None:
        kinds = list(dict.fromkeys(types))
        found, components = json.schema_components(kinds, ref_template="#/components/schemas/{name}")
        self._of: dict[Any, dict[str, Any]] = {
            kind: _readable(schema) for kind, schema in zip(kinds, found, strict=True)
        }
        self.components: dict[str, Any] = {name: _readable(components[name]) for name in sorted(components)}

    def of(self, kind: Any) -> dict[str, Any]:
        """Raises KeyError for a type that is none of them."""
        found = [self._of[each] for each in one_of(kind)]
        return found[0] if len(found) == 1 else {"anyOf": found}


def parameters(query: type[Struct]) -> list[dict[str, Any]]:
    """The fields of a struct as parameters of the query string."""
    _, components = json.schema_components([query], ref_template="#/components/schemas/{name}")
    schema = components[query.__name__]
    required = schema.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": field}
        for name, field in schema["properties"].items()
    ]


def _readable(schema: Any) -> Any:
    """Docstrings are written for Python's tools; descriptions are CommonMark."""
    if isinstance(schema, list):
        return [_readable(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: _CODE.sub(r"`\1`", value) if name == "description" and isinstance(value, str) else _readable(value)
        for name, value in schema.items()
    }
