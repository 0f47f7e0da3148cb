"""``countTokens`` in translations: a request of ``generateContent``, mostly within one more object.

Source: https://ai.google.dev/api/tokens
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Final

from proxy.dialects.gemini.call import COUNTED_REQUEST, resource_name
from proxy.dialects.gemini.client.request_decoder import GeminiRequestDecoder
from proxy.dialects.gemini.provider.request_encoder import GeminiRequestEncoder
from proxy.dialects.json_call import members_of
from proxy.dialects.translation.base import AnswerContext, EncodingTarget, RequestDecoder, RequestEncoder
from proxy.dialects.translation.conversation import Conversation
from proxy.dialects.translation.counting import CountDecoder, count_of
from proxy.dialects.translation.loss import Losses
from proxy.dialects.translation.parts import AnswerPart
from proxy.dialects.translation.tool_names import ToolNames
from proxy.errors import ClientFault, WrongMember

_WATCHED: Final = frozenset(("contents", *COUNTED_REQUEST))
_requests: Final = GeminiRequestDecoder()
_encoder: Final = GeminiRequestEncoder()


class GeminiCountRequestDecoder(RequestDecoder):
    """Reads bodies that have ``contents`` themselves, as on Vertex AI, or a whole request in a member."""

    __slots__ = ()

    def decode(self, body: bytes) -> Conversation:
        conversation = _requests.decode(_request_of(body))
        conversation.choices = 1  # more cost no input
        return conversation


class GeminiCountRequestEncoder(RequestEncoder):
    """Makes bodies with a whole request, as ``contents`` alone have neither instructions nor tools."""

    __slots__ = ()

    def encode(
        self, conversation: Conversation, target: EncodingTarget, losses: Losses, names: ToolNames
    ) -> dict[str, Any]:
        members = _encoder.encode(conversation, target, losses, names)
        return {COUNTED_REQUEST[0]: {"model": resource_name(target.model), **members}}


class GeminiCountDecoder(CountDecoder):
    __slots__ = ()

    member: ClassVar[str] = "totalTokens"


def encode_total(context: AnswerContext, parts: Iterable[AnswerPart]) -> bytes:
    return b'{"totalTokens":%d}' % count_of(parts)


def _request_of(body: bytes) -> bytes:
    """The request of ``generateContent`` in a body."""
    members = members_of(body, _WATCHED, checked=True)
    name = next((name for name in COUNTED_REQUEST if members.first_byte(name) not in (None, b"n")), None)
    if name is None:
        return body
    if members.first_byte(name) != b"{":
        raise WrongMember(name, "an object")
    if "contents" in members:
        raise ClientFault(f"'contents' and {name!r} exclude each other.", param="contents", code="invalid_value")
    return members.raw(name) or b""
