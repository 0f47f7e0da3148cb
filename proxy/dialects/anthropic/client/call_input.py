"""Arguments of tool calls as the Messages API has them: always a JSON object."""

from __future__ import annotations

from proxy.dialects.translation.call_arguments import NULL, WRAPPED, object_of
from proxy.dialects.translation.calls import CUSTOM_INPUT
from proxy.dialects.translation.conversation import ToolKind
from proxy.wire import document


class CallInput:
    """The arguments of one call on their way to the client, piece by piece.

    Arguments that are no object become a text in one. No arguments are ``{}``: not all clients read an empty text.
    ``plain``: the rest goes to the client as it comes.
    """

    __slots__ = ("_beginning", "_is_custom", "_wraps", "plain")

    def __init__(self, kind: ToolKind = "function") -> None:
        self.plain = False
        self._is_custom = kind == "custom"
        self._wraps = False
        self._beginning = ""  # kept back while it may become ``null``

    def add(self, text: str) -> str:
        """JSON text for the client, ``""`` for none yet."""
        if self.plain:
            return text
        if self._wraps:
            return _escaped(text)
        if self._is_custom:
            self._wraps = True
            return f'{{"{CUSTOM_INPUT}":"{_escaped(text)}'
        text = (self._beginning + text).lstrip()
        if text.startswith("{"):
            self.plain = True
            return text
        self._beginning = text.rstrip()
        if NULL.startswith(self._beginning):
            return ""
        self._wraps = True
        return f'{{"{WRAPPED}":"{_escaped(text)}'

    def end(self) -> str:
        """The rest of the JSON text."""
        if self.plain:
            return ""
        if self._wraps:
            return '"}'
        return document.encode(object_of(self._beginning, "custom" if self._is_custom else "function")).decode()


def _escaped(text: str) -> str:
    """A text as it stands within a JSON string."""
    return document.encode(text)[1:-1].decode()
