"""The tool calls of assistant messages, decoded, and found again for their results."""

from __future__ import annotations

from typing import Any, Final

from proxy.dialects.openai.chat.client.content_decoder import ChatContentDecoder
from proxy.dialects.translation import blobs, members
from proxy.dialects.translation.conversation import Blob, ToolCall, ToolKind
from proxy.dialects.translation.members import JsonObject, Within
from proxy.errors import Untranslatable
from proxy.wire import document

_CALL: Final = "messages[].tool_calls[]."
# ``index`` is left over from a stream.
_CALL_MEMBERS: Final = frozenset(
    {"id", "type", "function", "custom", "index", "extra_content", "prompt_cache_breakpoint", "cache_control"}
)
_KINDS: Final[dict[str, tuple[ToolKind, str]]] = {"function": ("function", "arguments"), "custom": ("custom", "input")}
_FUNCTION: Final = frozenset({"name", "arguments"})
_EXTRA: Final = frozenset({"google"})
_GOOGLE: Final = frozenset({"thought_signature"})


class ChatCallsDecoder:
    """Decodes the calls of one request's messages, in their order. What is lost is added to ``dropped``."""

    __slots__ = ("_calls", "_content", "_dropped", "_functions", "_legacy")

    def __init__(self, content: ChatContentDecoder, dropped: list[str]) -> None:
        self._content = content
        self._dropped = dropped
        self._calls: dict[str, ToolCall] = {}
        self._functions: dict[str, ToolCall] = {}  # ``function_call`` without a result, by its name
        self._legacy = 0  # ``function_call`` and results without one, so far

    def of_message(self, message: JsonObject) -> list[ToolCall]:
        """``tool_calls``, and the old ``function_call``."""
        found = members.each(message, "tool_calls", self._call)
        function = members.mapping(message, "function_call")
        if function is not None:
            found.append(self._function_call(function))
        return found

    def find(self, call_id: str) -> ToolCall:
        """The call with an id; one without a name if there is none."""
        return self._calls.get(call_id) or ToolCall(call_id, "")

    def answered(self, name: str) -> ToolCall:
        """The ``function_call`` whose result comes now; one without a name if there is none."""
        return self._functions.pop(name, None) or ToolCall(self._legacy_id(), "")

    def _call(self, call: JsonObject) -> ToolCall:
        self._dropped += members.unknown(call, _CALL_MEMBERS, _CALL)
        own = members.text(call, "type") or ("custom" if "custom" in call else "function")
        if own not in _KINDS:
            raise Untranslatable("type", "Calls of this type have no counterpart there.")
        found = members.required_mapping(call, own)
        kind, arguments = _KINDS[own]
        self._dropped += members.unknown(found, frozenset({"name", arguments}), f"{_CALL}{own}.")
        with Within(own):
            name, text = members.required_text(found, "name"), _arguments(found, arguments)
        decoded = ToolCall(members.text(call, "id"), name, text, kind)
        decoded.blob = self._signature(call)
        decoded.cache = self._content.mark(call, _CALL)
        self._calls[decoded.id] = decoded
        return decoded

    def _function_call(self, function: JsonObject) -> ToolCall:
        self._dropped += members.unknown(function, _FUNCTION, "messages[].function_call.")
        with Within("function_call"):
            name, text = members.required_text(function, "name"), _arguments(function, "arguments")
        call = ToolCall(self._legacy_id(), name, text)
        self._functions[call.name] = call
        return call

    def _legacy_id(self) -> str:
        self._legacy += 1
        return f"function_call_{self._legacy}"

    def _signature(self, call: JsonObject) -> Blob | None:
        extra = members.mapping(call, "extra_content")
        if extra is None:
            return None
        self._dropped += members.unknown(extra, _EXTRA, _CALL + "extra_content.")
        with Within("extra_content"):
            google = members.mapping(extra, "google") or {}
            self._dropped += members.unknown(google, _GOOGLE, _CALL + "extra_content.google.")
            with Within("google"):
                return blobs.unpack(members.text(google, "thought_signature")).blob


def _arguments(found: JsonObject, name: str) -> str:
    """JSON text; some clients send the object itself."""
    value: Any = found.get(name)
    return document.encode(value).decode() if isinstance(value, dict) else members.text(found, name)
