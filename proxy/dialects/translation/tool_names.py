"""Names of tools as a provider takes them, and back."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Final

from msgspec import Struct

from proxy.dialects.translation.conversation import ToolDefinition, ToolKind

_HASH: Final = 8  # hexadecimal digits
_other: Final = re.compile(r"[^a-zA-Z0-9_-]").sub


class ToolName(Struct, frozen=True):
    """A tool as the client names it."""

    name: str
    namespace: str = ""
    kind: ToolKind = "function"


class ToolNames:
    """The tools of one request. ``limit``: most characters of a name.

    A name that the provider takes stays as it is. Any other is shortened with a hash of it, so that the same tool has
    the same name in every request of a conversation. A namespace stands before the name: ``namespace__name``.
    """

    __slots__ = ("_limit", "_originals")

    def __init__(self, limit: int = 64) -> None:
        self._limit = limit
        self._originals: dict[str, ToolName] = {}

    def add(self, tool: ToolDefinition) -> str:
        """The provider's name of a tool of the request."""
        name = self.name(tool.name, tool.namespace)
        self._originals[name] = ToolName(tool.name, tool.namespace, tool.kind)
        return name

    def name(self, name: str, namespace: str = "") -> str:
        """The provider's name of a tool, such as that of an earlier call."""
        full = f"{namespace}__{name}" if namespace else name
        safe = _other("_", full)
        if safe == full and len(full) <= self._limit:
            return full
        digest = sha256(full.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH]
        return f"{safe[: self._limit - _HASH - 1]}_{digest}"

    def original(self, name: str) -> ToolName:
        """The client's name for a provider's; the same name where no tool of the request has it."""
        return self._originals.get(name) or ToolName(name)
