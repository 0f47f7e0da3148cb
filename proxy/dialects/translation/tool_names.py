"""Names of tools as a provider takes them, and back."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Final

from msgspec import Struct

from proxy.dialects.translation.conversation import ToolDefinition, ToolKind

_HASH: Final = 8  # hexadecimal digits
_other: Final = re.compile(r"[^a-zA-Z0-9_-]").sub
_begins_well: Final = re.compile(r"[a-zA-Z_]").match


class ToolName(Struct, frozen=True):
    """A tool as the client names it."""

    name: str
    namespace: str = ""
    kind: ToolKind = "function"


class ToolNames:
    """The tools of one request.

    ``limit``: most characters of a name. ``letter_first``: it must begin with a letter or ``_``.

    A name that the provider takes stays as it is. Any other is shortened with a hash of it, so that the same tool has
    the same name in every request of a conversation. A namespace stands before the name: ``namespace__name``. If
    another tool has that name already, it gets a hash as well.
    """

    __slots__ = ("_letter_first", "_limit", "_originals", "_sent")

    def __init__(self, limit: int = 64, *, letter_first: bool = False) -> None:
        self._limit = limit
        self._letter_first = letter_first
        self._originals: dict[str, ToolName] = {}
        self._sent: dict[tuple[str, str], str] = {}  # by namespace and name

    def add(self, tool: ToolDefinition) -> str:
        """The provider's name of a tool of the request."""
        name = self.name(tool.name, tool.namespace)
        taken = self._originals.get(name)
        if taken is not None and (taken.namespace, taken.name) != (tool.namespace, tool.name):
            name = self._hashed(name, f"{tool.namespace}\0{tool.name}")
        self._sent[tool.namespace, tool.name] = name
        self._originals[name] = ToolName(tool.name, tool.namespace, tool.kind)
        return name

    def name(self, name: str, namespace: str = "") -> str:
        """The provider's name of a tool, such as that of an earlier call."""
        if (sent := self._sent.get((namespace, name))) is not None:
            return sent
        full = f"{namespace}__{name}" if namespace else name
        safe = _other("_", full)
        if self._letter_first and not _begins_well(safe):
            safe = f"_{safe}"
        return full if safe == full and len(full) <= self._limit else self._hashed(safe, full)

    def original(self, name: str) -> ToolName:
        """The client's name for a provider's; the same name where no tool of the request has it."""
        return self._originals.get(name) or ToolName(name)

    def _hashed(self, name: str, full: str) -> str:
        digest = sha256(full.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH]
        return f"{name[: self._limit - _HASH - 1]}_{digest}"
