"""Requests that clients really sent, with a mark in one text after the other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from tests.support.recorded import SHARED, cases
from tests.support.schemas.variants import MARK

MOST_BYTES: Final = 100_000

# Members whose texts are words of the API, so that any other would be wrong.
_WORDS: Final = frozenset(
    ("type", "role", "model", "tool_choice", "mode", "format", "detail", "media_type", "mime_type", "syntax", "input")
) | {
    "include",
    "modalities",
    "service_tier",
    "status",
    "search_context_size",
    "effort",
    "reasoning_effort",
    "anthropic_version",
}
_HISTORIES: Final = frozenset(("messages", "input", "contents"))


@dataclass(frozen=True, eq=False)
class RealRequest:
    """``dialect`` as in ``translators.DECODERS``."""

    name: str
    dialect: str
    body: dict[str, Any]

    def __str__(self) -> str:
        return self.name

    def marked(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """The request with a mark at the end of one text, for each text, with the path of that."""
        return _marked(self.body, "")


@cache
def real_requests() -> list[RealRequest]:
    """All in a stable order; none where there is no recorded traffic."""
    found = [(str(case), case.request, _dialect(case.path)) for case in cases()]
    kong = SHARED / "translate" / "kong" / "spec" / "fixtures" / "ai-proxy"
    sent = [path for path in sorted(kong.rglob("good*.json")) if "requests" in path.parts]
    sent += sorted(path for path in kong.rglob("tool_choice_*.json") if "requests" in path.parts)
    found += [(path.relative_to(kong).as_posix(), path.read_bytes(), "chat") for path in sent]
    native = sorted((kong / "native" / "gemini" / "request").glob("*.json"))
    found += [(path.relative_to(kong).as_posix(), path.read_bytes(), "gemini") for path in native]
    requests = (RealRequest(name, dialect, _object(body)) for name, body, dialect in found if len(body) <= MOST_BYTES)
    return [each for each in requests if each.dialect and not _HISTORIES.isdisjoint(each.body)]


def _dialect(path: str) -> str:
    kinds = {"/chat/completions": "chat", "/responses": "responses", "/messages": "messages"}
    return next((dialect for end, dialect in kinds.items() if path.partition("?")[0].endswith(end)), "")


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _marked(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    match value:
        case str() if path.rpartition(".")[2].removesuffix("[]") not in _WORDS:
            yield path, _with_mark(value)
        case list():
            for at, item in enumerate(value):
                yield from (
                    (inner, [*value[:at], each, *value[at + 1 :]]) for inner, each in _marked(item, f"{path}[]")
                )
        case dict():
            for name, item in value.items():
                outer = f"{path}.{name}" if path else name
                yield from ((inner, value | {name: each}) for inner, each in _marked(item, outer))


def _with_mark(text: str) -> str:
    """The text still has its form: JSON stays JSON, and base64 base64."""
    try:
        found = json.loads(text)
    except ValueError:
        return text + MARK
    return json.dumps(found | {MARK: 1}) if isinstance(found, dict) else text + MARK
