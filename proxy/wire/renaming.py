"""Replaces the name of the model in a JSON answer or event, and no other byte."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from proxy.wire.patch import NotAnObject, NotJSON, TooManyMembers, parse

_data_line: Final = re.compile(rb"^data: ?(\{.*\})[ \t]*\r?$", re.MULTILINE).search


def renamed(document: bytes, places: Sequence[tuple[str, ...]], name: bytes) -> bytes:
    """``document`` with ``name`` (a JSON string) at each of ``places`` where it has a string.

    A place is the path of a member. What is no JSON object stays as it is.
    """
    for place in places:
        document = _at(document, place, name)
    return document


def renamed_event(block: bytes, places: Sequence[tuple[str, ...]], name: bytes) -> bytes:
    """The same for an event whose data is one line; others stay as they are."""
    found = _data_line(block)
    if found is None:
        return block
    begin, end = found.span(1)
    data = block[begin:end]
    changed = renamed(data, places, name)
    return block if changed is data else b"".join((block[:begin], changed, block[end:]))


def _at(document: bytes, place: tuple[str, ...], name: bytes) -> bytes:
    member, *rest = place
    if member.encode() not in document:
        return document
    try:
        members = parse(document)
    except (NotJSON, NotAnObject, TooManyMembers):
        return document
    value = members.raw(member)
    if value is None:
        return document
    changed = _at(value, tuple(rest), name) if rest else name if value.startswith(b'"') else value
    return document if changed is value else b"".join(members.splice({member: changed}))
