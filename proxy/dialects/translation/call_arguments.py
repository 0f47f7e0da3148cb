"""Arguments of tool calls for dialects in which they are always a JSON object."""

from __future__ import annotations

from typing import Any, Final

from proxy.dialects.translation.calls import CUSTOM_INPUT
from proxy.dialects.translation.conversation import ToolKind
from proxy.wire import document

WRAPPED: Final = "arguments"  # holds arguments that are no object
NULL: Final = "null"  # some models send it for no arguments


def object_of(arguments: str, kind: ToolKind = "function") -> dict[str, Any]:
    """The whole arguments of a call."""
    if kind == "custom":
        return {CUSTOM_INPUT: arguments}
    text = arguments.lstrip()
    if text.rstrip() in ("", NULL):
        return {}
    try:
        found = document.decode_finite(text.encode("utf-8", "surrogatepass"))
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {WRAPPED: text}


def is_wrapped(arguments: str, kind: ToolKind, found: dict[str, Any]) -> bool:
    """Whether ``found`` is what ``object_of`` makes of arguments that are no object."""
    return kind == "function" and found == {WRAPPED: arguments.lstrip()}
