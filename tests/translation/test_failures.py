"""What clients get of a provider that speaks another API and fails, or is silent."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.support import Chunk, Close, Headers, LastChunk, Wait, json_answer, sse_answer, until
from tests.support.answers import SSE_HEADERS
from tests.support.steps import Script
from tests.translation.cells import CALLS, PAIRS, Api, Json, Pair, Word
from tests.translation.providers import SCRIPTED
from tests.translation.rig import FINE, USUAL, StrictProvider, events_of, served
from tests.translation.sdks import ERRORS, ask, events, refusal, sdk_of

# Cells of the table that this file proves: word by pair and feature.
PROVEN: dict[str, dict[Pair, Word]] = {
    "Error before the first content": dict.fromkeys(PAIRS, "yes"),
    "Error after the first content": dict.fromkeys(PAIRS, "yes"),
    "Cut stream": dict.fromkeys(PAIRS, "yes"),
    "Long silence": dict.fromkeys(PAIRS, "yes"),
}

EACH_PAIR = pytest.mark.parametrize("pair", PAIRS, ids=str)
BROKEN = "Broken on purpose."
# What the clients' APIs call an error of each status.
KINDS: dict[Api, dict[int, str]] = {
    "chat": {400: "invalid_request_error", 429: "rate_limit_error", 502: "upstream_error"},
    "responses": {400: "invalid_request_error", 429: "rate_limit_error", 502: "upstream_error"},
    "messages": {400: "invalid_request_error", 429: "rate_limit_error", 502: "api_error"},
    "gemini": {400: "INVALID_ARGUMENT", 429: "RESOURCE_EXHAUSTED", 502: "UNAVAILABLE"},
}


def begun(api: Api) -> list[bytes]:
    """The events of an answer up to the first piece of its text."""
    found = events_of(api, USUAL[api])
    first = next(at for at, event in enumerate(found) if FINE[:4].encode() in event)
    return found[: first + 1]


async def raised(provider: StrictProvider, pair: Pair, *, stream: bool) -> Any:
    """The SDK's error for the usual call."""
    async with served(provider) as gw, sdk_of(pair.client, gw) as sdk:
        with pytest.raises(ERRORS) as found:
            await ask(pair.client, sdk, CALLS[pair.client], stream=stream)
    return found.value


def text_of(error: Any) -> str:
    return str(getattr(error, "body", None) or error)


# Before the first content


@EACH_PAIR
@pytest.mark.parametrize(
    ("status", "relayed", "stream"), [(400, 400, False), (400, 400, True), (429, 429, True), (500, 502, False)]
)
async def test_an_error_of_the_provider_has_the_clients_form(
    pair: Pair, status: int, relayed: int, stream: bool
) -> None:
    provider = StrictProvider(pair.provider)
    provider.scripts.append(json_answer(SCRIPTED[pair.provider].error(BROKEN, status), status))
    error = refusal(await raised(provider, pair, stream=stream))
    assert (error.status, error.kind) == (relayed, KINDS[pair.client][relayed])
    assert BROKEN in error.message


@EACH_PAIR
async def test_an_error_event_before_the_first_content_is_an_http_error(pair: Pair) -> None:
    provider = StrictProvider(pair.provider)
    first = begun(pair.provider)[:-1][:1]  # Gemini's first event has content
    provider.scripts.append(sse_answer(*first, SCRIPTED[pair.provider].error_event(BROKEN)))
    error = refusal(await raised(provider, pair, stream=True))
    assert error.status >= 500
    assert BROKEN in error.message


@EACH_PAIR
async def test_another_attempt_follows_such_an_error(pair: Pair) -> None:
    provider = StrictProvider(pair.provider)
    routing = {"maxRetries": 1, "rateLimitRetries": 0, "retryDelay": 10}
    async with served(provider, routing=routing) as gw, sdk_of(pair.client, gw) as sdk:
        for stream in (False, True):
            provider.scripts.append(json_answer(SCRIPTED[pair.provider].error(BROKEN, 500), 500))
            said = await ask(pair.client, sdk, CALLS[pair.client], stream=stream)
            assert FINE in str(said.answer)
    assert len(provider.asked) == 4
    assert all(each == provider.asked[0] for each in provider.asked)


# After the first content


async def broken(pair: Pair, *end: Any) -> tuple[str, list[Json], Any]:
    """A stream that ends so after the first piece of a text: the text, the events, and the error if one is raised."""
    provider = StrictProvider(pair.provider)
    provider.scripts.append([Headers(200, SSE_HEADERS), *map(Chunk, begun(pair.provider)), *end])
    async with served(provider) as gw, sdk_of(pair.client, gw) as sdk:
        seen: list[Json] = []
        error = None
        try:
            async for event in events(pair.client, sdk, CALLS[pair.client]):
                seen.append(event)  # noqa: PERF401
        except ERRORS as found:
            error = found
        line = await gw.settled()
    assert line["outcome"] == "broken"
    return "".join(map(text_delta, seen)), seen, error


