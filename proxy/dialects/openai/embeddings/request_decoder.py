"""A request for embeddings, decoded.

Source: https://platform.openai.com/docs/api-reference/embeddings/create
"""

from __future__ import annotations

from typing import Any, Final

from proxy.dialects.translation import members
from proxy.dialects.translation.embeddings import EmbeddingRequest
from proxy.dialects.translation.members import JsonObject
from proxy.errors import ClientFault, Untranslatable, WrongMember
from proxy.wire.criteria import FIELDS

# ``model`` and the criteria in FIELDS are the gateway's.
_KNOWN: Final = FIELDS | {"model", "input", "dimensions", "encoding_format"}
_FORMATS: Final = ("", "float", "base64")
_TOKENS: Final = "Token ids are those of one model's tokenizer. Send the text."


def decode_texts(body: bytes) -> EmbeddingRequest:
    """Raises ClientFault, Untranslatable for token ids and images."""
    request = members.of_body(body)
    encoding = members.text(request, "encoding_format")
    if encoding not in _FORMATS:
        raise WrongMember("encoding_format", "'float' or 'base64'")
    return EmbeddingRequest(
        _texts(request.get("input")),
        members.integer(request, "dimensions"),
        encoding == "base64",
        tuple(_dropped(request)),
    )


def _texts(given: Any) -> list[str]:
    """The texts of ``input``, which is one, or a list of them."""
    if isinstance(given, str):
        return [given]
    if not isinstance(given, list) or not given:
        raise WrongMember("input", "a string, or an array of at least one string")
    for place, each in enumerate(given):
        if not isinstance(each, str):
            raise _no_text(each, place)
    return given


def _no_text(item: Any, place: int) -> ClientFault:
    if isinstance(item, list) or (isinstance(item, int) and not isinstance(item, bool)):
        return Untranslatable("input", _TOKENS)
    if isinstance(item, dict):  # of servers that embed images
        return Untranslatable(f"input[{place}]", "Only texts can be translated.")
    return WrongMember(f"input[{place}]", "a string")


def _dropped(request: JsonObject) -> list[str]:
    """``user``, which no other API has, and unknown members of other servers. Nothing is streamed."""
    return [name for name in members.unknown(request, _KNOWN) if name != "stream" or request[name]]
