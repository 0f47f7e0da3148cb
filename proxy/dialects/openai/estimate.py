"""Estimate of a call's tokens for the OpenAI API.

https://platform.openai.com/docs/api-reference (chat, completions, responses, embeddings)
"""

from __future__ import annotations

import re
from typing import Final

from proxy.dialects.call import Call
from proxy.dialects.json_estimate import Content, MemberCounter, add_definitions, limit_of
from proxy.dialects.media import MediaMarks
from proxy.dialects.openai import content
from proxy.dialects.payloads import Kind

PAYLOADS: Final[dict[bytes, Kind]] = {
    b"data": "audio",  # images are data URLs, and sound is bare base64 (input_audio)
    b"url": "image",
    b"image_url": "image",
    b"file_data": "image",  # a file's pages are shown to the model
    b"b64_json": "image",
    b"result": "image",  # of image_generation_call
    b"encrypted_content": "sealed",
}
# Chat, its extensions by other servers, and Responses: images, videos and files come as data, by address, or by the ID
# that the provider gave them.
MEDIA: Final = MediaMarks(
    (b'_url"', b'"file_', b'audio"', b'"image_generation_call"'),
    re.compile(rb'"(?:(?:image_url|video_url|file_url|file_id|file_data)"\s*:|image_generation_call")'),
    re.compile(rb'"(?:(?:input_audio|audio_url)"\s*:|audio"\s*:\s*\{\s*"id")'),
    PAYLOADS,
)
KEPT_CONTEXT: Final = frozenset(("previous_response_id", "conversation"))
_TEXTS: Final = ("messages", "prompt", "input", "instructions")
_DEFINITIONS: Final = ("tools", "functions")
_BOUNDS: Final = frozenset(("max_completion_tokens", "max_tokens", "max_output_tokens"))

_add: Final = MemberCounter(content.of_list, PAYLOADS).add


def prompt_tokens(call: Call, per_image: int, per_audio: int) -> int:
    """Tokens of the input: texts, token arrays, and a fixed number for each image and audio part.

    Never raises: a member of unknown shape counts by its bytes.
    """
    found = Content()
    for name in _TEXTS:
        _add(call, name, found)
    add_definitions(call, _DEFINITIONS, found)
    return found.total(per_image, per_audio)


def output_tokens(call: Call, model_max: int, default: int) -> int:
    """Most tokens of a generated answer, all choices together.

    The call's own limit, else the model's (``model_max``; 0: unknown), else ``default``. Endpoints that generate
    nothing, such as embeddings, are the caller's concern. To Ollama 0 is no limit; in a legacy completion it asks for
    the probabilities of the prompt alone.
    """
    members, most = call.members, -1
    values = members.values
    if _BOUNDS.isdisjoint(values):
        return (model_max or default) * call.choices
    for name in _BOUNDS:
        if name in values:
            limit = limit_of(members, name)
            if limit > most:
                most = limit
    if most < 0 or (most == 0 and "prompt" not in values):
        most = model_max or default
    return most * call.choices
