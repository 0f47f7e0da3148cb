"""The SDKs of OpenAI, Anthropic and Google as clients: one call, streamed or plain, and the whole answer that they read."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anthropic
import httpx2
import openai
from anthropic import AsyncAnthropic
from anthropic.lib.streaming._messages import accumulate_event
from google.genai.errors import APIError as GoogleError
from openai import AsyncOpenAI, omit
from openai.lib.streaming.chat._completions import ChatCompletionStreamState
from openai.lib.streaming.responses._responses import ResponseStreamState

from tests.support.gateway import Gateway
from tests.support.gemini import connected
from tests.translation import google_sdk
from tests.translation.cells import Api, Json
from tests.translation.grammar import check_chat, check_gemini, check_messages, check_responses

CLIENTS_KEY = "clients-own-key"
ERRORS: tuple[Any, ...] = (openai.APIError, anthropic.APIError, GoogleError)


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


@dataclass
class Refusal:
    """An error as the SDK raises it. ``member``: what it names; ``kind``: its word for the status."""

    status: int
    kind: str
    message: str
    member: str = ""


def split(create: Callable[..., Any], call: Json) -> Json:
    """The members as arguments of an SDK's method; those that it does not know go into the body all the same."""
    known = inspect.signature(create).parameters
    extra = {name: value for name, value in call.items() if name not in known}
    members = {name: value for name, value in call.items() if name in known}
    return members | ({"extra_body": extra} if extra else {})


@asynccontextmanager
async def sdk_of(
    client: Api, gw: Gateway, *, retries: int = 0, on_request: Callable[[httpx2.Request], Any] | None = None
) -> AsyncIterator[Any]:
    """The SDK of a client that speaks this API. ``on_request`` is a coroutine, called with each of its requests."""
    hooks: Any = {"request": [on_request] if on_request is not None else []}
    if client == "gemini":
        async with connected(gw.url, event_hooks=hooks) as google:
            yield google
        return
    # Reading the system's certificates takes longer than a call.
    async with httpx2.AsyncClient(timeout=20.0, verify=False, event_hooks=hooks) as transport:
        options: Json = {"api_key": CLIENTS_KEY, "max_retries": retries, "http_client": transport}
        if client == "messages":
            yield AsyncAnthropic(base_url=gw.url, **options)
        else:
            yield AsyncOpenAI(base_url=f"{gw.url}/v1", **options)


async def ask(client: Api, sdk: Any, call: Json, *, stream: bool) -> Said:
    """Raises what the SDK raises, and AssertionError for a stream that other clients would not read."""
    if client == "gemini":
        answer, headers, events = await google_sdk.generate(sdk, call, streamed=stream)
        check_gemini(events if stream else [answer])
        return Said(answer, headers, events)
    raw, events = await read(client, sdk, call, stream=stream)
    if not stream:
        return Said(events[0].to_dict(), raw.headers)
    dicts = [event.to_dict() for event in events]
    return Said(READ[client](events, dicts), raw.headers, dicts)


async def read(client: Api, sdk: Any, call: Json, *, stream: bool) -> tuple[Any, list[Any]]:
    """The raw response of one of the two other SDKs, and its events; a plain answer is the only one."""
    create = _resource(client, sdk)
    members = split(create.create, call)
    if not stream:
        raw = await create.with_raw_response.create(**members)
        return raw, [await _parsed(raw)]
    if client == "chat":
        members["stream_options"] = {"include_usage": True} | members.get("stream_options", {})
    raw = await create.with_raw_response.create(**members, stream=True)
    return raw, [event async for event in await _parsed(raw)]


async def events(client: Api, sdk: Any, call: Json) -> AsyncIterator[Json]:
    """The events of a stream, as they come: those before an error, too."""
    if client == "gemini":
        async for chunk in google_sdk.stream(sdk, call):
            yield google_sdk.as_json(chunk)
        return
    create = _resource(client, sdk).create
    async for event in await create(**split(create, call), stream=True):
        yield event.to_dict()


def _resource(client: Api, sdk: Any) -> Any:
    """The object of one of the two other SDKs that has the method ``create``."""
    return {
        "messages": lambda: sdk.messages,
        "chat": lambda: sdk.chat.completions,
        "responses": lambda: sdk.responses,
    }[client]()


def refusal(error: Any) -> Refusal:
    """What an SDK's error says."""
    if isinstance(error, GoogleError):
        return Refusal(*google_sdk.refusal(error))
    if isinstance(error, anthropic.APIStatusError):
        body: Any = error.body
        return Refusal(error.status_code, body["error"]["type"], body["error"]["message"])
    assert isinstance(error, openai.APIStatusError)
    return Refusal(error.status_code, error.type or "", error.message, error.param or "")


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
