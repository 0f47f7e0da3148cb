"""``responses/input_tokens`` in translations: a request of ``responses`` without the settings of its answer.

Source: ``InputTokenCountParams`` of the package openai 3.52
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from proxy.dialects.openai.responses.provider.request_encoder import ResponsesRequestEncoder
from proxy.dialects.translation.base import AnswerContext
from proxy.dialects.translation.counting import CountRequestEncoder, count_of
from proxy.dialects.translation.parts import AnswerPart

_COUNTED: Final = frozenset(
    ("model", "input", "instructions", "parallel_tool_calls", "reasoning", "text", "tool_choice", "tools", "truncation")
)
RESPONSES_COUNTED: Final = CountRequestEncoder(ResponsesRequestEncoder(), _COUNTED)


def encode_input_tokens(context: AnswerContext, parts: Iterable[AnswerPart]) -> bytes:
    return b'{"object":"response.input_tokens","input_tokens":%d}' % count_of(parts)
