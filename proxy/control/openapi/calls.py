"""The bodies that the API takes: of their fields those that the gateway reads. All others pass through untouched."""

from __future__ import annotations

from typing import Any

from proxy.control.openapi.wishes import CRITERIA
from proxy.dialects.openai_call import MOST_NAMES
from proxy.routing.endpoints import Endpoint

_TEXT_OR_LIST = {"type": ["string", "array"]}
_TOKENS = {"type": ["integer", "null"], "minimum": 1}
_MODEL = {
    "anyOf": [
        {"type": "string", "minLength": 1},
        {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1, "maxItems": MOST_NAMES},
        {"type": "null"},
    ],
    "description": "A name, several in the order of preference, or `auto` (also as the last of several): any.",
}

FIELDS: dict[str, dict[str, Any]] = {
    "model": _MODEL,
    "stream": {"type": ["boolean", "null"], "description": "Answer as events, each as it comes."},
    "stream_options": {
        "type": ["object", "null"],
        "properties": {"include_usage": {"type": ["boolean", "null"]}},
        "description": "`include_usage`: the last event tells the tokens that were used.",
    },
    "messages": {"type": "array", "items": {"type": "object"}, "description": "The conversation so far."},
    "prompt": {**_TEXT_OR_LIST, "description": "The text to go on from, or the picture to paint."},
    "input": {**_TEXT_OR_LIST, "description": "What it is about."},
    "instructions": {"type": ["string", "array", "null"], "description": "Counted as input."},
    "tools": {"type": ["array", "null"], "description": "Counted as input."},
    "functions": {"type": ["array", "null"], "description": "Counted as input."},
    "n": {"type": ["integer", "null"], "minimum": 1, "maximum": 128, "description": "So many choices."},
    "max_tokens": {**_TOKENS, "description": "The most tokens to generate; a limit of tokens reserves them."},
    "max_completion_tokens": {**_TOKENS, "description": "The same under its newer name."},
    "max_output_tokens": {**_TOKENS, "description": "The same for responses."},
    "store": {"type": ["boolean", "null"], "description": "Whether the provider may keep the answer."},
    **CRITERIA,
}

_COMMON = ("model", *CRITERIA)
_STREAMED = ("stream", "stream_options")
_SAID = {
    "chat/completions": ("messages", "tools", "functions", "n", "max_tokens", "max_completion_tokens", "store"),
    "completions": ("prompt", "n", "max_tokens"),
    "responses": ("input", "instructions", "tools", "max_output_tokens", "store"),
    "embeddings": ("input",),
    "moderations": ("input",),
    "images/generations": ("prompt", "n"),
    "audio/speech": ("input", "instructions"),
}
_NEEDED = {
    "chat/completions": ["messages"],
    "completions": ["prompt"],
    "embeddings": ["input"],
    "moderations": ["input"],
    "images/generations": ["prompt"],
    "audio/speech": ["input"],
}
# Whole bodies, to try; the names are OpenAI's, since everybody knows them.
_CHAT = {"model": "gpt-4.1-mini", "messages": [{"role": "user", "content": "Hello!"}]}
EXAMPLES: dict[str, dict[str, Any]] = {
    "chat/completions": {**_CHAT, "stream": True},
    "chat/completions/stream": _CHAT,
    "completions": {"model": "gpt-4.1-mini", "prompt": "Once upon a time"},
    "responses": {"model": "gpt-4.1-mini", "input": "Hello!", "store": False},
    "embeddings": {"model": "text-embedding-3-small", "input": ["Hello!"]},
    "moderations": {"model": "omni-moderation-latest", "input": "Hello!"},
    "images/generations": {"model": "gpt-image-1", "prompt": "A sluice at dusk"},
    "audio/speech": {"model": "gpt-4o-mini-tts", "input": "Hello!", "voice": "alloy"},
}
_FORM_MODELS = {
    "audio/transcriptions": "gpt-4o-transcribe",
    "audio/translations": "whisper-1",
    "images/edits": "gpt-image-1",
}
_FILE = {"audio/transcriptions": "file", "audio/translations": "file", "images/edits": "image"}


def body(endpoint: Endpoint) -> dict[str, Any]:
    """The Request Body Object of an endpoint."""
    if endpoint.body == "multipart":
        return {"required": True, "content": {"multipart/form-data": {"schema": _form(endpoint)}}}
    example = EXAMPLES[endpoint.alias or endpoint.path]
    return {"required": True, "content": {"application/json": {"schema": _document(endpoint), "example": example}}}


def _document(endpoint: Endpoint) -> dict[str, Any]:
    streamed = _STREAMED if endpoint.streams and not endpoint.force_stream else ()
    names = (*_COMMON, *streamed, *_SAID[endpoint.path])
    needed = _NEEDED.get(endpoint.path)
    return {
        "type": "object",
        "properties": {name: FIELDS[name] for name in names},
        **({"required": needed} if needed else {}),
        "additionalProperties": True,
    }


def _form(endpoint: Endpoint) -> dict[str, Any]:
    file = _FILE[endpoint.path]
    model = {"type": "string", "minLength": 1, "examples": [_FORM_MODELS[endpoint.path]]}
    content = {"type": "string", "contentMediaType": "application/octet-stream"}
    return {
        "type": "object",
        "properties": {"model": model, file: content},
        "required": ["model", file],
        "additionalProperties": True,
    }
