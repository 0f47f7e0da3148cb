"""Events with a piece of a block's text: structs and their decoder, without logic."""

from __future__ import annotations

from typing import Final

from msgspec import Struct, field
from msgspec.json import Decoder


class TextFragment(Struct, tag="text_delta", gc=False):
    text: str


class ThinkingFragment(Struct, tag="thinking_delta", gc=False):
    text: str = field(name="thinking")


class InputFragment(Struct, tag="input_json_delta", gc=False):
    text: str = field(name="partial_json")


class FragmentEvent(Struct, tag_field="type", tag="content_block_delta", gc=False):
    index: int
    delta: TextFragment | ThinkingFragment | InputFragment


decode_fragment: Final = Decoder(FragmentEvent).decode
