"""What clients get of a provider that speaks another API and fails, is silent, or cannot count tokens."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import anthropic
import openai
import pytest

from tests.support import Chunk, Close, Headers, LastChunk, Wait, json_answer, sse_answer, until
from tests.support.answers import SSE_HEADERS
from tests.translation import chat_provider, messages_provider
from tests.translation.cells import CALLS, PAIRS, R_C, R_M, Json, Pair, Word
from tests.translation.rig import FINE, USUAL, StrictProvider, events_of, served
from tests.translation.sdks import ask, sdk_of

# Cells of the table that this file proves: word by pair and feature.
PROVEN: dict[str, dict[Pair, Word]] = {
    "Error before the first content": dict.fromkeys(PAIRS, "yes"),
    "Error after the first content": dict.fromkeys(PAIRS, "yes"),
    "Cut stream": dict.fromkeys(PAIRS, "yes"),
    "Long silence": dict.fromkeys(PAIRS, "yes"),
    "Counting tokens": {"messages to chat": "501"},
}

ERRORS = (openai.APIError, anthropic.APIError)
EACH_PAIR = pytest.mark.parametrize("pair", PAIRS)
STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
MADE: Any = {"chat": chat_provider, "messages": messages_provider}
BROKEN = "Broken on purpose."


def sides(pair: Pair) -> tuple[str, str]:
    """Client and provider."""
    client, _, provider = pair.split()
    return client, provider


def begun(api: str) -> list[bytes]:
    """The events of an answer up to the first piece of its text."""
    events = events_of(api, USUAL[api])
    first = next(at for at, event in enumerate(events) if FINE[:4].encode() in event)
    return events[: first + 1]


async def raised(provider: StrictProvider, pair: Pair, *, stream: bool, **sections: Any) -> Any:
    """The SDK's error for the usual call."""
    client, _ = sides(pair)
    async with served(provider, **sections) as gw, sdk_of(client, gw) as sdk:
        with pytest.raises(ERRORS) as found:
            await ask(client, sdk, CALLS[client], stream=stream)
    return found.value


def text_of(error: Any) -> str:
    return str(error.body if error.body is not None else error)


# Before the first content


@STREAMED
@EACH_PAIR
@pytest.mark.parametrize(("status", "relayed"), [(400, 400), (429, 429), (500, 502)])
async def test_an_error_of_the_provider_has_the_clients_form(
    pair: Pair, stream: bool, status: int, relayed: int
) -> None:
    client, api = sides(pair)
    provider = StrictProvider(api)
    provider.scripts.append(json_answer(MADE[api].error(BROKEN, status), status))
    error = await raised(provider, pair, stream=stream)
    assert error.status_code == relayed
    assert BROKEN in text_of(error)
    assert (error.body.get("type") == "error") is (client == "messages")


@EACH_PAIR
async def test_an_error_event_before_the_first_content_is_an_http_error(pair: Pair) -> None:
    _, api = sides(pair)
    provider = StrictProvider(api)
    first = events_of(api, USUAL[api])[0]
    provider.scripts.append(sse_answer(first, MADE[api].error_event(BROKEN)))
    error = await raised(provider, pair, stream=True)
    assert error.status_code >= 500
    assert BROKEN in text_of(error)


@STREAMED
@EACH_PAIR
async def test_another_attempt_follows_such_an_error(pair: Pair, stream: bool) -> None:
    client, api = sides(pair)
    provider = StrictProvider(api)
    provider.scripts.append(json_answer(MADE[api].error(BROKEN, 500), 500))
    routing = {"maxRetries": 1, "rateLimitRetries": 0}
    async with served(provider, routing=routing) as gw, sdk_of(client, gw) as sdk:
        said = await ask(client, sdk, CALLS[client], stream=stream)
    assert FINE in str(said.answer)
    assert provider.asked[0] == provider.asked[1]


# After the first content


async def broken(pair: Pair, *end: Any) -> tuple[str, list[Json], Any]:
    """A stream that ends so after the first piece of a text: the text, the events, and the error if one is raised."""
    client, api = sides(pair)
    provider = StrictProvider(api)
    provider.scripts.append([Headers(200, SSE_HEADERS), *map(Chunk, begun(api)), *end])
    async with served(provider) as gw, sdk_of(client, gw) as sdk:
        create = {"messages": "messages", "chat": "chat.completions", "responses": "responses"}[client]
        resource = sdk
        for name in create.split("."):
            resource = getattr(resource, name)
        events: list[Json] = []
        error = None
        try:
            async for event in await resource.create(**CALLS[client], stream=True):
                events.append(event.to_dict())  # noqa: PERF401
        except ERRORS as found:
            error = found
        line = await gw.settled()
    assert line["outcome"] == "broken"
    return "".join(map(text_delta, events)), events, error


