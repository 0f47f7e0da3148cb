"""The SDKs of OpenAI and Anthropic as clients: one call, streamed or plain, and the whole answer that they read."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from anthropic import AsyncAnthropic
from anthropic.lib.streaming._messages import accumulate_event
from openai import AsyncOpenAI, omit
from openai.lib.streaming.chat._completions import ChatCompletionStreamState
from openai.lib.streaming.responses._responses import ResponseStreamState

from tests.support.gateway import Gateway
from tests.translation.grammar import check_chat, check_messages, check_responses

Json = dict[str, Any]

CLIENTS_KEY = "clients-own-key"


@dataclass
class Said:
    """An answer as the SDK reads it. ``events`` of a stream, as they came."""

    answer: Json
    headers: Mapping[str, str]
    events: list[Json] = field(default_factory=list)

    @property
    def dropped(self) -> list[str]:
        """What the gateway's header says was left out."""
        return [name for name in self.headers.get("x-router-dropped", "").split(", ") if name]


Ask = Callable[..., Any]


def split(create: Callable[..., Any], call: Json) -> Json:
    """The members as arguments of an SDK's method; those that it does not know go into the body all the same."""
    known = inspect.signature(create).parameters
    extra = {name: value for name, value in call.items() if name not in known}
    members = {name: value for name, value in call.items() if name in known}
    return members | ({"extra_body": extra} if extra else {})


@asynccontextmanager
async def sdk_of(client: str, gw: Gateway, *, retries: int = 0) -> AsyncIterator[Any]:
    """The SDK of a client that speaks ``messages``, ``chat`` or ``responses``."""
    options: Json = {"api_key": CLIENTS_KEY, "max_retries": retries, "timeout": 20.0}
    made: AbstractAsyncContextManager[Any]
    if client == "messages":
        made = AsyncAnthropic(base_url=gw.url, **options)
    else:
        made = AsyncOpenAI(base_url=f"{gw.url}/v1", **options)
    async with made as sdk:
        yield sdk


async def ask(client: str, sdk: Any, call: Json, *, stream: bool) -> Said:
    """Raises what the SDK raises, and AssertionError for a stream that other clients would not read."""
    create = {
        "messages": lambda: sdk.messages,
        "chat": lambda: sdk.chat.completions,
        "responses": lambda: sdk.responses,
    }[client]()
    members = split(create.create, call)
    if not stream:
        raw = await create.with_raw_response.create(**members)
        return Said((await _parsed(raw)).to_dict(), raw.headers)
    if client == "chat":
        members["stream_options"] = {"include_usage": True} | members.get("stream_options", {})
    raw = await create.with_raw_response.create(**members, stream=True)
    events = [event async for event in await _parsed(raw)]
    dicts = [event.to_dict() for event in events]
    return Said(READ[client](events, dicts), raw.headers, dicts)


async def _parsed(raw: Any) -> Any:
    """The body. Only the method of anthropic is a coroutine."""
    found = raw.parse()
    return await found if inspect.isawaitable(found) else found


def _message(events: list[Any], dicts: list[Json]) -> Json:
    check_messages(dicts)
    message, buffers = None, dict[int, bytes]()
    for event in events:
        if event.type != "ping":
            message = accumulate_event(event=event, current_snapshot=message, json_bufs=buffers)
    assert message is not None
    return message.to_dict()


def _completion(events: list[Any], dicts: list[Json]) -> Json:
    check_chat(dicts)
    state: Any = ChatCompletionStreamState()
    for event in events:
        state.handle_chunk(event)
    found: Json = state.current_completion_snapshot.to_dict()
    return found


def _response(events: list[Any], dicts: list[Json]) -> Json:
    check_responses(dicts)
    state: Any = ResponseStreamState(input_tools=omit, text_format=omit)
    for event in events:
        state.handle_event(event)
    found: Json = dicts[-1]["response"]
    return found


READ = {"messages": _message, "chat": _completion, "responses": _response}
