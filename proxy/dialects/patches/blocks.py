"""Patches that leave out elements of an array: tools that are no function, and Claude Code's billing header.

https://github.com/ggml-org/llama.cpp/issues/20156, https://github.com/anthropics/claude-code/issues/68900
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Final

from proxy.dialects.patches.base import BEGINNING, BodyChange, Steps
from proxy.wire.elements import Span, elements, members_at
from proxy.wire.patch import Edit, Members

_FUNCTION: Final = b'"function"'
_FREE: Final = (b'"auto"', b'"none"')  # choices that demand no tool
BILLING: Final = b'"x-anthropic-billing-header:'


def functions_only(members: Members) -> Steps:
    """``Patch.find`` for ``tools``. Without any function, the members that need tools are left out as well."""
    spans = yield from _elements(members, "tools")
    kept = [_is_function(members.body, span) for span in spans]
    if all(kept):
        return None
    if any(kept):
        return BodyChange(edits=without(spans, kept))
    found: dict[str, bytes | None] = {"tools": None}
    if members.raw("tool_choice") in _FREE:  # the provider refuses any other
        found["tool_choice"] = None
    if "parallel_tool_calls" in members:
        found["parallel_tool_calls"] = None
    return BodyChange(found)


def no_billing_header(members: Members) -> Steps:
    """``Patch.find`` for ``system``: leave out a first block with the billing header."""
    if BILLING not in members.beginning("system", BEGINNING):
        return None
    spans = yield from _elements(members, "system")
    first = members_at(members.body, spans[0]) if spans else None
    if first is None or first.beginning("text", len(BILLING)) != BILLING:
        return None
    if len(spans) == 1:
        return BodyChange({"system": None})
    return BodyChange(edits=without(spans, [False] + [True] * (len(spans) - 1)))


def without(spans: Sequence[Span], kept: Sequence[bool]) -> list[Edit]:
    """Edits that remove elements of an array, each with one comma."""
    if spans and not any(kept):
        return [(spans[0][0], spans[-1][1], b"")]
    edits = []
    behind = False  # an element that is kept
    for number, (begin, end) in enumerate(spans):
        if kept[number]:
            behind = True
        elif behind:
            edits.append((spans[number - 1][1], end, b""))
        else:
            edits.append((begin, spans[number + 1][0], b""))
    return edits


def _is_function(body: bytes, span: Span) -> bool:
    tool = members_at(body, span)
    return tool is None or tool.raw("type") in (None, _FUNCTION)


def _elements(members: Members, name: str) -> Generator[None, None, list[Span]]:
    """The objects of an array; none if the member is something else."""
    if members.first_byte(name) != b"[":
        return []
    return (yield from elements(members.body, *members.span(name))) or []
