"""Turns of the model, as the Gemini API has them: text, thoughts and calls, with their signatures.

Source: https://ai.google.dev/gemini-api/docs/thought-signatures
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from proxy.dialects.gemini.provider.encoding import GeminiEncoding
from proxy.dialects.gemini.provider.part_encoder import GeminiPartEncoder
from proxy.dialects.translation.call_arguments import is_wrapped, object_of
from proxy.dialects.translation.call_ids import CallIds
from proxy.dialects.translation.conversation import Blob, Part, Reasoning, Refused, Text, ToolCall
from proxy.dialects.translation.members import JsonObject
from proxy.errors import Untranslatable

# Google's API takes this value in place of the signature of a call that it did not make itself.
NO_SIGNATURE: Final = "skip_thought_signature_validator"


class ModelEncoder:
    """Encodes the turns of the model in one request. ``names``: of the tools that it called, by id of the call."""

    __slots__ = ("_content", "_encoding", "_ids", "names")

    def __init__(self, encoding: GeminiEncoding, ids: CallIds) -> None:
        self._encoding = encoding
        self._content = GeminiPartEncoder(encoding, encoding.client.content)
        self._ids = ids
        self.names: dict[str, str] = {}

    def parts(self, content: Sequence[Part]) -> list[JsonObject]:
        """The parts of a message of the assistant. Raises Untranslatable."""
        found: list[JsonObject] = []
        waiting = ""  # a signature for the next text
        for part in content:
            if isinstance(part, Reasoning):
                thought, signature = self._reasoning(part)
                if signature and not thought and found and _takes_signature(found[-1]):
                    found[-1]["thoughtSignature"], signature = signature, ""
                waiting = signature or waiting
                found += thought
                continue
            added = self._said(part)
            if added and waiting:
                if not _takes_signature(added[0]):
                    added.insert(0, {"text": ""})
                added[0]["thoughtSignature"], waiting = waiting, ""
            found += added
        if waiting:
            found.append({"text": "", "thoughtSignature": waiting})  # the provider itself ends streams so
        return found

    def _said(self, part: Part) -> list[JsonObject]:
        match part:
            case Text():
                return list(self._content.text(part))
            case Refused(text):
                return list(self._content.text(Text(text)))
            case ToolCall():
                return [self._call(part)]
        raise Untranslatable(self._encoding.client.content.place, "An answer can have text and calls only.")

    def _reasoning(self, part: Reasoning) -> tuple[list[JsonObject], str]:
        """The part for thoughts that the provider signed, and the signature. A client may have moved it to them."""
        client, losses = self._encoding.client, self._encoding.losses
        blob = part.blob
        if blob is not None and self._is_own(blob):
            return [{"text": part.text, "thought": True}] if part.text else [], blob.data
        if blob is not None:
            losses.drop(client.blob if blob.kind == "signature" else client.redacted)
        if part.text:  # the provider reads its own signatures, and no thoughts
            losses.drop(client.reasoning)
        return [], ""

    def _call(self, part: ToolCall) -> JsonObject:
        client, losses = self._encoding.client, self._encoding.losses
        if part.cache is not None:
            losses.drop(client.cache_call)
        sent = self._ids.of_call(part.id)
        self.names[sent] = name = self._encoding.names.name(part.name, part.namespace)
        arguments = object_of(part.arguments, part.kind)
        if is_wrapped(part.arguments, part.kind, arguments):
            losses.drop(client.arguments)
        found: JsonObject = {"functionCall": {"id": sent, "name": name, "args": arguments}}
        if part.blob is not None and self._is_own(part.blob):
            found["thoughtSignature"] = part.blob.data
        elif part.blob is not None:
            losses.drop(client.call_signature)
        return found

    def _is_own(self, blob: Blob) -> bool:
        return blob.issuer == self._encoding.issuer != "" and blob.kind == "signature"


def add_missing_signatures(contents: Iterable[JsonObject]) -> None:
    """Give the first call of each step of the current turn the value that stands for a missing signature.

    Only a turn since the last message of the user is checked, and only the first of parallel calls has a signature.
    """
    turn: list[JsonObject] = []
    for content in contents:
        if content["role"] == "model":
            turn.append(content)
        elif not any("functionResponse" in part for part in content["parts"]):
            turn.clear()
    for content in turn:
        first = next((part for part in content["parts"] if "functionCall" in part), None)
        if first is not None:
            first.setdefault("thoughtSignature", NO_SIGNATURE)


def _takes_signature(part: JsonObject) -> bool:
    """Whether it is a text without one."""
    return "text" in part and "thought" not in part and "thoughtSignature" not in part
