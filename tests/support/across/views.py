"""What a user of an SDK sees of an answer, in one form for all SDKs, so that two answers can be compared."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass, replace
from typing import Any, Final

import httpx2
from openai import OpenAI, omit
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.lib.streaming.responses._responses import ResponseStreamState

from proxy.dialects.openai.responses.client.items import REFUSED
from proxy.dialects.translation.gathered import CallBlock, GatheredAnswer, ReasoningBlock, TextBlock
from proxy.dialects.usage import Usage
from tests.support import anthropic_sdk, gemini
from tests.support.across.translated import PREFIX

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
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
}
_NEUTRAL: Final = {
    "stop": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "refusal": "content_filter",
    "content_filter": "content_filter",
    "pause": "stop",
    "context": "length",
}


@dataclass(frozen=True)
class Call:
    id: str
    name: str
    arguments: Any


@dataclass(frozen=True)
class AnswerView:
    """``text`` with refusals, and the provider's reason for one. ``input`` with the cached tokens. ``None``: not said."""

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
    why = message.stop_details.explanation if message.stop_details else None
    return AnswerView(
        "".join(each.text for each in blocks if each.type == "text") + (why or ""),
        "".join(each.thinking for each in blocks if each.type == "thinking"),
        tuple(Call(each.id, each.name, each.input or {}) for each in blocks if each.type == "tool_use"),
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
            # Not `get_final_completion`, which raises an error for an answer that its limit cut.
            completion = state.current_completion_snapshot
        else:
            completion = sdk.chat.completions.create(model="m", messages=[])
    choice = completion.choices[0]
    message, usage = choice.message, completion.usage
    details = usage.prompt_tokens_details if usage else None
    return AnswerView(
        (message.content or "") + (message.refusal or ""),
        getattr(message, "reasoning_content", None) or getattr(message, "reasoning", None) or "",
        tuple(_chat_call(each.model_dump()) for each in message.tool_calls or ()),
        _finish(choice.finish_reason, refused=bool(message.refusal)),
        usage.prompt_tokens if usage else None,
        details.cached_tokens if details else None,
        # xAI counts the reasoning apart, and in the total.
        max(usage.completion_tokens, usage.total_tokens - usage.prompt_tokens) if usage else None,
    )


def read_responses(body: bytes, streamed: bool) -> AnswerView:
    """As the openai package reads it."""
    response: Any = None
    with _client(body, streamed) as sdk, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of tools that the request repeats and the package does not know
        if streamed:
            state: ResponseStreamState[None] = ResponseStreamState(input_tools=omit, text_format=omit)
            for event in sdk.responses.create(model="m", input="Hi", stream=True):
                state.handle_event(event)
                if event.type in ("response.completed", "response.incomplete", "response.failed"):
                    response = event.response
        else:
            response = sdk.responses.create(model="m", input="Hi")
    texts, thoughts, calls = list[str](), list[str](), list[Call]()
    refused = False
    for item in response.output:
        if item.type == "message":
            said = [each.text if each.type == "output_text" else each.refusal for each in item.content]
            texts += [each for each in said if each != REFUSED]  # for a refusal without words
            refused |= any(each.type == "refusal" for each in item.content)
        elif item.type == "reasoning":
            thoughts += [each.text for each in (*(item.summary or ()), *(item.content or ()))]
        elif item.type == "function_call":
            calls.append(Call(item.call_id, item.name, _arguments(item.arguments)))
        elif item.type == "custom_tool_call":
            calls.append(Call(item.call_id, item.name, {"input": item.input}))
    reason = response.incomplete_details.reason if response.status == "incomplete" else "stop"
    usage = response.usage
    return AnswerView(
        "".join(texts),
        "".join(thoughts),
        tuple(calls),
        _finish(reason if response.status in ("completed", "incomplete") else None, refused=refused),
        usage.input_tokens if usage else None,
        usage.input_tokens_details.cached_tokens if usage and usage.input_tokens_details else None,
        usage.output_tokens if usage else None,
    )


def read_gemini(body: bytes, streamed: bool) -> AnswerView:
    """As Google's package reads it: the first candidate. Calls without an id get the gateway's."""
    chunks = list(gemini.stream_of([body])) if streamed else [gemini.answer_of(body)]
    candidates = [chunk.candidates[0] for chunk in chunks if chunk.candidates]
    parts = [part for each in candidates if each.content for part in each.content.parts or ()]
    calls = tuple(
        Call(given or f"{PREFIX}{at}", name, _unwrapped(arguments))
        for at, (name, given, arguments) in enumerate(gemini.calls_of(parts))
    )
    reasons = [each.finish_reason.value for each in candidates if each.finish_reason]
    reported = [each.usage_metadata for each in chunks if each.usage_metadata]
    counts = [each for each in reported if each.total_token_count]  # Vertex leaves them out until the end
    usage = (counts or [each for each in reported if each.prompt_token_count is not None] or [None])[-1]
    written = [usage.candidates_token_count, usage.thoughts_token_count] if usage else []
    return AnswerView(
        "".join(part.text or "" for part in parts if not part.thought),
        "".join(part.text or "" for part in parts if part.thought),
        calls,
        _FINISH[reasons[-1]] if reasons else None,
        (usage.prompt_token_count or 0) + (usage.tool_use_prompt_token_count or 0) if usage else None,
        usage.cached_content_token_count if usage else None,
        None if written.count(None) == len(written) else sum(each or 0 for each in written),
    )


READERS: Final = {
    "messages": read_messages,
    "chat": read_chat,
    "responses": read_responses,
    "gemini": read_gemini,
}


def _client(body: bytes, streamed: bool) -> OpenAI:
    media_type = "text/event-stream" if streamed else "application/json"

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": media_type}, content=body)

    transport = httpx2.Client(transport=httpx2.MockTransport(answer))
    return OpenAI(api_key="k", base_url="http://up.example", max_retries=0, http_client=transport)


def _finish(reason: str | None, *, refused: bool = False) -> str | None:
    """``refused``: OpenAI stops after a refusal as after any text, and the others for a reason of its own."""
    found = None if reason is None else _FINISH[reason]
    return "content_filter" if refused and found == "stop" else found


def _chat_call(call: dict[str, Any]) -> Call:
    """A call of a custom tool counts as one of the function that may stand for it."""
    if call["type"] == "custom":
        return Call(call["id"], call["custom"]["name"], {"input": call["custom"]["input"]})
    return Call(call["id"], call["function"]["name"], _arguments(call["function"]["arguments"]))


def _arguments(text: str) -> Any:
    try:
        return json.loads(text or "{}")
    except ValueError:
        return text


def _unwrapped(arguments: Any) -> Any:
    """Arguments that were no object became one."""
    return arguments["arguments"] if isinstance(arguments, dict) and arguments.keys() == {"arguments"} else arguments


def read_gathered(answer: GatheredAnswer) -> AnswerView:
    """As neutral parts say it."""
    texts = (each.text for each in answer.blocks if isinstance(each, TextBlock))
    thoughts = (each.text for each in answer.blocks if isinstance(each, ReasoningBlock))
    calls = (each for each in answer.blocks if isinstance(each, CallBlock))
    usage = answer.usage or Usage()
    return AnswerView(
        "".join(texts) + (answer.finish.detail if answer.finish else ""),
        "".join(thoughts),
        tuple(
            Call(each.id, each.name, {"input": each.arguments} if each.kind == "custom" else _arguments(each.arguments))
            for each in calls
        ),
        _NEUTRAL[answer.finish.reason] if answer.finish else None,
        usage.total_input,
        usage.cache_read,
        usage.total_output,
    )
