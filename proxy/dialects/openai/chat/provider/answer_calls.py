"""The tool calls of one chat answer, put together from the fragments of its deltas.

The first fragment of a call has its name. By the documentation, all have the call's ``index``, and only the first one
its ``id``. Providers leave the index out (Mistral, for calls that come whole), give all calls the index 0 (Gemini,
Ollama), repeat id and name, or make up a new id for each fragment.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from msgspec import Struct

from proxy.dialects.translation.answer_members import number_at, object_at, objects_at, text_at
from proxy.dialects.translation.conversation import Blob, ToolKind
from proxy.dialects.translation.members import JsonObject
from proxy.dialects.translation.parts import AnswerPart, CallDelta, CallStart, Dropped
from proxy.wire import document

_LEGACY: Final = -1  # in place of an index, for the only call in ``function_call``


class _Open(Struct, gc=False):
    """A call that has begun. ``whole``: its first fragment had all its arguments."""

    index: int  # our own
    id: str
    whole: bool = False


class AnswerCalls:
    """Reads the calls of one answer. The calls are numbered in the order in which they begin."""

    __slots__ = ("_by_wire_index", "_count", "_last")

    def __init__(self) -> None:
        self._by_wire_index: dict[int, _Open] = {}
        self._last: _Open | None = None
        self._count = 0

    @property
    def any(self) -> bool:
        """Whether a call has begun."""
        return self._count > 0

    def continued(self, wire_index: int, call_id: str | None) -> int:
        """Number of the call that a fragment without a name continues, -1 if it must be read with ``read``."""
        call = self._by_wire_index.get(wire_index)
        return call.index if call is not None and not (call_id and call_id != call.id) else -1

    def read(self, delta: JsonObject) -> Iterator[AnswerPart]:
        """The parts for the calls of a delta or of a message."""
        for fragment in objects_at(delta, "tool_calls"):
            yield from self._read(fragment)
        if delta.get("function_call"):  # from before there were tool_calls
            yield from self._read({"index": _LEGACY, "function": delta["function_call"]})

    def _read(self, fragment: JsonObject) -> Iterator[AnswerPart]:
        kind: ToolKind = "custom" if isinstance(fragment.get("custom"), dict) else "function"
        called = fragment.get(kind)
        if not isinstance(called, dict):
            other = text_at(fragment, "type")
            if other not in ("", "function", "custom"):
                yield Dropped(f"tool_calls[{other}]")
            return
        wire_index = number_at(fragment, "index")
        call_id, name = text_at(fragment, "id"), text_at(called, "name")
        text = _arguments(called.get("input" if kind == "custom" else "arguments"))
        call = self._find(wire_index, call_id, name)
        if call is None:
            if not name:
                return  # arguments of nothing
            call = self._last = _Open(self._count, call_id, document.is_json(_bytes(text)))
            self._count += 1
            if wire_index is not None:
                self._by_wire_index[wire_index] = call
            yield CallStart(call.index, call_id, name, kind, blob=_signature(fragment.get("extra_content")))
        elif fragment.get("extra_content"):
            yield Dropped("tool_calls[].extra_content")  # too late: the call has begun without it
        if text:
            yield CallDelta(call.index, text)

    def _find(self, wire_index: int | None, call_id: str, name: str) -> _Open | None:
        """The call that the fragment continues; ``None``: it begins one."""
        if wire_index is not None:
            call = self._by_wire_index.get(wire_index)
            if call is None or not name:
                return call
            if call_id or call.id:
                return call if call_id in ("", call.id) else None
            return None if call.whole else call
        if name:
            return None
        return self._last


def _signature(extra: Any) -> Blob | None:
    """The signature that Google's compatibility layer adds to a call.

    https://ai.google.dev/gemini-api/docs/thought-signatures
    """
    signature = text_at(object_at(extra, "google"), "thought_signature")
    return Blob(signature) if signature else None


def _arguments(value: Any) -> str:
    """As text; several servers send the object itself."""
    if isinstance(value, str):
        return value
    try:
        return document.encode(value).decode() if isinstance(value, dict) else ""
    except RecursionError:
        return ""


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
