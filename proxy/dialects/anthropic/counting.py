"""``messages/count_tokens`` in translations: a request of ``messages`` without the settings of its answer.

Source: https://platform.claude.com/docs/en/api/messages-count-tokens
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from proxy.dialects.anthropic.provider.request_encoder import MessagesRequestEncoder
from proxy.dialects.translation.base import AnswerContext
from proxy.dialects.translation.counting import CountRequestEncoder, count_of
from proxy.dialects.translation.parts import AnswerPart

_COUNTED: Final = frozenset(
    ("messages", "model", "system", "tools", "tool_choice", "thinking", "output_config", "cache_control")
)
MESSAGES_COUNTED: Final = CountRequestEncoder(MessagesRequestEncoder(), _COUNTED)


def encode_count(context: AnswerContext, parts: Iterable[AnswerPart]) -> bytes:
    return b'{"input_tokens":%d}' % count_of(parts)
