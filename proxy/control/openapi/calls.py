"""The request bodies of the API: the fields that the gateway reads. All others are passed on unchanged."""

from __future__ import annotations

from typing import Any, Final

from proxy.control.openapi.headers import CRITERIA
from proxy.dialects.json_call import MOST_NAMES
from proxy.routing.endpoints import Endpoint

_TEXT_OR_LIST: Final = {"type": ["string", "array"]}
_TOKENS: Final = {"type": ["integer", "null"], "minimum": 1}
_MODEL: Final = {
    "anyOf": [
        {"type": "string", "minLength": 1},
        {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1, "maxItems": MOST_NAMES},
        {"type": "null"},
    ],
    "description": "A name; several in order of preference; or `auto`, also as the last of several, for any model.",
}

FIELDS: Final[dict[str, dict[str, Any]]] = {
    "model": _MODEL,
    "stream": {"type": ["boolean", "null"], "description": "Respond with a stream of events."},
    "stream_options": {
        "type": ["object", "null"],
        "properties": {"include_usage": {"type": ["boolean", "null"]}},
        "description": "`include_usage`: the last event has the token usage.",
    },
    "system": {"type": ["string", "array"], "description": "Counted as input tokens."},
    "contents": {"type": ["array", "object", "string"], "description": "The conversation so far."},
    "generationConfig": {"type": ["object", "null"], "description": "`candidateCount` and `maxOutputTokens` are read."},
    "messages": {"type": "array", "items": {"type": "object"}, "description": "The conversation so far."},
    "prompt": {**_TEXT_OR_LIST, "description": "The text to continue, or the picture to draw."},
    "input": {**_TEXT_OR_LIST, "description": "The input of the model."},
    "instructions": {"type": ["string", "array", "null"], "description": "Counted as input tokens."},
    "tools": {"type": ["array", "null"], "description": "Counted as input tokens."},
    "functions": {"type": ["array", "null"], "description": "Counted as input tokens."},
    "n": {"type": ["integer", "null"], "minimum": 1, "maximum": 128, "description": "The number of choices."},
    "max_tokens": {**_TOKENS, "description": "The maximum of tokens to generate; a token limit reserves them."},
    "max_completion_tokens": {**_TOKENS, "description": "The newer name of `max_tokens`."},
    "max_output_tokens": {**_TOKENS, "description": "The same for the Responses API."},
    "store": {"type": ["boolean", "null"], "description": "Whether the provider may keep the answer."},
    **CRITERIA,
}

_FIELD_NAMES: Final = {
    "chat/completions": ("messages", "tools", "functions", "n", "max_tokens", "max_completion_tokens", "store"),
    "completions": ("prompt", "n", "max_tokens"),
    "responses": ("input", "instructions", "tools", "max_output_tokens", "store"),
    "responses/input_tokens": ("input", "instructions", "tools"),
    "embeddings": ("input",),
    "moderations": ("input",),
    "images/generations": ("prompt", "n"),
    "audio/speech": ("input", "instructions"),
    "messages": ("messages", "system", "tools", "max_tokens"),
    "messages/count_tokens": ("messages", "system", "tools"),
    "generateContent": ("contents", "tools", "generationConfig"),
    "streamGenerateContent": ("contents", "tools", "generationConfig"),
    "countTokens": ("contents",),
    "embedContent": (),
    "batchEmbedContents": (),
}
_REQUIRED: Final = {
    "chat/completions": ["messages"],
    "completions": ["prompt"],
    "embeddings": ["input"],
    "moderations": ["input"],
    "images/generations": ["prompt"],
    "audio/speech": ["input"],
    "messages": ["messages", "max_tokens"],
    "messages/count_tokens": ["messages"],
}
# Complete bodies to try, with model names of the API's own provider.
_HELLO: Final = [{"role": "user", "content": "Hello!"}]
_CHAT: Final = {"model": "gpt-4.1-mini", "messages": _HELLO}
_CONTENTS: Final = {"contents": [{"role": "user", "parts": [{"text": "Hello!"}]}]}
EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    "chat/completions": {**_CHAT, "stream": True},
    "chat/completions/stream": _CHAT,
    "completions": {"model": "gpt-4.1-mini", "prompt": "Once upon a time"},
    "responses": {"model": "gpt-4.1-mini", "input": "Hello!", "store": False},
    "responses/input_tokens": {"model": "gpt-4.1-mini", "input": "Hello!"},
    "embeddings": {"model": "text-embedding-3-small", "input": ["Hello!"]},
    "moderations": {"model": "omni-moderation-latest", "input": "Hello!"},
    "images/generations": {"model": "gpt-image-1", "prompt": "A sluice at dusk"},
    "audio/speech": {"model": "gpt-4o-mini-tts", "input": "Hello!", "voice": "alloy"},
    "messages": {"model": "claude-sonnet-4-5", "max_tokens": 1024, "messages": _HELLO},
    "messages/count_tokens": {"model": "claude-sonnet-4-5", "messages": _HELLO},
    "generateContent": _CONTENTS,
    "streamGenerateContent": _CONTENTS,
    "countTokens": _CONTENTS,
    "embedContent": {"content": {"parts": [{"text": "Hello!"}]}},
    "batchEmbedContents": {
        "requests": [{"model": "models/gemini-embedding-001", "content": {"parts": [{"text": "Hello!"}]}}]
    },
}
_FORM_MODELS: Final = {
    "audio/transcriptions": "gpt-4o-transcribe",
    "audio/translations": "whisper-1",
    "images/edits": "gpt-image-1",
}
_FILE: Final = {"audio/transcriptions": "file", "audio/translations": "file", "images/edits": "image"}


def request_body(endpoint: Endpoint) -> dict[str, Any]:
    """The Request Body Object of an endpoint."""
    if endpoint.body == "multipart":
        return {"required": True, "content": {"multipart/form-data": {"schema": _form_schema(endpoint)}}}
    example = EXAMPLES[endpoint.alias or endpoint.path]
    return {"required": True, "content": {"application/json": {"schema": _json_schema(endpoint), "example": example}}}


def _common(endpoint: Endpoint) -> tuple[str, ...]:
    if endpoint.in_path:
        return ()
    return ("model",) if endpoint.wire == "messages" else ("model", *CRITERIA)


def _json_schema(endpoint: Endpoint) -> dict[str, Any]:
    streamed: tuple[str, ...] = ()
    if endpoint.streams and not endpoint.force_stream:
        streamed = ("stream",) if endpoint.wire == "messages" else ("stream", "stream_options")
    names = (*_common(endpoint), *streamed, *_FIELD_NAMES[endpoint.path])
    required = _REQUIRED.get(endpoint.path)
    return {
        "type": "object",
        "properties": {name: FIELDS[name] for name in names},
        **({"required": required} if required else {}),
        "additionalProperties": True,
    }


def _form_schema(endpoint: Endpoint) -> dict[str, Any]:
    file = _FILE[endpoint.path]
    model = {"type": "string", "minLength": 1, "examples": [_FORM_MODELS[endpoint.path]]}
    content = {"type": "string", "contentMediaType": "application/octet-stream"}
    return {
        "type": "object",
        "properties": {"model": model, file: content},
        "required": ["model", file],
        "additionalProperties": True,
    }
