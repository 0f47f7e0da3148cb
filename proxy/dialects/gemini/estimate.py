"""Estimate of a call's tokens for the Gemini API, and the limits in its ``generationConfig``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from proxy.dialects.call import Call
from proxy.dialects.gemini import content
from proxy.dialects.gemini.schema import GenerationLimits, decode_limits
from proxy.dialects.json_estimate import LONGEST_NUMBER, MOST_BYTES, MOST_TOKENS, Content, MemberCounter, Unknown
from proxy.dialects.payloads import Kind
from proxy.wire.patch import Members

PAYLOADS: Final[dict[bytes, Kind]] = {
    b"data": "image",  # of inlineData, whose type stands beside it
    b"thoughtSignature": "sealed",
    b"thought_signature": "sealed",
}
_LISTS: Final = ("contents",)
_OBJECTS: Final = ("systemInstruction", "system_instruction")
_EMBEDDED_LISTS: Final = ("requests",)  # of batchEmbedContents
_EMBEDDED_OBJECTS: Final = ("content",)  # of embedContent
_DEFINITIONS: Final = ("tools",)
_CONFIGS: Final = ("generationConfig", "generation_config")
READ: Final = frozenset((*_LISTS, *_OBJECTS, *_EMBEDDED_LISTS, *_EMBEDDED_OBJECTS, *_DEFINITIONS))
MOST_CANDIDATES: Final = 1000

_counter: Final = MemberCounter(content.of_list, PAYLOADS)
_NO_LIMITS: Final = GenerationLimits()


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
    limits = _limits(call.members)
    most = _number(limits.max_output_tokens or limits.max_output_tokens_)
    return (model_max or default if most is None else most) * call.choices


def candidates(members: Members) -> int:
    """``candidateCount``, 1 where it is absent or no number."""
    limits = _limits(members)
    count = _number(limits.candidate_count or limits.candidate_count_)
    return 1 if count is None else min(max(count, 1), MOST_CANDIDATES)


def _counted(call: Call, lists: Iterable[str], objects: Iterable[str]) -> Content:
    members, found = call.members, Content()
    for name in lists:
        _counter.add(call, name, found)
    for name in objects:
        if not (members.first_byte(name) == b"{" and _add_object(members, name, found)):
            _counter.add(call, name, found)
    return found


def _limits(members: Members) -> GenerationLimits:
    for name in _CONFIGS:
        if 2 < members.size(name) <= MOST_BYTES:
            try:
                return decode_limits(members.raw(name) or b"")
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                return _NO_LIMITS
    return _NO_LIMITS


def _number(raw: msgspec.Raw) -> int | None:
    """The number, which may be a string in JSON; ``None`` for anything else."""
    text = b"" if len(raw) > LONGEST_NUMBER else bytes(raw).strip(b'"')
    return int(min(float(text), MOST_TOKENS)) if text.isdigit() else None


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
