"""The responses endpoint, without storage.

Source: https://platform.openai.com/docs/api-reference/responses and .../responses-streaming
"""

from __future__ import annotations

import secrets
import time
from typing import Annotated, Any

from msgspec import Meta, Struct

from proxy.demo import words
from proxy.demo.answer import DemoAnswer, Frame, Kind, event, event_stream, json_answer
from proxy.demo.models import DemoModel
from proxy.demo.reply import Ask, DemoReply, reply, seconds, spoken
from proxy.demo.tools import Tool


class Format(Struct):
    type: str = "text"
    schema: dict[str, Any] | None = None


class TextOptions(Struct):
    format: Format | None = None


class ResponsesCall(Struct):
    model: str
    input: str | list[dict[str, Any]]
    instructions: str | None = None
    stream: bool | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    max_output_tokens: Annotated[int, Meta(ge=1)] | None = None
    text: TextOptions | None = None


def responses(call: ResponsesCall, model: DemoModel) -> DemoAnswer:
    """A response, streamed or whole."""
    answer = reply(model, _ask(call))
    written = _Response(call.model, answer)
    if not call.stream:
        return json_answer(written.whole(), before=seconds(model, answer))
    broken = {"type": "error", "code": "server_error", "message": "The demo broke on purpose.", "param": None}
    return event_stream(written.frames(), model.rate, event(broken | {"sequence_number": 0}, name="error"))


def input_tokens(call: ResponsesCall, model: DemoModel) -> DemoAnswer:
    """The number of input tokens, which are words in the demo."""
    return json_answer({"object": "response.input_tokens", "input_tokens": words.count(_ask(call).text)})


