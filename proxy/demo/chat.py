"""Chat completions and the older completions.

Sources: https://platform.openai.com/docs/api-reference/chat and .../api-reference/completions;
``reasoning_content`` as DeepSeek streams it, https://api-docs.deepseek.com/guides/reasoning_model
"""

from __future__ import annotations

import secrets
import time
from typing import Annotated, Any

from msgspec import Meta, Struct

from proxy.demo import words
from proxy.demo.answer import DONE, DemoAnswer, Frame, Kind, event, event_stream, json_answer
from proxy.demo.models import DemoModel
from proxy.demo.refusal import DemoRefusal
from proxy.demo.reply import Ask, DemoReply, reply, seconds, spoken
from proxy.demo.tools import Tool

Limit = Annotated[int, Meta(ge=1)]


Choice = tuple[dict[str, Any], Kind]  # the members of one chunk's choice that change


class Message(Struct):
    role: str
    content: str | list[dict[str, Any]] | None = None

    @property
    def text(self) -> str:
        if isinstance(self.content, str):
            return self.content
        return " ".join(part["text"] for part in self.content or [] if isinstance(part.get("text"), str))


class Function(Struct):
    type: str
    function: Tool | None = None


class StreamOptions(Struct):
    include_usage: bool | None = None


class JsonSchema(Struct):
    schema: dict[str, Any] = {}


class ResponseFormat(Struct):
    type: str = "text"
    json_schema: JsonSchema | None = None


class ChatCall(Struct):
    model: str
    messages: Annotated[list[Message], Meta(min_length=1)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    tools: list[Function] | None = None
    tool_choice: str | dict[str, Any] | None = None
    max_tokens: Limit | None = None
    max_completion_tokens: Limit | None = None
    response_format: ResponseFormat | None = None
    n: int | None = None


class CompletionCall(Struct):
    model: str
    prompt: str | list[str | int | list[int]]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Limit | None = None
    n: int | None = None


def chat(call: ChatCall, model: DemoModel) -> DemoAnswer:
    """A chat completion, streamed or whole."""
    _only_one(call.n)
    answer = reply(model, _chat_ask(call))
    frame = _Envelope("chatcmpl-demo", "chat.completion", call.model)
    if not call.stream:
        choice = _choice({"message": _message(answer)}, _finish(answer))
        return json_answer(frame.whole(choice, _usage(answer)), before=seconds(model, answer))
    choices: list[Choice] = [({"delta": delta}, kind) for delta, kind in _deltas(answer)]
    return _stream(frame, model, answer, call.stream_options, choices)


def completion(call: CompletionCall, model: DemoModel) -> DemoAnswer:
    """A text completion, streamed or whole."""
    _only_one(call.n)
    prompt = _plain(call.prompt)
    answer = reply(model, Ask(prompt, prompt, limit=call.max_tokens))
    frame = _Envelope("cmpl-demo", "text_completion", call.model)
    if not call.stream:
        choice = _choice({"text": answer.text}, _finish(answer))
        return json_answer(frame.whole(choice, _usage(answer)), before=seconds(model, answer))
    choices: list[Choice] = [({"text": piece}, "word") for piece in words.pieces(answer.text)]
    return _stream(frame, model, answer, call.stream_options, [*choices, ({"text": ""}, "finish")])


class _Envelope:
    """The members that every object of one answer shares."""

    def __init__(self, prefix: str, kind: str, model: str) -> None:
        identity = f"{prefix}-{secrets.token_hex(8)}"
        self._members = {"id": identity, "created": int(time.time()), "model": model}
        self._kind = kind

    def whole(self, choice: dict[str, Any], usage: dict[str, Any]) -> dict[str, Any]:
        return self._members | {"object": self._kind, "choices": [choice], "usage": usage}

    def chunk(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        kind = self._kind if self._kind == "text_completion" else f"{self._kind}.chunk"
        return self._members | {"object": kind, "choices": choices}


def _stream(
    frame: _Envelope,
    model: DemoModel,
    answer: DemoReply,
    options: StreamOptions | None,
    choices: list[Choice],
) -> DemoAnswer:
    # With include_usage the last chunk has the usage and no choice, and all others say `"usage": null`.
    counted = bool(options and options.include_usage)
    extra: dict[str, Any] = {"usage": None} if counted else {}
    frames: list[Frame] = []
    for members, kind in choices:
        choice = _choice(members, _finish(answer) if kind == "finish" else None)
        frames.append(event(frame.chunk([choice]) | extra, kind))
    if counted:
        frames.append(event(frame.chunk([]) | {"usage": _usage(answer)}, "usage"))
    return event_stream([*frames, DONE], model.rate)


def _choice(members: dict[str, Any], finish: str | None) -> dict[str, Any]:
    return {"index": 0, **members, "logprobs": None, "finish_reason": finish}


def _deltas(answer: DemoReply) -> list[Choice]:
    first = {"role": "assistant", "content": None if answer.tool else ""}
    deltas: list[Choice] = [(first, "open")]
    deltas += [({"reasoning_content": piece}, "word") for piece in words.pieces(answer.reasoning)]
    if answer.tool:
        deltas.append(({"tool_calls": [{"index": 0, **_tool_call(answer.tool.name, "")}]}, "word"))
        for piece in words.slices(answer.arguments):
            deltas.append(({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}, "word"))
    deltas += [({"content": piece}, "word") for piece in words.pieces(answer.text)]
    return [*deltas, ({}, "finish")]


def _message(answer: DemoReply) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": answer.text, "refusal": None}
    if answer.reasoning:
        message["reasoning_content"] = answer.reasoning
    if answer.tool:
        message |= {"content": None, "tool_calls": [_tool_call(answer.tool.name, answer.arguments)]}
    return message


def _tool_call(name: str, arguments: str) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {"id": f"call_{secrets.token_hex(8)}", "type": "function", "function": function}


def _finish(answer: DemoReply) -> str:
    return "tool_calls" if answer.tool else "length" if answer.cut_short else "stop"


def _usage(answer: DemoReply) -> dict[str, Any]:
    spent, said = answer.input_words, answer.output_words
    return {
        "prompt_tokens": spent,
        "completion_tokens": said,
        "total_tokens": spent + said,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": answer.reasoning_words},
    }


def _chat_ask(call: ChatCall) -> Ask:
    last, wanted = call.messages[-1], call.response_format
    asked = [message.text for message in call.messages if message.role == "user"]
    return Ask(
        prompt=spoken(asked) or last.text,
        text=" ".join(message.text for message in call.messages),
        tools=[offer.function for offer in call.tools or [] if offer.function],
        tool_choice=call.tool_choice,
        tool_result=_result(call.messages),
        limit=call.max_completion_tokens or call.max_tokens,
        json=bool(wanted and wanted.type.startswith("json")),
        schema=wanted.json_schema.schema if wanted and wanted.json_schema else None,
    )


def _result(messages: list[Message]) -> str | None:
    """What the tools gave back since the last answer; ``None`` without a result. Clients may write text after it."""
    found: list[str] = []
    for message in reversed(messages):
        if message.role == "assistant":
            break
        if message.role == "tool":
            found.insert(0, message.text)
    return " ".join(found) if found else None


def _plain(prompt: str | list[str | int | list[int]]) -> str:
    return prompt if isinstance(prompt, str) else " ".join(map(str, prompt))


def _only_one(n: int | None) -> None:
    if n is not None and n != 1:
        raise DemoRefusal(400, "The demo gives one choice: 'n' must be 1.", param="n")
