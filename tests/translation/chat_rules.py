"""What a provider of the Chat Completions API refuses: all that one of the known providers does.

The types are those of the openai package, with the members for reasoning that other providers have.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from openai.types.chat.completion_create_params import (
    CompletionCreateParamsNonStreaming,
    CompletionCreateParamsStreaming,
)

from tests.support.upstream import Request
from tests.translation.types_check import misfits

Json = dict[str, Any]

KEY = "chat-key"
NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
PARTS = {"user": {"text", "image_url", "input_audio", "file"}, "assistant": {"text", "refusal"}}
DATA = re.compile(r"data:[a-z]+/[a-z0-9.+-]+;base64,[A-Za-z0-9+/]+=*")
OF_REASONING = {"reasoning_content", "reasoning", "reasoning_details", "extra_content"}  # of assistant messages
TAKES = {
    "openrouter": {"cache_control"},
    "together": {"top_k"},
    "deepseek": {"thinking"},
}  # members that some servers take


def of_head(request: Request) -> Iterator[str]:
    """Reasons to refuse the head of a request."""
    if request.target != "/v1/chat/completions":
        yield f"unknown path {request.target}"
    if request.header("authorization") != f"Bearer {KEY}":
        yield "wrong key"
    for name, _ in request.headers:
        if name.lower().startswith(("anthropic-", "x-api-key", "x-stainless-")):
            yield f"header of another API: {name}"


def of_body(body: Json, server: str = "") -> Iterator[str]:
    """Reasons to refuse a body. ``server``: name of a known one."""
    params = CompletionCreateParamsStreaming if body.get("stream") else CompletionCreateParamsNonStreaming
    yield from misfits(_without(body, OF_REASONING | TAKES.get(server, set())), params)
    yield from _settings(body)
    yield from _tools(body)
    yield from _order(body["messages"])
    for index, message in enumerate(body["messages"]):
        yield from (f"messages[{index}]: {reason}" for reason in _message(message))


def _without(value: Any, names: set[str]) -> Any:
    """The same without members that the package does not know but the server does."""
    if isinstance(value, dict):
        return {name: _without(each, names) for name, each in value.items() if name not in names}
    return [_without(each, names) for each in value] if isinstance(value, list) else value


def _settings(body: Json) -> Iterator[str]:
    stop = body.get("stop") or []
    if isinstance(stop, list) and (len(stop) > 4 or not all(stop)):
        yield "stop: at most 4 texts, none of them empty"
    if "max_tokens" in body and "max_completion_tokens" in body:
        yield "max_tokens and max_completion_tokens cannot both be set"
    if "stream_options" in body and not body.get("stream"):
        yield "stream_options: only allowed with stream"
    if body.get("top_logprobs") is not None and not body.get("logprobs"):
        yield "top_logprobs: only allowed with logprobs"
    if not 0 <= (body.get("temperature") or 0) <= 2:
        yield "temperature: from 0 to 2"
    if "functions" in body or "function_call" in body:
        yield "functions: deprecated"
    schema = body.get("response_format", {}).get("json_schema")
    if schema is not None and not NAME.fullmatch(schema.get("name", "")):
        yield "response_format.json_schema.name: wrong"


def _tools(body: Json) -> Iterator[str]:
    if "tools" not in body:
        yield from (
            f"{name}: only allowed with tools" for name in ("tool_choice", "parallel_tool_calls") if name in body
        )
        return
    names = [tool["function"]["name"] if tool["type"] == "function" else "" for tool in body["tools"]]
    if not names:
        yield "tools: is empty"
    yield from (f"tools: wrong name {name!r}" for name in names if not NAME.fullmatch(name))
    if len(set(names)) < len(names):
        yield "tools: two of one name"
    for tool in body["tools"]:
        parameters = tool.get("function", {}).get("parameters")
        if parameters is not None and parameters.get("type") != "object":
            yield "tools: parameters must be a schema of an object"
    yield from (f"tool_choice: no tool {name!r}" for name in _chosen(body.get("tool_choice")) if name not in names)


def _chosen(choice: Any) -> list[str]:
    """Names of tools in a tool choice."""
    match choice:
        case {"type": "function", "function": {"name": name}}:
            return [name]
        case {"type": "allowed_tools", "allowed_tools": {"tools": tools}}:
            return [tool["function"]["name"] for tool in tools]
    return []


def _order(messages: list[Json]) -> Iterator[str]:
    """Results must follow their calls at once, one for each."""
    if not messages:
        yield "messages: is empty"
    waiting = set[str]()
    for message in messages:
        if message["role"] == "tool":
            if message["tool_call_id"] not in waiting:
                yield "messages with role 'tool' must be a response to a preceding message with 'tool_calls'"
            waiting.discard(message["tool_call_id"])
            continue
        if waiting:
            yield f"tool_call_ids did not have response messages: {sorted(waiting)}"
        waiting = {call["id"] for call in message.get("tool_calls") or ()}
    if waiting:
        yield f"tool_call_ids did not have response messages: {sorted(waiting)}"


def _message(message: Json) -> Iterator[str]:
    role, content, calls = message["role"], message.get("content"), message.get("tool_calls")
    if role not in ("system", "user", "assistant", "tool"):
        yield f"unknown role {role}"
    if not content and not calls:
        yield "no content"
    if calls is not None and not calls:
        yield "tool_calls: is empty"
    for call in calls or ():
        if call["type"] != "function":
            yield f"a call of the type {call['type']}"
        elif not ID.fullmatch(call["id"]) or not NAME.fullmatch(call["function"]["name"]):
            yield f"wrong id or name of a call: {call}"
    for part in content if isinstance(content, list) else ():
        if part["type"] not in PARTS.get(role, {"text"}):
            yield f"a {part['type']} in a message of role {role}"
        yield from _part(part)


def _part(part: Json) -> Iterator[str]:
    match part:
        case {"type": "text", "text": ""}:
            yield "an empty text"
        case {"type": "image_url", "image_url": {"url": url}}:
            if not DATA.fullmatch(url) and not url.startswith("https://"):
                yield f"image_url: wrong address {url[:40]}"
        case {"type": "file", "file": file}:
            if not DATA.fullmatch(file.get("file_data", "")):
                yield f"file: no data: {file}"
            if not file.get("filename"):
                yield "file: no name"
        case {"type": "input_audio", "input_audio": {"data": data}}:
            if data.startswith("data:"):
                yield "input_audio: must be base64"
