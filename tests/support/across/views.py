"""What a user of an SDK sees of an answer, in one form for all SDKs, so that two answers can be compared."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any, Final

import httpx2
from openai import OpenAI, omit
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.lib.streaming.responses._responses import ResponseStreamState

from tests.support import anthropic_sdk

_FINISH: Final = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "pause_turn": "stop",
    "refusal": "content_filter",
    "model_context_window_exceeded": "length",
    "compaction": "stop",
    "max_output_tokens": "length",
}


@dataclass(frozen=True)
class Call:
    id: str
    name: str
    arguments: Any


@dataclass(frozen=True)
class AnswerView:
    """``text`` with refusals. ``input`` with the cached tokens. ``None``: not said."""

    text: str = ""
    reasoning: str = ""
    calls: tuple[Call, ...] = ()
    finish: str | None = None
    input: int | None = None
    cached: int | None = None
    output: int | None = None

    @property
    def comparable(self) -> AnswerView:
        """A model that calls a tool stops for it, whatever the provider says; no cached tokens are 0."""
        finish = "tool_calls" if self.calls and self.finish == "stop" else self.finish
        return replace(self, finish=finish, cached=self.cached or 0)


def read_messages(body: bytes, streamed: bool) -> AnswerView:
    """As the anthropic package reads it. Raises what it raises, so do the others."""
    message = anthropic_sdk.read_stream(body) if streamed else anthropic_sdk.read_answer(body)
    blocks = message.content
    usage = message.usage
    cached = usage.cache_read_input_tokens
    return AnswerView(
        "".join(each.text for each in blocks if each.type == "text"),
        "".join(each.thinking for each in blocks if each.type == "thinking"),
        tuple(Call(each.id, each.name, each.input) for each in blocks if each.type == "tool_use"),
        _finish(message.stop_reason),
        usage.input_tokens + (cached or 0) + (usage.cache_creation_input_tokens or 0),
        cached,
        usage.output_tokens,
    )


def read_chat(body: bytes, streamed: bool) -> AnswerView:
    """As the openai package reads it: the first choice."""
    completion: Any
    with _client(body, streamed) as sdk:
        if streamed:
            state: ChatCompletionStreamState[None] = ChatCompletionStreamState()
            for chunk in sdk.chat.completions.create(model="m", messages=[], stream=True):
                for _ in state.handle_chunk(chunk):
                    pass
            completion = state.get_final_completion()
        else:
            completion = sdk.chat.completions.create(model="m", messages=[])
    choice = completion.choices[0]
    message, usage = choice.message, completion.usage
    details = usage.prompt_tokens_details if usage else None
    return AnswerView(
        (message.content or "") + (message.refusal or ""),
        getattr(message, "reasoning_content", None) or getattr(message, "reasoning", None) or "",
        tuple(
            Call(each.id, each.function.name, _arguments(each.function.arguments)) for each in message.tool_calls or ()
        ),
        _finish(choice.finish_reason),
        usage.prompt_tokens if usage else None,
        details.cached_tokens if details else None,
        usage.completion_tokens if usage else None,
    )


def read_responses(body: bytes, streamed: bool) -> AnswerView:
    """As the openai package reads it."""
    response: Any = None
    with _client(body, streamed) as sdk:
        if streamed:
            state: ResponseStreamState[None] = ResponseStreamState(input_tools=omit, text_format=omit)
            for event in sdk.responses.create(model="m", input="Hi", stream=True):
                state.handle_event(event)
                if event.type in ("response.completed", "response.incomplete", "response.failed"):
                    response = event.response
        else:
            response = sdk.responses.create(model="m", input="Hi")
    texts, thoughts, calls = list[str](), list[str](), list[Call]()
    for item in response.output:
        if item.type == "message":
            texts += [each.text if each.type == "output_text" else each.refusal for each in item.content]
        elif item.type == "reasoning":
            thoughts += [each.text for each in (*(item.summary or ()), *(item.content or ()))]
        elif item.type == "function_call":
            calls.append(Call(item.call_id, item.name, _arguments(item.arguments)))
        elif item.type == "custom_tool_call":
            calls.append(Call(item.call_id, item.name, item.input))
    reason = response.incomplete_details.reason if response.status == "incomplete" else "stop"
    usage = response.usage
    return AnswerView(
        "".join(texts),
        "".join(thoughts),
        tuple(calls),
        _finish(reason if response.status in ("completed", "incomplete") else None),
        usage.input_tokens if usage else None,
        usage.input_tokens_details.cached_tokens if usage else None,
        usage.output_tokens if usage else None,
    )


READERS: Final = {"messages": read_messages, "chat": read_chat, "responses": read_responses}


def _client(body: bytes, streamed: bool) -> OpenAI:
    media_type = "text/event-stream" if streamed else "application/json"

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": media_type}, content=body)

    transport = httpx2.Client(transport=httpx2.MockTransport(answer))
    return OpenAI(api_key="k", base_url="http://up.example", max_retries=0, http_client=transport)


def _finish(reason: str | None) -> str | None:
    return None if reason is None else _FINISH[reason]


def _arguments(text: str) -> Any:
    try:
        return json.loads(text or "{}")
    except ValueError:
        return text
