"""What clients may say to the gateway beside the body that the API defines, and what it says beside the answer."""

from __future__ import annotations

from typing import Any, get_args

from proxy.config.schema import Recovery
from proxy.wire.criteria import HEADERS, LONGEST, MOST_TAGS, MOST_TOKENS

_TEXT = {"type": "string"}
_NUMBER = {"type": "integer", "minimum": 0}
_SWITCH = {"type": "string", "enum": ["true", "false"]}

# The router fields of a body, by which ``auto`` chooses. As headers they are named x-router-..., with text for JSON.
CRITERIA: dict[str, dict[str, Any]] = {
    "tags": {
        "type": ["array", "null"],
        "items": {"type": "string", "minLength": 1, "maxLength": LONGEST},
        "maxItems": MOST_TAGS,
        "description": "For `auto`: only models with all of these tags.",
    },
    "type": {
        "type": ["string", "null"],
        "minLength": 1,
        "maxLength": LONGEST,
        "description": "For `auto`: only models of this type, or, with `fast`, of that speed tier.",
    },
    "min_context_size": {
        "type": ["integer", "null"],
        "minimum": 0,
        "maximum": MOST_TOKENS,
        "description": "For `auto`: only models with room for so many tokens.",
    },
    "json_response": {"type": ["boolean", "null"], "description": "For `auto`: only models that can answer in JSON."},
    "prefer_fast": {
        "type": ["boolean", "null"],
        "description": "First the quickest to their first token, among the deployments of a named model too.",
    },
    "min_success_rate": {
        "type": ["number", "null"],
        "minimum": 0,
        "maximum": 1,
        "description": "For `auto`: only models of whose latest answers this part went well.",
    },
}

_AS_TEXT: dict[str, dict[str, Any]] = {
    "tags": {**_TEXT, "examples": ["code,fast"]},
    "type": {"type": "string", "maxLength": LONGEST},
    "min_context_size": {"type": "integer", "minimum": 0, "maximum": MOST_TOKENS},
    "json_response": _SWITCH,
    "prefer_fast": _SWITCH,
    "min_success_rate": {"type": "number", "minimum": 0, "maximum": 1},
}

_ASKED: dict[str, tuple[dict[str, Any], str]] = {
    "x-request-id": (
        {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,128}$"},
        "The id of the request in answer, log and provider; without one the gateway makes one.",
    ),
    "x-router-decision": (_SWITCH, "Explain the choice in the header of the answer with the same name."),
    "x-router-metadata": (_SWITCH, "End a stream with a comment that says who answered."),
    "x-router-stream-recovery": (
        {"type": "string", "enum": list(get_args(Recovery))},
        "What becomes of a stream that breaks behind its first content.",
    ),
}

_TOLD: dict[str, tuple[dict[str, Any], str]] = {
    "x-request-id": (_TEXT, "The id of the request, in the log as well."),
    "x-router-provider": (_TEXT, "Who answered."),
    "x-router-model": (_TEXT, "What the model is called there."),
    "x-router-attempts": (_NUMBER, "How often a provider was asked."),
    "x-router-fallback-used": (_TEXT, "`true` where another model than the first choice answered."),
    "x-router-errors": (_TEXT, "What failed before: deployment=kind, in order."),
    "x-router-decision": (_TEXT, "How the choice came about, as JSON; on demand only."),
    "X-RateLimit-Limit": (_NUMBER, "What the tightest limit allows."),
    "X-RateLimit-Remaining": (_NUMBER, "What is left of it."),
    "X-RateLimit-Reset": (_NUMBER, "When it is whole again, in Unix seconds."),
    "Retry-After": (_NUMBER, "After so many seconds it may be worth another try."),
}
_RETRY = "Retry-After"


def parameters() -> dict[str, Any]:
    """The components ``parameters``: all are headers."""
    wishes = {
        header: _header(header, _AS_TEXT[name], CRITERIA[name]["description"] + f" The same as `{name}` in the body.")
        for header, name in HEADERS.items()
    }
    return wishes | {name: _header(name, schema, text) for name, (schema, text) in _ASKED.items()}


def headers() -> dict[str, Any]:
    """The components ``headers``."""
    return {name: {"schema": schema, "description": text} for name, (schema, text) in _TOLD.items()}


def asked() -> list[dict[str, Any]]:
    """What every request to the API may bring along."""
    return [{"$ref": f"#/components/parameters/{name}"} for name in (*HEADERS, *_ASKED)]


def told() -> dict[str, Any]:
    """What comes with every good answer of the API."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in _TOLD if name != _RETRY}


def _header(name: str, schema: dict[str, Any], text: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, "schema": schema, "description": text}
