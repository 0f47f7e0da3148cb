"""Estimate of a call's tokens for the Gemini API, and the limits in its ``generationConfig``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

import msgspec

from proxy.dialects.call import Call
from proxy.dialects.gemini import content
from proxy.dialects.gemini.schema import GenerationLimits, decode_limits
from proxy.dialects.json_estimate import LONGEST_NUMBER, MOST_BYTES, Content, MemberCounter, Unknown, number_of
from proxy.dialects.media import MediaMarks
from proxy.dialects.payloads import Kind
from proxy.wire.patch import Members

PAYLOADS: Final[dict[bytes, Kind]] = {
    b"data": "image",  # of inlineData, whose type stands beside it
    b"thoughtSignature": "sealed",
    b"thought_signature": "sealed",
}
# Both spellings of the members of a part: inlineData, and fileData, which is an address. Its type says what it is.
MEDIA: Final = MediaMarks(
    (b'eData"', b'e_data"'),
    re.compile(rb'"(?:inline|file)(?:Data|_data)"\s*:'),
    re.compile(rb'"audio/'),
    PAYLOADS,
)
KEPT_CONTEXT: Final = frozenset(("cachedContent", "cached_content"))
_LISTS: Final = ("contents",)
_OBJECTS: Final = ("systemInstruction", "system_instruction")
_EMBEDDED_LISTS: Final = ("requests",)  # of batchEmbedContents
_EMBEDDED_OBJECTS: Final = ("content",)  # of embedContent
_DEFINITIONS: Final = ("tools",)
_CONFIGS: Final = ("generationConfig", "generation_config")
READ: Final = frozenset((*_LISTS, *_OBJECTS, *_EMBEDDED_LISTS, *_EMBEDDED_OBJECTS, *_DEFINITIONS))
MOST_CANDIDATES: Final = 1000

_counter: Final = MemberCounter(content.of_list, PAYLOADS)


def prompt_tokens(call: Call, per_image: int, per_audio: int) -> int:
    """Tokens of the input of ``generateContent``: texts, and a fixed number for each image and audio part.

    Never raises: a member of unknown shape counts by its bytes.
    """
    found = _counted(call, _LISTS, _OBJECTS)
    for name in _DEFINITIONS:
        found.text += call.members.size(name)
    return found.total(per_image, per_audio)


def embedded_tokens(call: Call, per_image: int, per_audio: int) -> int:
    """The same for the contents to embed; 0 for ``countTokens``."""
    return _counted(call, _EMBEDDED_LISTS, _EMBEDDED_OBJECTS).total(per_image, per_audio)


def output_tokens(call: Call, model_max: int, default: int) -> int:
    """Most tokens of a generated answer, all candidates together.

    The call's ``maxOutputTokens``, else the model's (``model_max``; 0: unknown), else ``default``.
    """
    most = max(
        (max(_number(each.max_output_tokens), _number(each.max_output_tokens_)) for each in _limits(call.members)),
        default=0,
    )
    return (most or model_max or default) * call.choices


def candidates(members: Members) -> int:
    """``candidateCount``, 1 where it is absent or no number."""
    counts = (max(_number(each.candidate_count), _number(each.candidate_count_)) for each in _limits(members))
    return min(max(counts, default=1) or 1, MOST_CANDIDATES)


def _counted(call: Call, lists: Iterable[str], objects: Iterable[str]) -> Content:
    members, found = call.members, Content()
    for name in lists:
        _counter.add(call, name, found)
    for name in objects:
        if not (members.first_byte(name) == b"{" and _add_object(members, name, found)):
            _counter.add(call, name, found)
    return found


def _limits(members: Members) -> list[GenerationLimits]:
    """Of both spellings: nothing says which one a server takes if there are two."""
    found = []
    for name in _CONFIGS:
        if 2 < members.size(name) <= MOST_BYTES:
            with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                found.append(decode_limits(members.raw(name) or b""))
    return found


def _number(raw: msgspec.Raw) -> int:
    """The number, which may be a string in JSON; 0, which limits nothing, for anything else."""
    return max(number_of(bytes(memoryview(raw)[: LONGEST_NUMBER + 1])), 0)


def _add_object(members: Members, name: str, found: Content) -> bool:
    """Add a single object as if it stood in a list; ``False``, with nothing added, if its shape is unknown."""
    if members.size(name) > MOST_BYTES:
        return False
    try:
        more = content.of_list(b"[%b]" % (members.raw(name) or b""))
    except Unknown:
        return False
    found.text += more.text
    found.images += more.images
    found.audio += more.audio
    return True
