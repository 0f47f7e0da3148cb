"""What Anthropic's Messages API refuses, by model. The types are those of the anthropic package."""

from __future__ import annotations

import copy
import re
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from anthropic.types.message_create_params import MessageCreateParamsNonStreaming, MessageCreateParamsStreaming

from tests.support.upstream import Request
from tests.translation.types_check import misfits

Json = dict[str, Any]

KEY = "messages-key"
VERSIONS = ("2023-06-01", "2026-10-21")
SAMPLING = ("temperature", "top_p", "top_k")
NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
ID = re.compile(r"[a-zA-Z0-9_-]+")
IMAGES = ("image/jpeg", "image/png", "image/gif", "image/webp")
MARKS = 4
LEAST_BUDGET = 1024


class Rules(NamedTuple):
    """What a model takes. ``thinking``: types of the member."""

    thinking: tuple[str, ...]
    output_tokens: int
    sampling: bool = False
    prefill: bool = False
    late_system: bool = True


MODELS = {
    "claude-opus-4-8": Rules(("adaptive", "disabled"), 128_000),
    "claude-haiku-4-5": Rules(("enabled", "disabled"), 64_000, sampling=True, prefill=True, late_system=False),
}


def of_head(request: Request) -> Iterator[str]:
    """Reasons to refuse the head of a request."""
    if request.target != "/v1/messages":
        yield f"unknown path {request.target}"
    if request.header("x-api-key") != KEY or request.header("authorization") is not None:
        yield "wrong key"
    if request.header("anthropic-version") not in VERSIONS:
        yield "anthropic-version: is missing"
    for name, _ in request.headers:
        if name.lower().startswith(("openai-", "x-stainless-")):
            yield f"header of another API: {name}"
    if request.header("anthropic-version") == VERSIONS[1]:
        yield from (f"{name}: not in this version" for name in SAMPLING if name in request.json)


def of_body(body: Json, signatures: Collection[str] = ()) -> Iterator[str]:
    """Reasons to refuse a body. ``signatures`` are valid, and the ``data`` of redacted thinking."""
    rules = MODELS.get(body.get("model", ""))
    if rules is None:
        yield f"model: {body.get('model')}"
        return
    standard = {name: value for name, value in body.items() if name not in SAMPLING}
    params = MessageCreateParamsStreaming if body.get("stream") else MessageCreateParamsNonStreaming
    yield from misfits(_standard(standard), params)
    yield from _settings(body, rules)
    yield from _tools(body)
    yield from _order(body["messages"], rules)
    yield from _thinking(body, rules)
    for index, message in enumerate(body["messages"]):
        for block in _blocks(message):
            yield from (f"messages.{index}: {reason}" for reason in _block(block, signatures))


def _standard(body: Json) -> Json:
    """The body without system messages, which the package's types do not know."""
    body = copy.deepcopy(body)
    body["messages"] = [message for message in body["messages"] if message["role"] != "system"]
    return body


def _blocks(message: Json) -> list[Json]:
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _settings(body: Json, rules: Rules) -> Iterator[str]:
    if not 1 <= body.get("max_tokens", 0) <= rules.output_tokens:
        yield f"max_tokens: from 1 to {rules.output_tokens}"
    if not rules.sampling:
        yield from (f"{name}: this model has none" for name in SAMPLING if name in body)
    if not 0 <= body.get("temperature", 0) <= 1:
        yield "temperature: from 0 to 1"
    if "temperature" in body and "top_p" in body:
        yield "temperature and top_p cannot both be specified"
    if not all(map(str.strip, body.get("stop_sequences", ()))):
        yield "stop_sequences: must not be white space"
    if isinstance(system := body.get("system"), list) and not all(block["text"].strip() for block in system):
        yield "system: an empty text"
    if str(body).count("'cache_control': {") > MARKS:
        yield f"cache_control: at most {MARKS}"
    schema = body.get("output_config", {}).get("format", {}).get("schema")
    if schema is not None and not _is_closed(schema):
        yield "output_config.format.schema: additionalProperties must be false"


def _is_closed(schema: Json) -> bool:
    return schema.get("type") != "object" or schema.get("additionalProperties") is False


