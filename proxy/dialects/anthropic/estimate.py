"""Estimate of a call's tokens for the Messages API."""

from __future__ import annotations

import re
from typing import Final

from proxy.dialects.anthropic import content
from proxy.dialects.call import Call
from proxy.dialects.json_estimate import Content, MemberCounter, add_definitions, limit_of
from proxy.dialects.media import MediaMarks
from proxy.dialects.payloads import Kind

PAYLOADS: Final[dict[bytes, Kind]] = {
    b"data": "image",  # of images and PDF documents
    b"signature": "sealed",
    b"encrypted_content": "sealed",
}
# Documents may be texts, which count as such beside.
MEDIA: Final = MediaMarks(
    (b'"image"', b'"document"'),
    re.compile(rb'"type"\s*:\s*"(?:image|document)"'),
    re.compile(rb"(?!)"),  # the API takes no sound
    PAYLOADS,
)
_DEFINITIONS: Final = ("tools",)

_add: Final = MemberCounter(content.of_list, PAYLOADS).add


def prompt_tokens(call: Call, per_image: int, per_audio: int) -> int:
    """Tokens of the input: texts, the input and results of tools, and a fixed number for each image and document.

    Never raises: a member of unknown shape counts by its bytes.
    """
    found = Content()
    _add(call, "system", found)
    _add(call, "messages", found)
    add_definitions(call, _DEFINITIONS, found)
    return found.total(per_image, per_audio)


def output_tokens(call: Call, model_max: int, default: int) -> int:
    """Most tokens of the answer: ``max_tokens``, else the model's (``model_max``; 0: unknown), else ``default``."""
    most = limit_of(call.members, "max_tokens")
    return most if most >= 0 else model_max or default
