"""Routing criteria in the body, and the request and response headers that the gateway adds to the API."""

from __future__ import annotations

from typing import Any, Final, get_args

from proxy.cache.directives import LONGEST_TAG, WORDS
from proxy.cache.directives import MOST_TAGS as MOST_CACHE_TAGS
from proxy.config.labels import LONGEST_LABEL, LONGEST_VALUE, MOST_LABELS
from proxy.config.schema import Recovery
from proxy.exchange import CacheOutcome
from proxy.wire.attribution import BUDGET_PATTERN, LONGEST_RUN
from proxy.wire.criteria import HEADERS, LONGEST, MOST_TAGS, MOST_TOKENS

_TEXT: Final = {"type": "string"}
_NUMBER: Final = {"type": "integer", "minimum": 0}
_BOOLEAN: Final = {"type": "string", "enum": ["true", "false"]}

# Fields of a body that restrict what ``auto`` chooses from. The same criteria exist as headers, x-router-....
CRITERIA: Final[dict[str, dict[str, Any]]] = {
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
        "description": "For `auto`: only models of this type; `fast` is a speed tier.",
    },
    "min_context_size": {
        "type": ["integer", "null"],
        "minimum": 0,
        "maximum": MOST_TOKENS,
        "description": "For `auto`: only models with a context of at least this many tokens.",
    },
    "json_response": {"type": ["boolean", "null"], "description": "For `auto`: only models that can respond in JSON."},
    "prefer_fast": {
        "type": ["boolean", "null"],
        "description": "Prefer deployments with a short time to the first token, also for a named model.",
    },
    "min_success_rate": {
        "type": ["number", "null"],
        "minimum": 0,
        "maximum": 1,
        "description": "For `auto`: only models with at least this success rate.",
    },
}

_HEADER_SCHEMAS: Final[dict[str, dict[str, Any]]] = {
    "tags": {**_TEXT, "examples": ["code,fast"]},
    "type": {"type": "string", "maxLength": LONGEST},
    "min_context_size": {"type": "integer", "minimum": 0, "maximum": MOST_TOKENS},
    "json_response": _BOOLEAN,
    "prefer_fast": _BOOLEAN,
    "min_success_rate": {"type": "number", "minimum": 0, "maximum": 1},
}

# Values may also have characters beyond ASCII.
_LABEL: Final = (
    rf"[A-Za-z0-9][A-Za-z0-9._/-]{{0,{LONGEST_LABEL - 1}}}=[!-+\--~]([ -+\--~]{{0,{LONGEST_VALUE - 2}}}[!-+\--~])?"
)

_TAG: Final = rf"[!-+\--~]{{1,{LONGEST_TAG}}}"

_REQUEST_HEADERS: Final[dict[str, tuple[dict[str, Any], str]]] = {
    "x-request-id": (
        {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,128}$"},
        "The id of the request in the response, the log and at the provider; generated if absent.",
    ),
    "x-router-decision": (_BOOLEAN, "Explain the choice of the deployment in the response header of the same name."),
    "x-router-metadata": (_BOOLEAN, "Say what the call cost in `_router`, and end a stream with that as a comment."),
    "x-router-stream-recovery": (
        {"type": "string", "enum": list(get_args(Recovery))},
        "What to do if a stream breaks after its first content.",
    ),
    "x-router-labels": (
        {"type": "string", "pattern": f"^{_LABEL}(, {_LABEL}){{0,{MOST_LABELS - 1}}}$", "examples": ["ticket=ABC-1"]},
        "Labels to account the request to. A label of the credential with the same name takes precedence.",
    ),
    "x-router-run": (
        {"type": "string", "maxLength": LONGEST_RUN},
        "The run that the request belongs to; by default the session that Claude Code or Codex names.",
    ),
    "x-router-budget-usd": (
        {"type": "string", "pattern": f"^{BUDGET_PATTERN}$", "examples": ["0.50"]},
        "Lower what the run may cost, in USD. It never raises a configured budget.",
    ),
    "x-router-cache": (
        {"type": "string", "enum": list(WORDS)},
        "`off`: no cache. `refresh`: a new answer, which is stored. `only`: a cached answer, or 504.",
    ),
    "x-router-cache-tags": (
        {"type": "string", "pattern": f"^{_TAG}(, {_TAG}){{0,{MOST_CACHE_TAGS - 1}}}$", "examples": ["prices"]},
        "Tags by which the cached answer can be invalidated.",
    ),
}

_RESPONSE_HEADERS: Final[dict[str, tuple[dict[str, Any], str]]] = {
    "x-request-id": (_TEXT, "The id of the request, as in the log."),
    "x-router-provider": (_TEXT, "The provider that answered."),
    "x-router-model": (_TEXT, "The name of the model at the provider."),
    "x-router-attempts": (_NUMBER, "The number of attempts."),
    "x-router-fallback-used": (_TEXT, "`true` if another model than the first choice answered."),
    "x-router-errors": (_TEXT, "Failed attempts in order, as deployment=kind."),
    "x-router-decision": (_TEXT, "Why the deployment was chosen, as JSON; on request only."),
    "x-router-budget": (
        _TEXT,
        "Budgets of the caller that have reached a threshold, with the percent that is used and when they are renewed.",
    ),
    "x-router-cache": (
        {"type": "string", "enum": list(get_args(CacheOutcome))},
        "What the cache did, if it is on: `stale` is an old answer, as no provider answered; `bypass`: not cached.",
    ),
    "Age": (_NUMBER, "How old an answer from the cache is, in seconds."),
    "X-RateLimit-Limit": (_NUMBER, "The size of the rate limit with the least left."),
    "X-RateLimit-Remaining": (_NUMBER, "What is left of that limit."),
    "X-RateLimit-Reset": (_NUMBER, "When that limit is full again, in Unix seconds."),
    "Retry-After": (_NUMBER, "Seconds to wait before another request."),
}


def parameter_components() -> dict[str, Any]:
    """The ``parameters`` components: request headers."""
    criteria = {
        header: _header(header, _HEADER_SCHEMAS[name], f"{CRITERIA[name]['description']} Like `{name}` in the body.")
        for header, name in HEADERS.items()
    }
    return criteria | {name: _header(name, schema, text) for name, (schema, text) in _REQUEST_HEADERS.items()}


def header_components() -> dict[str, Any]:
    """The ``headers`` components: response headers."""
    return {name: {"schema": schema, "description": text} for name, (schema, text) in _RESPONSE_HEADERS.items()}


def parameter_references() -> list[dict[str, Any]]:
    """The headers that every request to the API may have."""
    return [{"$ref": f"#/components/parameters/{name}"} for name in (*HEADERS, *_REQUEST_HEADERS)]


def header_references() -> dict[str, Any]:
    """The headers of every successful response of the API."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in _RESPONSE_HEADERS if name != "Retry-After"}


def _header(name: str, schema: dict[str, Any], text: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, "schema": schema, "description": text}