def text_delta(event: Json) -> str:
    if "choices" in event:
        return "".join(choice["delta"].get("content") or "" for choice in event["choices"])
    if "candidates" in event:
        parts = [part for each in event["candidates"] for part in each["content"]["parts"]]
        return "".join(part.get("text", "") for part in parts)
    delta = event.get("delta", "")
    return delta if isinstance(delta, str) else delta.get("text", "")


def looks_complete(event: Json) -> bool:
    """Whether a client would take the answer for whole after this event."""
    ends = [*event.get("choices", ()), *event.get("candidates", ())]
    return event.get("type") in ("message_stop", "response.completed") or any(
        each.get("finish_reason") or each.get("finishReason") for each in ends
    )


def check_broken(text: str, seen: list[Json], error: Any, message: str) -> None:
    """The client has the beginning of the text and knows that the rest is missing."""
    assert text
    assert FINE.startswith(text)
    assert message in text_of(error)
    assert not any(map(looks_complete, seen))


@EACH_PAIR
async def test_an_error_after_the_first_content_ends_the_stream_with_it(pair: Pair) -> None:
    end = SCRIPTED[pair.provider].error_event(BROKEN)
    check_broken(*await broken(pair, Chunk(end), LastChunk()), BROKEN)


@pytest.mark.parametrize("pair", [pair for pair in PAIRS if pair.client == "responses"], ids=str)
async def test_codex_does_not_repeat_a_response_that_broke_after_its_first_content(pair: Pair) -> None:
    """It repeats what ends with an event ``error``, and some codes. Each time is billed."""
    provider = StrictProvider(pair.provider)
    provider.scripts.append([Headers(200, SSE_HEADERS), *map(Chunk, begun(pair.provider)), Close()])
    async with served(provider) as gw:
        raw = await gw.client()
        answer = await raw.fetch("POST", "/v1/responses", json=CALLS["responses"] | {"stream": True})
    found = [json.loads(line[6:]) for line in answer.body.decode().splitlines() if line.startswith("data: {")]
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    assert (found[-1]["type"], found[-1]["response"]["error"]["code"]) == ("response.failed", "invalid_prompt")
    assert found[-1]["response"]["output"] == []


@EACH_PAIR
async def test_a_cut_stream_does_not_look_complete(pair: Pair) -> None:
    check_broken(*await broken(pair, Close()), "The provider closed the connection early.")


@EACH_PAIR
async def test_a_stream_that_ends_without_its_last_event_does_not_look_complete(pair: Pair) -> None:
    check_broken(*await broken(pair, LastChunk()), "The provider's answer was cut off before its end.")


@EACH_PAIR
async def test_a_plain_answer_that_is_cut_is_an_error(pair: Pair) -> None:
    provider = StrictProvider(pair.provider)
    head, body = json_answer(USUAL[pair.provider])
    provider.scripts.append([head, body.data[:40], Close()])  # type: ignore[union-attr]
    assert refusal(await raised(provider, pair, stream=False)).status == 502


# Silence


def silent(api: Api, before: asyncio.Event, within: asyncio.Event) -> Script:
    """An answer that pauses before its head, and after the first piece of its text."""
    first = begun(api)
    rest = events_of(api, USUAL[api])[len(first) :]
    head = [Wait(before), Headers(200, SSE_HEADERS)]
    return [*head, *map(Chunk, first), Wait(within), *map(Chunk, rest), LastChunk()]


@EACH_PAIR
async def test_silence_is_filled_with_pings(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.relay.context.PING_EVERY", 0.05)
    provider = StrictProvider(pair.provider)
    before, within = asyncio.Event(), asyncio.Event()
    provider.scripts.append(silent(pair.provider, before, within))
    async with served(provider, server={"pingAfter": 0.05}) as gw, sdk_of(pair.client, gw) as sdk:
        call = asyncio.ensure_future(ask(pair.client, sdk, CALLS[pair.client], stream=True))
        for pause in (before, within):
            for _ in range(3):
                seen = gw.bytes_sent
                await until(lambda: gw.bytes_sent > seen, "a ping")  # noqa: B023
            pause.set()
        said = await call
    assert FINE in str(said.answer)


@pytest.mark.skipif("SLUICE_SLOW_TESTS" not in os.environ, reason="takes two minutes; SLUICE_SLOW_TESTS=1 runs it")
async def test_a_minute_of_silence_before_an_answer_and_another_one_within_it() -> None:
    """With the real intervals of pings: the SDKs here give up after 20 s without a byte."""
    before, within = asyncio.Event(), asyncio.Event()
    async with AsyncExitStack() as stack:
        calls = []
        for pair in PAIRS:
            provider = StrictProvider(pair.provider)
            provider.scripts.append(silent(pair.provider, before, within))
            gw = await stack.enter_async_context(served(provider))
            sdk = await stack.enter_async_context(sdk_of(pair.client, gw))
            calls.append(asyncio.ensure_future(ask(pair.client, sdk, CALLS[pair.client], stream=True)))
        for pause in (before, within):
            await asyncio.sleep(60)
            pause.set()
        answers = await asyncio.gather(*calls)
    assert [FINE in str(said.answer) for said in answers] == [True] * len(PAIRS)
