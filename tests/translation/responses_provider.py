"""A scripted provider of OpenAI's Responses API, whose answers are written whole and also sent as streams.

Shapes and order of the events: https://platform.openai.com/docs/api-reference/responses-streaming, and streams of OpenAI
that others recorded.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from typing import Any, Final

from tests.clients.native import pieces
from tests.support.messages import event

Json = dict[str, Any]

USAGE: Final[Json] = {
    "input_tokens": 100,
    "input_tokens_details": {"cached_tokens": 20, "cache_write_tokens": 10},
    "output_tokens": 30,
    "output_tokens_details": {"reasoning_tokens": 5},
    "total_tokens": 130,
}
FAILURE: Final = {"code": "server_error", "message": "The server had an error while processing your request."}
OBFUSCATION: Final = "Xk3vQ0"  # OpenAI pads each delta with a random text
HEAD: Final[Json] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1_790_000_000,
    "status": "completed",
    "background": False,
    "error": None,
    "incomplete_details": None,
    "instructions": None,
    "max_output_tokens": None,
    "model": "gpt-5.6-2026-06-30",
    "output": [],
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "reasoning": {"effort": "medium", "summary": None},
    "service_tier": "default",
    "store": False,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
    "truncation": "disabled",
    "usage": None,
    "metadata": {},
}


def answer(*items: Json, status: str = "completed", usage: Json | None = USAGE, **members: Any) -> Json:
    """A whole Response object. The last item of an answer that is ``incomplete`` is cut as well.

    ``members`` replace those of the object, such as ``incomplete_details``.
    """
    output = list(items)
    whole = HEAD | {"status": status, "usage": usage, "output": output}
    if status == "incomplete":
        whole["incomplete_details"] = {"reason": "max_output_tokens"}
        output[-1:] = [item | ({"status": status} if "status" in item else {}) for item in output[-1:]]
    if status == "failed":
        whole["error"] = FAILURE
    return whole | members


def message(*content: Json, **more: Any) -> Json:
    """A message of these parts."""
    item = {"type": "message", "status": "completed", "role": "assistant", "content": list(content)}
    return {"id": _id("msg_", item)} | item | more


def text(said: str, annotations: Sequence[Json] = (), logprobs: list[Json] | None = None, **more: Any) -> Json:
    """A message of one text. ``logprobs``: one entry for each of its tokens. ``more``: members of the message."""
    part = {"type": "output_text", "annotations": list(annotations), "logprobs": logprobs or [], "text": said}
    return message(part, **more)


def refusal(said: str) -> Json:
    return message({"type": "refusal", "refusal": said})


def reasoning(text: str = "", summary: Iterable[str] = (), encrypted: str | None = None) -> Json:
    """Reasoning. ``text``: raw, as open models have it; ``summary``: its paragraphs."""
    item: Json = {"type": "reasoning", "summary": [{"type": "summary_text", "text": each} for each in summary]}
    if text:
        item["content"] = [{"type": "reasoning_text", "text": text}]
    if encrypted is not None:
        item["encrypted_content"] = encrypted
    return {"id": _id("rs_", item)} | item


def call(call_id: str, name: str, arguments_text: str, **more: Any) -> Json:
    item = {"type": "function_call", "status": "completed", "call_id": call_id, "name": name}
    return {"id": _id("fc_", item), "arguments": arguments_text} | item | more


def custom_call(call_id: str, name: str, input_text: str, **more: Any) -> Json:
    item = {"type": "custom_tool_call", "status": "completed", "call_id": call_id, "name": name}
    return {"id": _id("ctc_", item), "input": input_text} | item | more


def signatures_of(whole: Json) -> dict[str, str]:
    """The encrypted contents of an answer, each with the id of its item."""
    return {item["encrypted_content"]: item["id"] for item in whole["output"] if "encrypted_content" in item}


def events(whole: Json) -> list[bytes]:
    """The same answer as a stream."""
    begun: Json = {"status": "in_progress", "output": [], "usage": None, "error": None, "incomplete_details": None}
    made: list[tuple[str, Json]] = [(name, {"response": whole | begun}) for name in ("created", "in_progress")]
    for index, item in enumerate(whole["output"]):
        made += _item(index, item)
    made.append((whole["status"], {"response": whole}))
    return [event(f"response.{name}", sequence_number=number, **more) for number, (name, more) in enumerate(made)]


def _id(prefix: str, item: Json) -> str:
    """An id by the content, so that it is the same in each run, and another one in each item of a conversation."""
    return prefix + sha256(json.dumps(item, sort_keys=True).encode()).hexdigest()[:24]


def _item(index: int, item: Json) -> Iterator[tuple[str, Json]]:
    yield "output_item.added", {"output_index": index, "item": item | _empty(item)}
    place = {"item_id": item["id"], "output_index": index}
    match item["type"]:
        case "message":
            for at, part in enumerate(item["content"]):
                yield from _part(place | {"content_index": at}, part)
        case "reasoning":
            for at, part in enumerate(item["summary"]):
                yield from _summary(place | {"summary_index": at}, part)
            for at, part in enumerate(item.get("content", ())):
                yield from _part(place | {"content_index": at}, part)
        case "function_call":
            yield from _growth("function_call_arguments", place, "arguments", item["arguments"])
        case "custom_tool_call":
            yield from _growth("custom_tool_call_input", place, "input", item["input"])
    yield "output_item.done", {"output_index": index, "item": item}


def _empty(item: Json) -> Json:
    """The members of an item that are not yet there when it begins."""
    begun: Json = {"status": "in_progress"} if "status" in item else {}
    match item["type"]:
        case "message":
            return begun | {"content": []}
        case "reasoning":
            half = {name: value[: len(value) // 2] for name, value in item.items() if name == "encrypted_content"}
            return begun | half | {"summary": []} | ({"content": []} if "content" in item else {})
        case "function_call":
            return begun | {"arguments": ""}
        case "custom_tool_call":
            return begun | {"input": ""}
    return begun


def _part(place: Json, part: Json) -> Iterator[tuple[str, Json]]:
    match part["type"]:
        case "output_text":
            empty, growth = {"text": "", "annotations": [], "logprobs": []}, _text(place, part)
        case "refusal":
            empty, growth = {"refusal": ""}, _growth("refusal", place, "refusal", part["refusal"])
        case _:
            empty, growth = {"text": ""}, _growth("reasoning_text", place, "text", part["text"])
    yield "content_part.added", place | {"part": part | empty}
    yield from growth
    yield "content_part.done", place | {"part": part}


def _text(place: Json, part: Json) -> Iterator[tuple[str, Json]]:
    """One piece for each token if there are log probabilities."""
    tokens = [(token["token"], [token]) for token in part["logprobs"]]
    for piece, logprobs in tokens or [(piece, []) for piece in pieces(part["text"])]:
        yield "output_text.delta", place | {"delta": piece, "logprobs": logprobs, "obfuscation": OBFUSCATION}
    for index, annotation in enumerate(part["annotations"]):
        yield "output_text.annotation.added", place | {"annotation_index": index, "annotation": annotation}
    yield "output_text.done", place | {"text": part["text"], "logprobs": part["logprobs"]}


def _summary(place: Json, part: Json) -> Iterator[tuple[str, Json]]:
    yield "reasoning_summary_part.added", place | {"part": part | {"text": ""}}
    yield from _growth("reasoning_summary_text", place, "text", part["text"])
    yield "reasoning_summary_part.done", place | {"part": part}


def _growth(name: str, place: Json, member: str, whole: str) -> Iterator[tuple[str, Json]]:
    """The deltas of a text, and the event that has it whole in ``member``."""
    yield from ((f"{name}.delta", place | {"delta": each, "obfuscation": OBFUSCATION}) for each in pieces(whole))
    yield f"{name}.done", place | {member: whole}


def error(message: str, status: int) -> Json:
    kinds = {400: "invalid_request_error", 429: "rate_limit_error"}
    return {"error": {"message": message, "type": kinds.get(status, "server_error"), "param": None, "code": None}}


def error_event(message: str) -> bytes:
    """An error within a stream, as OpenAI sends it; the package's type has its members beside ``type``."""
    fault = {"type": "server_error", "code": "server_error", "message": message, "param": None}
    return event("error", error=fault, sequence_number=9)
