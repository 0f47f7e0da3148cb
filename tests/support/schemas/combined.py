"""Requests with several members at once, each with a mark of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from tests.support.schemas.requests import RequestSchema
from tests.support.schemas.variants import MARK, Variant


def combined(schema: RequestSchema, variants: Sequence[Variant]) -> dict[str, Any]:
    """One request with the members of all ``variants``. Where two exclude each other, the first has its place."""
    found: dict[str, Any] = {}
    for at, variant in enumerate(variants):
        request = json.dumps(schema.request(variant, variant.values[0]))
        found = _merged(found, json.loads(request.replace(MARK, _mark(at))))
    return found


def marks(request: Any, count: int) -> Iterator[tuple[str, str]]:
    """The marks that are in a request, each with the path of the text or of the name that it is in."""
    expected = [_mark(at) for at in range(count)]
    for path, text in _texts(request, ""):
        yield from ((mark, path) for mark in expected if mark in text)


def _mark(at: int) -> str:
    return f"{MARK[:-4]}{at:04}"


def _merged(first: Any, second: Any) -> Any:
    if isinstance(first, dict) and isinstance(second, dict) and first.get("type") == second.get("type"):
        common = {name: _merged(first[name], second[name]) for name in first.keys() & second.keys()}
        return first | second | common
    return [*first, *second] if isinstance(first, list) and isinstance(second, list) else first


def _texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    match value:
        case str():
            yield path, value
        case list():
            for each in value:
                yield from _texts(each, f"{path}[]")
        case dict():
            for name, inner in value.items():
                yield path, name
                yield from _texts(inner, f"{path}.{name}" if path else name)