def _tools(body: Json) -> Iterator[str]:
    tools = body.get("tools", [])
    names = [tool["name"] for tool in tools]
    yield from (f"tools: wrong name {name!r}" for name in names if not NAME.fullmatch(name))
    if len(set(names)) < len(names):
        yield "tools: two of one name"
    choice = body.get("tool_choice")
    if choice is not None and not tools:
        yield "tool_choice: only allowed with tools"
    if choice is not None and choice["type"] == "tool" and choice["name"] not in names:
        yield f"tool_choice: no tool {choice['name']!r}"
    for tool in tools:
        if tool["input_schema"].get("type") != "object":
            yield "tools: input_schema must be a schema of an object"
        if tool.get("strict") and not _is_closed(tool["input_schema"]):
            yield "tools: a strict tool needs additionalProperties: false"


def _order(messages: list[Json], rules: Rules) -> Iterator[str]:
    roles = [message["role"] for message in messages]
    if "user" not in roles[:1]:
        yield "messages: the first one must be of the user"
    if roles[-1:] == ["assistant"] and not rules.prefill:
        yield "messages: this model does not take a final assistant message"
    if "system" in roles and not rules.late_system:
        yield "messages: system is no role for this model"
    yield from _calls(messages)


def _calls(messages: list[Json]) -> Iterator[str]:
    """Results must be first in the message after their calls, one for each."""
    waiting, results_first = set[str](), True
    for message in messages:
        blocks = _blocks(message)
        if message["role"] == "assistant":
            if waiting:
                yield f"tool_use ids without tool_result: {sorted(waiting)}"
            waiting, results_first = {block["id"] for block in blocks if block["type"] == "tool_use"}, True
            continue
        for block in blocks:
            if block["type"] != "tool_result":
                results_first = False
                if waiting:
                    yield f"tool_use ids without tool_result directly after: {sorted(waiting)}"
                    waiting = set()
            elif block["tool_use_id"] not in waiting or not results_first:
                yield f"unexpected tool_use_id in a tool_result: {block['tool_use_id']}"
            else:
                waiting.discard(block["tool_use_id"])
    if waiting:
        yield f"tool_use ids without tool_result: {sorted(waiting)}"


def _thinking(body: Json, rules: Rules) -> Iterator[str]:
    thinking = body.get("thinking")
    if thinking is None:
        return
    if thinking["type"] not in rules.thinking:
        yield f"thinking: this model does not take {thinking['type']}"
    if thinking["type"] != "enabled":
        return
    if not LEAST_BUDGET <= thinking["budget_tokens"] < body["max_tokens"]:
        yield "thinking.budget_tokens: at least 1024, and less than max_tokens"
    if body.get("temperature", 1) != 1 or "top_k" in body:
        yield "temperature: must be 1 with thinking"
    if body.get("tool_choice", {}).get("type") in ("any", "tool"):
        yield "tool_choice: must not be forced with thinking"
    turns = [message for message in body["messages"] if message["role"] == "assistant"]
    last = [block["type"] for block in _blocks(turns[-1])] if turns else []
    if "tool_use" in last and last[0] not in ("thinking", "redacted_thinking"):
        yield "messages: expected thinking before the last tool_use"


def _block(block: Json, signatures: Collection[str]) -> Iterator[str]:
    match block:
        case {"type": "text", "text": text}:
            if not text.strip():
                yield "text: must not be empty"
        case {"type": "thinking", "signature": value} | {"type": "redacted_thinking", "data": value}:
            if value not in signatures:
                yield "Invalid `signature` in `thinking` block"
        case {"type": "tool_use", "id": call_id, "name": name}:
            if not ID.fullmatch(call_id) or not NAME.fullmatch(name):
                yield f"tool_use: wrong id or name: {call_id}, {name}"
        case {"type": "tool_result", "content": list(content)}:
            for each in content:
                yield from _block(each, signatures)
        case {"type": "image", "source": {"type": "base64", "media_type": media_type}}:
            if media_type not in IMAGES:
                yield f"image: wrong media_type {media_type}"
        case {"type": "image" | "document", "source": {"type": "url", "url": url}}:
            if not url.startswith("https://"):
                yield f"source.url: wrong address {url[:40]}"
