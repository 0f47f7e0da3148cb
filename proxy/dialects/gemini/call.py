"""JSON request bodies of the Gemini API: the few members that the gateway reads.

The path names the model and says whether the answer is a stream. Google's parser takes each name in camelCase and in
snake_case (https://protobuf.dev/programming-guides/json).
Source: https://ai.google.dev/api/generate-content
"""

from __future__ import annotations

from collections.abc import Iterator
from operator import is_not
from typing import Final

import msgspec

from proxy.dialects import json_call
from proxy.dialects.base import RequestReader
from proxy.dialects.call import Call
from proxy.dialects.gemini import estimate
from proxy.dialects.json_call import members_of

READ: Final = estimate.READ | {"model", "generationConfig", "generation_config"}

# Members with a request inside, which names the model again.
COUNTED_REQUEST: Final = ("generateContentRequest", "generate_content_request")  # of countTokens
_BATCH: Final = "requests"  # of batchEmbedContents
MOST_IN_BATCH: Final = 1000  # Google takes 100

_COLLECTIONS: Final = ("models/", "tunedModels/")

_items: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_encode: Final = msgspec.json.Encoder().encode


class GeminiRequests(RequestReader):
    """Reads calls of ``generateContent`` and its neighbors. They have no model, and are no streams, until the path is
    read.
    """

    __slots__ = ()

    media_marks = (b"nlineData", b"nline_data")
    media = estimate.MEDIA
    kept_context = estimate.KEPT_CONTEXT
    prompt_tokens = staticmethod(estimate.prompt_tokens)
    output_tokens = staticmethod(estimate.output_tokens)

    def check(self, body: bytes) -> Iterator[None]:
        return json_call.check(body)

    def read(self, body: bytes, checked: bool = False) -> Call:
        members = members_of(body, READ, checked)
        return Call(body, members, None, (), True, True, False, choices=estimate.candidates(members))

    def model_changes(self, call: Call, model: str) -> dict[str, bytes | None]:
        """Google requires the names in the path and in the body to agree. A body of unknown shape is left alone."""
        members = call.members
        changes: dict[str, bytes | None] = {}
        name = _encode(resource_name(model))
        if "model" in members and members.raw("model") != name:
            changes["model"] = name
        for nested in COUNTED_REQUEST:
            if members.first_byte(nested) == b"{":
                raw = members.raw(nested) or b""
                if (body := _with_model(raw, name)) is not raw:
                    changes[nested] = body
        if members.first_byte(_BATCH) == b"[":
            batch = _renamed_batch(members.raw(_BATCH) or b"", name)
            if batch is not None:
                changes[_BATCH] = batch
        return changes


class GeminiOtherRequests(GeminiRequests):
    """Reads calls of ``countTokens``, which takes no tokens from any limit, and of the embeddings."""

    __slots__ = ()

    prompt_tokens = staticmethod(estimate.embedded_tokens)


GEMINI_REQUESTS: Final = GeminiRequests()
GEMINI_OTHER_REQUESTS: Final = GeminiOtherRequests()


def resource_name(model: str) -> str:
    """The name of a model as bodies have it."""
    return model if model.startswith(_COLLECTIONS) else f"models/{model}"


def _renamed_batch(raw: bytes, name: bytes) -> bytes | None:
    """The requests of a batch with this name; ``None`` if nothing changes, or they are no list of objects."""
    items = [bytes(item) for item in _items(raw)]
    if len(items) > MOST_IN_BATCH or not all(item.startswith(b"{") for item in items):
        return None
    bodies = [_with_model(item, name) for item in items]
    return b"[%b]" % b",".join(bodies) if any(map(is_not, bodies, items)) else None


def _with_model(body: bytes, name: bytes) -> bytes:
    """The object with the name in its member ``model``; the same object where it has none, or this one."""
    members = members_of(body, frozenset(), checked=True)
    if "model" not in members or members.raw("model") == name:
        return body
    return b"".join(members.splice({"model": name}))
