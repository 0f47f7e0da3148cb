"""JSON Schemas that OpenAI takes as strict. Of dialects whose models keep to every schema, these are sent as such.

https://developers.openai.com/api/docs/guides/structured-outputs
"""

from __future__ import annotations

from typing import Any, Final

# Keywords that strict schemas lack.
_LAX: Final = frozenset(
    {
        *("allOf", "oneOf", "not", "if", "then", "else"),
        *("dependentRequired", "dependentSchemas", "patternProperties", "unevaluatedProperties"),
    }
)
_BY_NAME: Final = ("properties", "$defs", "definitions")  # of schemas, whose names may be keywords


def is_strict(schema: Any) -> bool:
    """Whether a schema can be strict: all its objects need all of their members, and no others."""
    if isinstance(schema, list):
        return all(map(is_strict, schema))
    if not isinstance(schema, dict):
        return True
    if not _LAX.isdisjoint(schema):
        return False
    if schema.get("type") == "object" or "properties" in schema:
        properties, required = schema.get("properties"), schema.get("required")
        if schema.get("additionalProperties") is not False or not isinstance(properties, dict):
            return False
        if not isinstance(required, list) or not all(name in required for name in properties):
            return False
    return all(
        is_strict(list(value.values()) if name in _BY_NAME and isinstance(value, dict) else value)
        for name, value in schema.items()
    )
