"""Values for a JSON schema: arguments of tools, and structured outputs.

Supports what providers support (https://platform.openai.com/docs/guides/structured-outputs): types, ``enum``,
``const``, ``anyOf``, ``allOf``, local ``$ref``, bounds, and a few formats. Patterns are ignored.
"""

from __future__ import annotations

import math
import re
from typing import Any, Final

DEEP: Final = 12  # levels; beyond them what may be left out is left out

_FORMATS: Final = {
    "date-time": "2030-01-31T12:00:00Z",
    "date": "2030-01-31",
    "time": "12:00:00Z",
    "duration": "PT1H",
    "email": "demo@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


class BadSchema(ValueError):
    """Not a valid schema."""


def fitting(schema: Any, prompt: str) -> Any:
    """A value for the schema. Raises BadSchema."""
    try:
        return Sampler(schema, prompt).sample(schema)
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise BadSchema(f"Invalid JSON schema: {type(error).__name__}.") from None


class Sampler:
    """Makes values for the schemas of one document, with texts and numbers from the ``prompt``."""

    def __init__(self, document: Any, prompt: str) -> None:
        self._document = document
        self._prompt = prompt

    def sample(self, schema: Any, depth: int = 0) -> Any:
        """A value for a schema; ``None`` without a schema, or if only deeply nested values fit."""
        schema = self._resolved(schema)
        if not isinstance(schema, dict):
            return _subject(self._prompt) if schema is True else None
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return schema["enum"][0]
        if options := schema.get("anyOf") or schema.get("oneOf"):
            return self._one_of([self._merged(schema, option) for option in options], depth)
        match _type(schema):
            case "integer" | "number" as kind:
                return _number(schema, self._prompt, whole=kind == "integer")
            case "boolean":
                return True
            case "array":
                return self._array(schema, depth)
            case "object":
                return self._object(schema, depth)
            case "null":
                return None
        return _text(schema, self._prompt)

    def _object(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        properties = schema.get("properties") or {}
        names = schema.get("required") or []
        if depth < DEEP:
            names = names or list(properties)
        return {name: self.sample(properties.get(name, True), depth + 1) for name in names}

    def _array(self, schema: dict[str, Any], depth: int) -> list[Any]:
        least, most = schema.get("minItems", 0), schema.get("maxItems", 1)
        count = max(least, min(1, most) if "items" in schema and depth < DEEP else 0)
        return [self.sample(schema.get("items", True), depth + 1) for _ in range(count)]

    def _one_of(self, options: list[Any], depth: int) -> Any:
        """The first that is not null; null where it is deep, so that a schema within itself ends."""
        options = [self._resolved(option) for option in options]
        nulls = [option for option in options if isinstance(option, dict) and _type(option) == "null"]
        others = [option for option in options if option not in nulls]
        if nulls and (depth >= DEEP or not others):
            return None
        return self.sample(others[0], depth + 1)

    def _resolved(self, schema: Any) -> Any:
        """Without references, and with the parts of ``allOf`` put together."""
        for _ in range(DEEP):
            if not isinstance(schema, dict):
                return schema
            if isinstance(reference := schema.get("$ref"), str):
                schema = self._merged(schema, self._at(reference), without="$ref")
            elif parts := schema.get("allOf"):
                for part in parts:
                    schema = self._merged(schema, self._resolved(part), without="allOf")
            else:
                return schema
        return schema

    def _merged(self, schema: dict[str, Any], more: Any, without: str = "anyOf") -> Any:
        rest = {name: value for name, value in schema.items() if name not in (without, "oneOf", "$defs", "definitions")}
        if not isinstance(more, dict):
            return rest or more
        both = rest | more
        for name in ("properties", "required"):
            if name in rest and name in more:
                both[name] = rest[name] | more[name] if name == "properties" else [*rest[name], *more[name]]
        return both

    def _at(self, reference: str) -> Any:
        """What a JSON pointer (RFC 6901) of the document leads to."""
        found = self._document
        for step in reference.removeprefix("#").split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            found = found.get(name) if isinstance(found, dict) else None
        return found


def _type(schema: dict[str, Any]) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((each for each in kind if each != "null"), "null")
    if isinstance(kind, str):
        return kind.lower()  # Google's types are in capitals
    return "object" if "properties" in schema else "array" if "items" in schema else ""


def _number(schema: dict[str, Any], prompt: str, *, whole: bool) -> float:
    step = schema.get("multipleOf") or (1 if whole else 0)
    least, most = _bounds(schema, step or 0.5)
    wanted = int(found[0]) if (found := re.findall(r"\d{1,9}", prompt)) else 1
    value = min(max(wanted, least), most)
    if step:
        value = math.ceil(value / step) * step
        value = value if value <= most else math.floor(most / step) * step
    return int(value) if whole else value


def _bounds(schema: dict[str, Any], step: float) -> tuple[float, float]:
    least, most = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)
    if isinstance(above := schema.get("exclusiveMinimum"), int | float) and not isinstance(above, bool):
        least = max(least, above + step)
    if isinstance(below := schema.get("exclusiveMaximum"), int | float) and not isinstance(below, bool):
        most = min(most, below - step)
    return least, most


def _text(schema: dict[str, Any], prompt: str) -> str:
    name = str(schema.get("format", ""))
    if name in _FORMATS:
        return _FORMATS[name]
    text = _subject(prompt)
    text += "." * (int(schema.get("minLength", 0)) - len(text))
    longest: int = schema.get("maxLength", len(text))
    return text[:longest]


def _subject(prompt: str) -> str:
    """What the prompt has between backticks, else the last name in it ("weather in Paris?" -> "Paris") or word."""
    if quoted := re.search(r"`([^`\n]+)`", prompt):
        return quoted[1]
    words: list[str] = re.findall(r"\w+", prompt) or ["demo"]
    names = [word for word in words[1:] if word[0].isupper()]
    return names[-1] if names else words[-1]
