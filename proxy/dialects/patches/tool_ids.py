"""``short-tool-ids``: ids of tool calls as Mistral takes them, exactly 9 letters and digits.

https://github.com/langchain-ai/langchain/pull/24668
The new id is computed from the old one alone. So a call and its result keep the same id, and the beginning of a
conversation has the same bytes in each request, as prompt caches need.
"""

from __future__ import annotations

import hashlib
import re
import string
from collections.abc import Iterator
from typing import Final

import msgspec

from proxy.dialects.patches.base import BodyChange, Steps, moved, objects_with
from proxy.wire.patch import Edit, Members

LENGTH: Final = 9
_DIGITS: Final = string.digits + string.ascii_letters
_is_short: Final = re.compile(f"[a-zA-Z0-9]{{{LENGTH}}}").fullmatch
_text: Final = msgspec.json.Decoder(str).decode


def short_ids(members: Members) -> Steps:
    """``Patch.find`` for the messages of Chat Completions: ``tool_calls[].id``, and ``tool_call_id`` of results."""
    edits: list[Edit] = []
    for message, at in (yield from objects_with(members, "messages", b'"tool_call')):
        edits += _edits(message, "tool_call_id", at)
        for call, within in (yield from objects_with(message, "tool_calls", b'"id"')):
            edits += _edits(call, "id", at + within)
    return BodyChange(edits=edits) if edits else None


def short_id(text: str) -> str:
    """The id to send instead of ``text``; the same if it has the right form."""
    if _is_short(text):
        return text
    number = int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest())
    found = ""
    for _ in range(LENGTH):
        number, digit = divmod(number, len(_DIGITS))
        found += _DIGITS[digit]
    return found


def _edits(members: Members, name: str, at: int) -> Iterator[Edit]:
    value = members.raw(name)
    if value is None or value[:1] != b'"':
        return
    try:
        text = _text(value)
    except msgspec.DecodeError:  # half a surrogate pair
        return
    short = short_id(text)
    if short != text:
        yield (*moved(members.span(name), at), b'"%b"' % short.encode())
