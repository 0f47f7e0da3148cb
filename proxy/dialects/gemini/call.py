"""JSON request bodies of the Gemini API: the few members that the gateway reads.

The path names the model and says whether the answer is a stream. Google's parser takes each name in camelCase and in
snake_case (https://protobuf.dev/programming-guides/json).
Source: https://ai.google.dev/api/generate-content
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from proxy.dialects import json_call
from proxy.dialects.base import RequestReader
from proxy.dialects.call import Call
from proxy.dialects.gemini import estimate
from proxy.dialects.json_call import members_of, wrong
from proxy.wire.patch import Members, parse

READ: Final = estimate.READ | {"model", "generationConfig", "generation_config"}

# Members with a request inside, which names the model again.
_NESTED: Final = ("generateContentRequest", "generate_content_request")  # of countTokens
_BATCH: Final = "requests"  # of batchEmbedContents
MOST_IN_BATCH: Final = 10_000  # far above Google's 100

_items: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_encode: Final = msgspec.json.Encoder().encode


class GeminiRequests(RequestReader):
    """Reads calls of ``generateContent`` and its neighbors. They have no model, and are no streams, until the path is
    read.
    """

    __slots__ = ()

    prompt_tokens = staticmethod(estimate.prompt_tokens)
    output_tokens = staticmethod(estimate.output_tokens)

    def check(self, body: bytes) -> Iterator[None]:
        return json_call.check(body)

    def read(self, body: bytes, checked: bool = False) -> Call:
        members = members_of(body, READ, checked)
        return Call(body, members, None, (), True, True, False, choices=estimate.candidates(members))


class GeminiOtherRequests(GeminiRequests):
    """Reads calls of ``countTokens``, which takes no tokens from any limit, and of the embeddings."""

    __slots__ = ()

    prompt_tokens = staticmethod(estimate.embedded_tokens)


GEMINI_REQUESTS: Final = GeminiRequests()
GEMINI_OTHER_REQUESTS: Final = GeminiOtherRequests()


def renamed(call: Call, resource: str) -> dict[str, bytes | None]:
    """The changes to a body that names its model as well as the path does, as Google requires both to agree.

    ``resource`` is the provider's name, such as ``models/gemini-2.5-flash``. Empty where nothing has to change. Raises
    ClientFault for ``requests`` that are no list of objects.
    """
    members, name = call.members, _encode(resource)
    changes: dict[str, bytes | None] = {}
    if "model" in members and members.raw("model") != name:
        changes["model"] = name
    for nested in _NESTED:
        if members.first_byte(nested) == b"{":
            raw = members.raw(nested) or b""
            if (body := _with_model(raw, name)) is not raw:
                changes[nested] = body
    if _BATCH in members:
        raw = members.raw(_BATCH) or b""
        items = _requests(raw)
        bodies = [_with_model(item, name) for item in items]
        if any(body is not item for body, item in zip(bodies, items, strict=True)):
            changes[_BATCH] = b"[%b]" % b",".join(bodies)
    return changes


def _requests(raw: bytes) -> list[bytes]:
    try:
        items = [bytes(item) for item in _items(raw)]
    except msgspec.ValidationError:
        raise wrong(_BATCH, "an array of objects") from None
    if len(items) > MOST_IN_BATCH:
        raise wrong(_BATCH, f"an array of at most {MOST_IN_BATCH} objects", "invalid_value")
    if not all(item.startswith(b"{") for item in items):
        raise wrong(_BATCH, "an array of objects")
    return items


def _with_model(body: bytes, name: bytes) -> bytes:
    """The object with the name in its member ``model``; the same object where it has none, or this one."""
    members: Members = parse(body, is_text=True)
    if "model" not in members or members.raw("model") == name:
        return body
    return b"".join(members.splice({"model": name}))
