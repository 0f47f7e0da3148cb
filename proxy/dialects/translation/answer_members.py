"""Reading members of answers leniently: a value of another type counts as absent."""

from __future__ import annotations

from typing import Any

from proxy.dialects.translation.members import JsonObject


def text_at(holder: JsonObject, name: str) -> str:
    value = holder.get(name)
    return value if isinstance(value, str) else ""


def number_at(holder: JsonObject, name: str) -> int | None:
    value = holder.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def object_at(holder: Any, name: str) -> JsonObject:
    """An empty object if it is absent, or if ``holder`` is no object."""
    value = holder.get(name) if isinstance(holder, dict) else None
    return value if isinstance(value, dict) else {}


def list_at(holder: JsonObject, name: str) -> list[Any]:
    value = holder.get(name)
    return value if isinstance(value, list) else []


def objects_at(holder: JsonObject, name: str) -> list[JsonObject]:
    """The objects of a list."""
    return [each for each in list_at(holder, name) if isinstance(each, dict)]
