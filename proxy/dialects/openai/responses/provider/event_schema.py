"""An event of a response's stream that holds nothing but more of a text or of a call's arguments.

``logprobs`` must be empty: any other value fails the decoding, and the event is read with all its members.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from msgspec import Struct
from msgspec.json import Decoder

_Empty: TypeAlias = tuple[()] | None

TEXT: Final = "response.output_text.delta"
REFUSAL: Final = "response.refusal.delta"
SUMMARY: Final = "response.reasoning_summary_text.delta"
THOUGHT: Final = "response.reasoning_text.delta"
ARGUMENTS: Final = "response.function_call_arguments.delta"
INPUT: Final = "response.custom_tool_call_input.delta"


class PlainEvent(Struct, gc=False):
    """``summary_index`` takes the place of ``content_index`` where a summary grows."""

    type: str
    delta: str
    output_index: int
    content_index: int = 0
    summary_index: int = 0
    logprobs: _Empty = None
    error: None = None


decode_plain: Final = Decoder(PlainEvent).decode
