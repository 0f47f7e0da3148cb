"""The items of a response's output, as they are when they are complete.

Source: https://platform.openai.com/docs/api-reference/responses/object (output)
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Literal

from proxy.dialects.openai.responses.client.built_in_tools import BY_CALL, BuiltInTool
from proxy.dialects.translation import blobs
from proxy.dialects.translation.base import AnswerContext
from proxy.dialects.translation.conversation import Blob, Citation

Item = dict[str, Any]

_CALL_TYPES: Final = {
    "function": ("function_call", "fc_", "arguments"),
    "custom": ("custom_tool_call", "ctc_", "input"),
}
_NOTHING: Final = {"function": "{}", "custom": ""}
REFUSED: Final = "The model refused to answer."


class ResponseItems:
    """Makes the items of one response. ``index``: theirs in the output, from 0."""

    __slots__ = ("_built_in", "_issuer", "_suffix", "_summaries")

    def __init__(self, context: AnswerContext) -> None:
        self._suffix = context.id
        self._issuer = context.issuer
        # A client that asks for summaries shows nothing else.
        self._summaries = context.request.thinking.shown == "summary"
        self._built_in = {tool.name: BY_CALL[tool.call_type] for tool in context.request.tools if tool.call_type}

    def id(self, prefix: str, index: int) -> str:
        return f"{prefix}{self._suffix}_{index}"

    def built_in(self, name: str, namespace: str) -> BuiltInTool | None:
        """The tool of OpenAI's that a function stands for."""
        return None if namespace else self._built_in.get(name)

    def is_summary(self, summary: bool) -> bool:
        """Whether a text of the model's thoughts goes to the client as a summary of them."""
        return summary or self._summaries

    def message(self, index: int, content: list[Item], *, cut: bool = False) -> Item:
        """``cut``: the answer ended before its end."""
        return {
            "id": self.id("msg_", index),
            "type": "message",
            "status": "incomplete" if cut else "completed",
            "role": "assistant",
            "content": content,
        }

    def reasoning(self, index: int, text: str, summary: bool, blob: Blob | None) -> Item:
        """The text is sealed where clients do not send it back: Codex returns only summaries."""
        in_summary = self.is_summary(summary)
        item: Item = {"id": self.id("rs_", index), "type": "reasoning", "summary": []}
        if text and in_summary:
            item["summary"] = [{"type": "summary_text", "text": text}]
        elif text:
            item["content"] = [{"type": "reasoning_text", "text": text}]
        item["encrypted_content"] = blobs.pack(blob, self._issuer, "" if in_summary else text)
        return item

    def signature(self, index: int, blob: Blob) -> Item:
        """Reasoning that carries the signature of the call after it."""
        sealed = blobs.pack_call(blob, self._issuer)
        return {"id": self.id("rs_", index), "type": "reasoning", "summary": [], "encrypted_content": sealed}

    def call(
        self, index: int, call_id: str, name: str, kind: Literal["function", "custom"], namespace: str, text: str
    ) -> Item:
        """A call of a function or a custom tool; ``text``: its arguments. None at all are an empty object."""
        type_, prefix, member = _CALL_TYPES[kind]
        item: Item = {
            "id": self.id(prefix, index),
            "type": type_,
            "status": "completed",
            "call_id": call_id,
            "name": name,
            member: text or _NOTHING[kind],
        }
        if namespace:
            item["namespace"] = namespace
        return item

    def built_in_call(self, index: int, call_id: str, tool: BuiltInTool, arguments: str) -> Item:
        """A call of a tool of OpenAI's; of a function where the arguments are not those of the tool."""
        members = tool.members_of(arguments)
        if members is None:
            return self.call(index, call_id, tool.name, "function", "", arguments)
        return {
            "id": self.id(tool.prefix, index),
            "type": tool.call_type,
            "status": "completed",
            "call_id": call_id,
            **members,
        }


def text_part(text: str, annotations: list[Item], logprobs: list[Any]) -> Item:
    return {"type": "output_text", "text": text, "annotations": annotations, "logprobs": logprobs}


def refusal_part(text: str) -> Item:
    return {"type": "refusal", "refusal": text}


def annotations_of(citations: Iterable[Citation], start: int, end: int) -> list[Item]:
    """Annotations for the citations of a block of text from ``start`` to ``end`` of its part.

    A citation of no address is one of a file, whose id may be unknown.
    """
    return [_annotation(each, start, end) for each in citations]


def _annotation(citation: Citation, start: int, end: int) -> Item:
    if not citation.url:
        found = {"type": "file_citation", "file_id": citation.file_id, "filename": citation.title}
        return found | {"index": end if citation.end is None else start + citation.end}
    return {
        "type": "url_citation",
        "url": citation.url,
        "title": citation.title,
        "start_index": start if citation.start is None else start + citation.start,
        "end_index": end if citation.end is None else start + citation.end,
    }