def text_delta(event: Json) -> str:
    if "choices" in event:
        return "".join(choice["delta"].get("content") or "" for choice in event["choices"])
    delta = event.get("delta", "")
    return delta if isinstance(delta, str) else delta.get("text", "")


def check_broken(pair: Pair, text: str, events: list[Json], error: Any, message: str) -> None:
    """The client has the beginning of the text and knows that the rest is missing."""
    assert text
    assert FINE.startswith(text)
    assert message in text_of(error)
    assert events[-1].get("type") not in ("message_stop", "response.completed")


@EACH_PAIR
async def test_an_error_after_the_first_content_ends_the_stream_with_it(pair: Pair) -> None:
    end = MADE[sides(pair)[1]].error_event(BROKEN)
    check_broken(pair, *await broken(pair, Chunk(end), LastChunk()), BROKEN)


@pytest.mark.parametrize("pair", [R_C, R_M])
async def test_codex_does_not_repeat_a_response_that_broke_after_its_first_content(pair: Pair) -> None:
    """It repeats what ends with an event ``error``, and some codes. Each time is billed."""
    client, api = sides(pair)
    provider = StrictProvider(api)
    provider.scripts.append([Headers(200, SSE_HEADERS), *map(Chunk, begun(api)), Close()])
    async with served(provider) as gw:
        raw = await gw.client()
        answer = await raw.fetch("POST", f"/v1/{client}", json=CALLS[client] | {"stream": True})
    events = [json.loads(line[6:]) for line in answer.body.decode().splitlines() if line.startswith("data: {")]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert (events[-1]["type"], events[-1]["response"]["error"]["code"]) == ("response.failed", "invalid_prompt")
    assert events[-1]["response"]["output"] == []


@EACH_PAIR
async def test_a_cut_stream_does_not_look_complete(pair: Pair) -> None:
    check_broken(pair, *await broken(pair, Close()), "The provider closed the connection early.")


@EACH_PAIR
async def test_a_stream_that_ends_without_its_last_event_does_not_look_complete(pair: Pair) -> None:
    check_broken(pair, *await broken(pair, LastChunk()), "The provider's answer was cut off before its end.")


@EACH_PAIR
async def test_a_plain_answer_that_is_cut_is_an_error(pair: Pair) -> None:
    client, api = sides(pair)
    provider = StrictProvider(api)
    head, body = json_answer(USUAL[api])
    provider.scripts.append([head, body.data[:40], Close()])  # type: ignore[union-attr]
    error = await raised(provider, pair, stream=False)
    assert error.status_code == 502
    assert client in pair


# Silence


@EACH_PAIR
async def test_silence_is_filled_with_pings(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.app.PING_EVERY", 0.1)
    client, api = sides(pair)
    provider = StrictProvider(api)
    before, within = asyncio.Event(), asyncio.Event()
    first = begun(api)
    rest = events_of(api, USUAL[api])[len(first) :]
    head = [Wait(before), Headers(200, SSE_HEADERS)]
    provider.scripts.append([*head, *map(Chunk, first), Wait(within), *map(Chunk, rest), LastChunk()])
    async with served(provider, server={"pingAfter": 0.1}) as gw, sdk_of(client, gw) as sdk:
        call = asyncio.ensure_future(ask(client, sdk, CALLS[client], stream=True))
        for pause in (before, within):
            for _ in range(3):
                seen = gw.bytes_sent
                await until(lambda: gw.bytes_sent > seen, "a ping")  # noqa: B023
            pause.set()
        said = await call
    assert FINE in str(said.answer)


# Counting tokens


async def test_tokens_cannot_be_counted_by_a_provider_of_another_api() -> None:
    """Claude Code then makes an estimate of its own."""
    provider = StrictProvider("chat")
    async with served(provider) as gw, sdk_of("messages", gw) as sdk:
        with pytest.raises(anthropic.APIStatusError) as refused:
            await sdk.messages.count_tokens(model="m", messages=CALLS["messages"]["messages"])
    assert refused.value.status_code == 501
    assert refused.value.response.headers["x-should-retry"] == "false"
    assert provider.requests == []