class _Response:
    """One response object, and its events with sequence numbers."""

    def __init__(self, model: str, answer: DemoReply) -> None:
        self._answer = answer
        self._members = {
            "id": _identity("resp"),
            "object": "response",
            "created_at": int(time.time()),
            "error": None,
            "instructions": None,
            "metadata": {},
            "model": model,
            "parallel_tool_calls": True,
            "temperature": 1.0,
            "tool_choice": "auto",
            "tools": [],
            "top_p": 1.0,
        }
        self._frames: list[Frame] = []

    def whole(self) -> dict[str, Any]:
        return self._finished([item for item, _ in self._items()])

    def frames(self) -> list[Frame]:
        empty: dict[str, Any] = {"incomplete_details": None, "output": [], "usage": None}
        begun = self._members | empty | {"status": "in_progress"}
        self._tell("response.created", response=begun)
        self._tell("response.in_progress", response=begun)
        output = []
        for index, (item, parts) in enumerate(self._items()):
            self._tell_item(index, item, parts)
            output.append(item)
        ending = "response.incomplete" if self._answer.cut_short else "response.completed"
        self._tell(ending, "finish", response=self._finished(output))
        return self._frames

    def _finished(self, output: list[dict[str, Any]]) -> dict[str, Any]:
        short = self._answer.cut_short
        return self._members | {
            "status": "incomplete" if short else "completed",
            "incomplete_details": {"reason": "max_output_tokens"} if short else None,
            "output": output,
            "usage": _usage(self._answer),
        }

    def _items(self) -> list[tuple[dict[str, Any], list[str]]]:
        """The finished output items, each with the pieces in which its text is streamed."""
        answer = self._answer
        items: list[tuple[dict[str, Any], list[str]]] = []
        if answer.reasoning:
            summary = {"type": "summary_text", "text": answer.reasoning}
            item = {"type": "reasoning", "id": _identity("rs"), "summary": [summary]}
            items.append((item, words.pieces(answer.reasoning)))
        if answer.tool:
            named = {"call_id": _identity("call"), "name": answer.tool.name, "arguments": answer.arguments}
            item = {"type": "function_call", "id": _identity("fc"), "status": "completed", **named}
            items.append((item, list(words.slices(answer.arguments))))
        else:
            content = {"type": "output_text", "text": answer.text, "annotations": [], "logprobs": []}
            head = {"type": "message", "id": _identity("msg"), "status": "completed", "role": "assistant"}
            items.append((head | {"content": [content]}, words.pieces(answer.text)))
        return items

    def _tell_item(self, index: int, item: dict[str, Any], parts: list[str]) -> None:
        where = {"item_id": item["id"], "output_index": index}
        self._tell("response.output_item.added", output_index=index, item=_unfinished(item))
        match item["type"]:
            case "reasoning":
                self._tell_summary(where | {"summary_index": 0}, item["summary"][0], parts)
            case "function_call":
                self._tell_arguments(where, item, parts)
            case _:
                self._tell_text(where | {"content_index": 0}, item["content"][0], parts)
        self._tell("response.output_item.done", "finish", output_index=index, item=item)

    def _tell_summary(self, where: dict[str, Any], part: dict[str, Any], parts: list[str]) -> None:
        self._tell("response.reasoning_summary_part.added", part=part | {"text": ""}, **where)
        for piece in parts:
            self._tell("response.reasoning_summary_text.delta", "word", delta=piece, **where)
        self._tell("response.reasoning_summary_text.done", text=part["text"], **where)
        self._tell("response.reasoning_summary_part.done", part=part, **where)

    def _tell_arguments(self, where: dict[str, Any], item: dict[str, Any], parts: list[str]) -> None:
        for piece in parts:
            self._tell("response.function_call_arguments.delta", "word", delta=piece, **where)
        done = {"name": item["name"], "arguments": item["arguments"]}
        self._tell("response.function_call_arguments.done", "finish", **done, **where)

    def _tell_text(self, where: dict[str, Any], part: dict[str, Any], parts: list[str]) -> None:
        self._tell("response.content_part.added", part=part | {"text": ""}, **where)
        for piece in parts:
            self._tell("response.output_text.delta", "word", delta=piece, logprobs=[], **where)
        self._tell("response.output_text.done", "finish", text=part["text"], logprobs=[], **where)
        self._tell("response.content_part.done", "finish", part=part, **where)

    def _tell(self, name: str, kind: Kind = "open", /, **members: Any) -> None:
        told = {"type": name, "sequence_number": len(self._frames), **members}
        self._frames.append(event(told, kind, name))


def _unfinished(item: dict[str, Any]) -> dict[str, Any]:
    match item["type"]:
        case "reasoning":
            return item | {"summary": []}
        case "function_call":
            return item | {"status": "in_progress", "arguments": ""}
    return item | {"status": "in_progress", "content": []}


def _usage(answer: DemoReply) -> dict[str, Any]:
    spent, said = answer.input_words, answer.output_words
    return {
        "input_tokens": spent,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": said,
        "output_tokens_details": {"reasoning_tokens": answer.reasoning_words},
        "total_tokens": spent + said,
    }


def _ask(call: ResponsesCall) -> Ask:
    items = [{"role": "user", "content": call.input}] if isinstance(call.input, str) else call.input
    last = items[-1] if items else {}
    wanted = call.text.format if call.text else None
    asked = [_text(item) for item in items if item.get("role") == "user"]
    offered = [tool for tool in call.tools or [] if tool.get("type") == "function"]
    return Ask(
        prompt=spoken(asked),
        text=" ".join([call.instructions or "", *(_text(item) for item in items)]),
        tools=[Tool(str(tool.get("name")), tool.get("parameters") or {}) for tool in offered],
        tool_choice=call.tool_choice,
        tool_result=str(last.get("output")) if last.get("type") == "function_call_output" else None,
        limit=call.max_output_tokens,
        json=bool(wanted and wanted.type.startswith("json")),
        schema=wanted.schema if wanted else None,
    )


def _text(item: dict[str, Any]) -> str:
    content = item.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return " ".join(str(part["text"]) for part in parts if isinstance(part, dict) and "text" in part)


def _identity(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(12)}"
