"""A conversation as a request of the Gemini API, for Google's own API and for Vertex AI.

The path names the model and says whether the answer is a stream, so the body has neither.
Source: https://ai.google.dev/api/generate-content
"""

from __future__ import annotations

from typing import Any

from proxy.dialects.gemini.provider.contents_encoder import ContentsEncoder
from proxy.dialects.gemini.provider.encoding import GeminiEncoding
from proxy.dialects.gemini.provider.generation_encoder import encode_settings
from proxy.dialects.gemini.provider.tools_encoder import encode_tools
from proxy.dialects.translation.base import EncodingTarget, RequestEncoder
from proxy.dialects.translation.client_names import member_names
from proxy.dialects.translation.conversation import Conversation
from proxy.dialects.translation.loss import Losses
from proxy.dialects.translation.tool_names import ToolNames


class GeminiRequestEncoder(RequestEncoder):
    """Makes bodies of ``generateContent`` and ``streamGenerateContent``."""

    __slots__ = ()

    def encode(
        self, conversation: Conversation, target: EncodingTarget, losses: Losses, names: ToolNames
    ) -> dict[str, Any]:
        encoding = GeminiEncoding(target.facts, target.issuer, losses, names, member_names(conversation.source))
        tools = encode_tools(conversation, encoding)
        contents = ContentsEncoder(encoding).encode(conversation.messages)
        settings = encode_settings(conversation, encoding, with_tools="tools" in tools)
        losses.require_content()
        return contents | tools | settings
