"""A scripted provider of the Chat Completions API, whose answers are written whole and also sent as streams."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

from tests.clients.native import pieces
from tests.support.answers import DONE, sse

Json = dict[str, Any]

USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 30,
    "total_tokens": 130,
    "prompt_tokens_details": {"cached_tokens": 20, "cache_write_tokens": 10},
    "completion_tokens_details": {"reasoning_tokens": 5},
}


def answer(
    finish: str = "stop",
    logprobs: list[Json] | None = None,
    usage: Json = USAGE,
    stop_reason: str | None = None,
    **message: Any,
) -> Json:
    """A whole answer. ``message`` are the members of its message. ``stop_reason``: the stop sequence, as vLLM tells."""
    said = {"role": "assistant", "content": None, "refusal": None} | message
    choice = {"index": 0, "message": said, "finish_reason": finish}
    if stop_reason is not None:
        choice["stop_reason"] = stop_reason
    choice["logprobs"] = None if logprobs is None else {"content": logprobs, "refusal": None}
    head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1_790_000_000, "model": "up-model"}
    return head | {"choices": [choice], "usage": usage}


def call(call_id: str, name: str, arguments: str, **more: Any) -> Json:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}} | more


def several(*answers: Json) -> Json:
    """One answer whose choices are those of ``answers``."""
    choices = [choice | {"index": index} for index, each in enumerate(answers) for choice in each["choices"]]
    return answers[0] | {"choices": choices}


def chunks(whole: Json, *, interleaved: bool = False) -> list[bytes]:
    """The same answer as a stream. Its choices take turns. ``interleaved``: pieces of the calls' arguments, too."""
    head = whole | {"object": "chat.completion.chunk", "usage": None}
    each = [list(_choice(choice, interleaved=interleaved)) for choice in whole["choices"]]
    parts = [part for turn in zip_longest(*each) for part in turn if part is not None]
    usage = head | {"choices": [], "usage": whole["usage"]}
    return [*(sse(head | {"choices": [part]}) for part in parts), sse(usage), DONE]


def _choice(choice: Json, *, interleaved: bool) -> Iterator[Json]:
    index = {"index": choice["index"]}
    for delta, logprobs in _deltas(choice, interleaved=interleaved):
        yield index | {"delta": delta, "logprobs": logprobs, "finish_reason": None}
    end = {name: choice[name] for name in ("finish_reason", "stop_reason") if name in choice}
    yield index | {"delta": {}, "logprobs": None, **end}


def _deltas(choice: Json, *, interleaved: bool) -> Iterator[tuple[Json, Json | None]]:
    message = choice["message"]
    yield {"role": "assistant", "content": "", "refusal": None}, None
    yield from (({"reasoning_content": piece}, None) for piece in pieces(message.get("reasoning_content") or ""))
    for index, detail in enumerate(message.get("reasoning_details", ())):
        yield {"reasoning_details": [{"index": index} | detail]}, None
    yield from _text(message["content"] or "", choice["logprobs"])
    yield from (({"refusal": piece}, None) for piece in pieces(message["refusal"] or ""))
    yield from (({name: message[name]}, None) for name in ("annotations", "images") if name in message)
    calls = [list(_call(index, each)) for index, each in enumerate(message.get("tool_calls", ()))]
    if interleaved:
        longest = max(map(len, calls), default=0)
        calls = [[each[at]] for at in range(longest) for each in calls if at < len(each)]
    yield from (({"tool_calls": [part]}, None) for each in calls for part in each)


def _text(text: str, logprobs: Json | None) -> Iterator[tuple[Json, Json | None]]:
    """One piece for each token if there are log probabilities."""
    if logprobs is None:
        yield from (({"content": piece}, None) for piece in pieces(text))
        return
    for token in logprobs["content"]:
        yield {"content": token["token"]}, {"content": [token], "refusal": None}


def _call(index: int, whole: Json) -> Iterator[Json]:
    function = whole["function"]
    yield whole | {"index": index, "function": function | {"arguments": ""}}
    yield from ({"index": index, "function": {"arguments": piece}} for piece in pieces(function["arguments"]))


def error(message: str, status: int) -> Json:
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"error": {"message": message, "type": kind, "param": None, "code": None}}


def error_event(message: str) -> bytes:
    return sse(error(message, 500))
