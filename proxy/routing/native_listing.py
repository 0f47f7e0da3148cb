"""Lists of models as clients of Anthropic and Google read them, page by page.

Sources: https://docs.claude.com/en/api/models-list and https://ai.google.dev/api/models
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct

from proxy.errors import ClientFault

_encode = msgspec.json.Encoder().encode

MOST_PARAMETERS: Final = 20
ANTHROPIC_PAGE: Final = 20  # models on a page, unless the client says otherwise
GEMINI_PAGE: Final = 50
LARGEST_PAGE: Final = 1000
_METHODS: Final = ("generateContent", "countTokens", "embedContent", "batchEmbedContents")  # paths of endpoints as well


class ListedModel(Struct, frozen=True):
    """A model for clients. ``endpoints`` are the paths that it serves; sizes in tokens, 0: unknown."""

    name: str
    endpoints: frozenset[str]
    context_size: int = 0
    max_output_tokens: int = 0


def anthropic_page(models: Sequence[ListedModel], created: int, query: str) -> bytes:
    """The body of GET /v1/models: ``limit``, ``after_id`` and ``before_id`` as in Anthropic's API.

    Raises ClientFault (400).
    """
    given = _parameters(query)
    size = _size(given, "limit", ANTHROPIC_PAGE)
    names = [model.name for model in models]
    begin, end = 0, len(models)
    if (after := given.get("after_id")) is not None:
        begin = _place(names, after, "after_id") + 1
    if (before := given.get("before_id")) is not None:
        end = _place(names, before, "before_id")
        begin = max(begin, end - size)
    page = models[begin:end][:size]
    return _encode(
        {
            "data": [_anthropic(model, created) for model in page],
            "has_more": begin > 0 if before is not None else begin + len(page) < end,
            "first_id": page[0].name if page else None,
            "last_id": page[-1].name if page else None,
        }
    )


def anthropic_model(model: ListedModel, created: int) -> bytes:
    """The body of GET /v1/models/{id}."""
    return _encode(_anthropic(model, created))


def gemini_page(models: Sequence[ListedModel], query: str) -> bytes:
    """The body of GET /v1beta/models: ``pageSize`` and ``pageToken`` as in Google's API. Raises ClientFault (400)."""
    given = _parameters(query)
    size = _size(given, "pageSize", GEMINI_PAGE)
    token = given.get("pageToken", "")
    begin = _place([model.name for model in models], token, "pageToken") + 1 if token else 0
    page = models[begin : begin + size]
    found: dict[str, Any] = {"models": [_gemini(model) for model in page]}
    if begin + len(page) < len(models):
        found["nextPageToken"] = page[-1].name
    return _encode(found)


def gemini_model(model: ListedModel) -> bytes:
    """The body of GET /v1beta/models/{model}."""
    return _encode(_gemini(model))


def _anthropic(model: ListedModel, created: int) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": "model",
        "id": model.name,
        "display_name": model.name,
        "created_at": datetime.fromtimestamp(created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    if model.context_size:
        found["max_input_tokens"] = model.context_size
    if model.max_output_tokens:
        found["max_tokens"] = model.max_output_tokens
    return found


def _gemini(model: ListedModel) -> dict[str, Any]:
    found: dict[str, Any] = {"name": f"models/{model.name}", "version": "", "displayName": model.name}
    if model.context_size:
        found["inputTokenLimit"] = model.context_size
    if model.max_output_tokens:
        found["outputTokenLimit"] = model.max_output_tokens
    found["supportedGenerationMethods"] = [each for each in _METHODS if each in model.endpoints]
    return found


def _parameters(query: str) -> Mapping[str, str]:
    """The parameters of a query, the first of each name. Unknown ones are ignored, as the APIs do."""
    found: dict[str, str] = {}
    try:
        for name, value in parse_qsl(query, keep_blank_values=True, max_num_fields=MOST_PARAMETERS):
            found.setdefault(name, value)
    except ValueError:
        raise ClientFault(f"The query has more than {MOST_PARAMETERS} parameters.", code="bad_query") from None
    return found


def _size(given: Mapping[str, str], name: str, usual: int) -> int:
    text = given.get(name, "")
    if not text:
        return usual
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text)):
        raise ClientFault(f"{name!r} must be a number from 1 to {LARGEST_PAGE}.", param=name, code="invalid_value")
    return min(int(text), LARGEST_PAGE)


def _place(names: Sequence[str], name: str, parameter: str) -> int:
    try:
        return names.index(name)
    except ValueError:
        raise ClientFault(
            f"{parameter!r} must be the id of a model in this list, as an earlier page had it.",
            param=parameter,
            code="invalid_value",
        ) from None
