"""Calls that name content by its address, for providers that take none."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import anthropic
import openai
import pytest

from tests.support import (
    Answer,
    Headers,
    Send,
    Stall,
    Upstream,
    Wait,
    chat_events,
    completion,
    error_json,
    json_answer,
    sse,
    sse_answer,
    until,
    within,
)
from tests.support.clock import LoopClock
from tests.support.gateway import Gateway
from tests.support.steps import Script
from tests.translation.sdks import sdk_of

PDF = b"%PDF-1.4\n%%EOF"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(50)
PDF_DATA = f"data:application/pdf;base64,{base64.b64encode(PDF).decode()}"
PNG_DATA = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
PNG_SOURCE = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(PNG).decode()}
PRIVATE = {"translate": {"fetch": {"privateAddresses": True}}}


def file(content: bytes, media_type: str) -> Script:
    return [Headers(200, [("Content-Type", media_type), ("Content-Length", str(len(content)))]), Send(content)]


def files(request: Any) -> Script:
    if request.target.endswith(".png"):
        return file(PNG, "image/png")
    return file(PDF, "application/pdf") if request.target.endswith(".pdf") else file(b"A note.", "text/plain")


@asynccontextmanager
async def gateway(
    providers: int = 1, *, fetches: bool = False, **sections: Any
) -> AsyncIterator[tuple[Gateway, Upstream, list[Upstream]]]:
    """A gateway, a server of files, and providers of chat with one model, which are tried in order."""
    async with AsyncExitStack() as stack:
        store, *ups = [await stack.enter_async_context(Upstream()) for _ in range(providers + 1)]
        store.on(files)
        names = {f"p{n}": up for n, up in enumerate(ups)}
        config = {
            "providers": {
                name: {"baseUrl": up.url, "apiKey": "secret-key", "dialects": {"responses": {"enabled": False}}}
                for name, up in names.items()
            },
            "models": [{"name": "m", "provider": name, "capabilities": {"fetches": fetches}} for name in names],
            "routing": {"retryDelay": 0, "maxRetries": 3, "rateLimitRetries": 0} | sections.pop("routing", {}),
        }
        yield await stack.enter_async_context(Gateway(config | PRIVATE | sections)), store, ups


def link(kind: str, address: str) -> dict[str, Any]:
    return {"type": kind, "source": {"type": "url", "url": address}}


def body(*content: dict[str, Any], **more: Any) -> dict[str, Any]:
    text = {"type": "text", "text": "Look"}
    return {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": [text, *content]}]} | more


async def post(gw: Gateway, *content: dict[str, Any], **more: Any) -> Answer:
    client = await gw.client()
    return await client.fetch("POST", "/v1/messages", json=body(*content, **more))


def sent(request: Any) -> list[Any]:
    """The content that a provider got, without the first text."""
    return list(request.json["messages"][-1]["content"][1:])


async def test_content_is_fetched_and_sent_as_data() -> None:
    async with gateway() as (gw, store, (up,)):
        up.queue(json_answer(completion("seen")))
        pdf, image = link("document", f"{store.origin}/a.pdf"), link("image", f"{store.origin}/b.png")
        answer = await post(gw, pdf, image, pdf)
        assert answer.json["content"][0]["text"] == "seen"
        found = {"type": "file", "file": {"filename": "document.pdf", "file_data": PDF_DATA}}
        assert sent(await up.request()) == [found, {"type": "image_url", "image_url": {"url": PNG_DATA}}, found]
        assert sorted(request.target for request in store) == ["/a.pdf", "/b.png"]
        line = await gw.settled()
        assert line["bytes_fetched"] == len(PDF) + len(PNG)
        assert line["attempts"] == 1
        assert gw.app.upstream.dispatcher.context.budget.used == 0


async def test_content_of_tool_results_is_fetched() -> None:
    async with gateway() as (gw, store, (up,)):
        up.queue(json_answer(completion()))
        call = {"type": "tool_use", "id": "a", "name": "look", "input": {}}
        result = {"type": "tool_result", "tool_use_id": "a", "content": [link("image", f"{store.origin}/b.png")]}
        messages = [
            {"role": "user", "content": "Look"},
            {"role": "assistant", "content": [call]},
            {"role": "user", "content": [result]},
        ]
        await post(gw, messages=messages)
        assert sent(await up.request()) == [{"type": "image_url", "image_url": {"url": PNG_DATA}}]


async def test_a_text_at_an_address_is_sent_as_a_text() -> None:
    async with gateway() as (gw, store, (up,)):
        up.queue(json_answer(completion()))
        await post(gw, link("document", f"{store.origin}/note"))
        content = (await up.request()).json["messages"][0]["content"]
        assert content == "Look\n\n<document>\nA note.\n</document>"


async def test_what_the_provider_fetches_itself_is_not_fetched() -> None:
    async with gateway(fetches=True) as (gw, store, (up,)):
        up.queue(json_answer(completion()))
        await post(gw, link("image", f"{store.origin}/b.png"))
        assert sent(await up.request()) == [{"type": "image_url", "image_url": {"url": f"{store.origin}/b.png"}}]
        assert not list(store)
        assert "bytes_fetched" not in await gw.settled()


@pytest.mark.parametrize("stream", [False, True])
async def test_content_is_fetched_once_for_all_candidates(stream: bool) -> None:
    async with gateway(2) as (gw, store, (first, second)):
        first.queue(*[json_answer(error_json("broken"), 500)] * 2)
        second.queue(sse_answer(*chat_events("seen")) if stream else json_answer(completion("seen")))
        answer = await post(gw, link("document", f"{store.origin}/a.pdf"), stream=stream)
        assert b"seen" in answer.body
        assert len(list(store)) == 1
        assert sent(await first.request()) == sent(await second.request())


async def test_a_failure_is_found_once_for_all_candidates() -> None:
    async with gateway(2) as (gw, store, ups):
        store.on(lambda request: [Headers(404, [("Content-Length", "0")])])
        answer = await post(gw, link("document", f"{store.origin}/a.pdf"))
        assert answer.status == 400
        assert len(list(store)) == 1
        assert not any(list(up) for up in ups)
        line = await gw.settled()
        assert line["attempts"] == 2
        assert line["failures"] == ["p0/m untranslatable", "p1/m untranslatable"]


def claude_events(*texts: str, error: bool = False) -> list[bytes]:
    """A stream of Anthropic's, whole or with an error at its end."""
    start = {"id": "msg_1", "type": "message", "role": "assistant", "content": [], "model": "claude"}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": start | {"usage": {"input_tokens": 1, "output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}} for text in texts),
    ]
    if error:
        events.append({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})
    else:
        stop = {"stop_reason": "end_turn", "stop_sequence": None}
        events.append({"type": "content_block_stop", "index": 0})
        events.append({"type": "message_delta", "delta": stop, "usage": {"output_tokens": 2}})
        events.append({"type": "message_stop"})
    return [f"event: {event['type']}\n".encode() + sse(event) for event in events]


async def test_a_stream_that_is_continued_needs_no_second_fetch() -> None:
    """The continuation changes the client's messages, so they are decoded again."""
    async with Upstream() as store, Upstream() as one, Upstream() as other:
        store.on(files)
        one.queue(sse_answer(*claude_events("Hello", error=True)))
        other.queue(sse_answer(*claude_events(" world")))
        model = {"name": "m", "model": "claude-haiku-4-5", "prefill": True, "capabilities": {"fetches": False}}
        config = {
            "providers": {
                name: {"kind": "anthropic", "baseUrl": up.url, "apiKey": "secret-key"}
                for name, up in (("one", one), ("other", other))
            },
            "models": [model | {"provider": "one"}, model | {"provider": "other"}],
            "routing": {"streamRecovery": "continue", "maxRetries": 2, "rateLimitRetries": 0},
        }
        async with Gateway(config | PRIVATE) as gw:
            image = {"type": "image_url", "image_url": {"url": f"{store.origin}/b.png"}}
            client = await gw.client()
            await client.fetch("POST", "/v1/chat/completions", json=body(image, stream=True))
            assert (await gw.settled())["attempts"] == 2
        images = [(await up.request()).json["messages"][0]["content"][1] for up in (one, other)]
        assert images[0] == images[1] == {"type": "image", "source": PNG_SOURCE}
        assert len(list(store)) == 1


SENTENCE = "The provider takes no addresses of files. "
OFF = f"{SENTENCE}Send the content: the gateway fetches none, as translate.fetch.enabled is false."


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"enabled": False}, OFF),
        ({}, "The gateway cannot fetch it: the content is at another port than 80 (http) or 443 (https)."),
        (
            {"privateAddresses": True, "maxMb": 0.00001},
            "The gateway cannot fetch it: the content is larger than 1e-05 MB, all of the request together.",
        ),
    ],
)
async def test_the_client_is_told_why_content_is_not_fetched(settings: Any, why: str) -> None:
    async with gateway(translate={"fetch": settings}) as (gw, store, (up,)):
        answer = await post(gw, link("document", f"{store.origin}/a.pdf"))
        assert answer.status == 400
        assert answer.json["error"]["message"].endswith(why)
        assert not list(up)


async def test_both_sdks_read_the_error() -> None:
    async with gateway(translate={"fetch": {"enabled": False}}) as (gw, _, _):
        async with sdk_of("messages", gw) as sdk:
            with pytest.raises(anthropic.BadRequestError) as of_messages:
                await sdk.messages.create(**body(link("document", "https://files.example/a.pdf")), stream=True)
        error: Any = of_messages.value.body
        assert error["error"]["type"] == "invalid_request_error"
        assert error["error"]["message"].startswith("'messages[].content[].source' cannot be translated")
        async with sdk_of("responses", gw) as sdk:
            content = [{"type": "input_file", "file_url": "https://files.example/a.pdf"}]
            with pytest.raises(openai.BadRequestError) as of_responses:
                await sdk.responses.create(model="m", input=[{"role": "user", "content": content}])
        assert (of_responses.value.code, of_responses.value.param) == ("untranslatable", "input[].content[].file_url")
        assert OFF in of_responses.value.message


async def test_private_addresses_are_refused_without_a_connection() -> None:
    async with gateway(translate={}) as (gw, _, (up,)):
        for address in ("http://127.0.0.1/a.pdf", "http://localhost/a.pdf", "http://169.254.169.254/latest/meta-data/"):
            answer = await post(gw, link("document", address))
            assert answer.status == 400
            assert "at an address that is not public" in answer.json["error"]["message"]
            assert address not in answer.body.decode()
        assert (await gw.settled(2))["detail"] == "localhost"
        assert not list(up)


async def test_a_client_that_leaves_ends_the_fetch() -> None:
    async with gateway() as (gw, store, (up,)):
        store.on(lambda request: [Stall()])
        client = await gw.client()
        await client.request("POST", "/v1/messages", json=body(link("document", f"{store.origin}/a.pdf")))
        request = await store.request()
        client.close()
        await within(request.gone.wait(), "the fetch to end")
        line = await gw.settled()
        assert (line["outcome"], line["failures"]) == ("client_gone", ["p0/m client_gone"])
        assert not list(up)


async def test_the_deadline_of_the_request_counts() -> None:
    LoopClock()  # or a busy machine might use up the time before the fetch begins
    async with gateway(routing={"deadlineSecs": 0.1}) as (gw, store, (up,)):
        store.on(lambda request: [Stall()])
        answer = await post(gw, link("document", f"{store.origin}/a.pdf"))
        assert answer.status == 400
        assert "did not arrive within 0." in answer.json["error"]["message"]
        assert not list(up)


async def test_a_stop_of_the_gateway_ends_the_fetch() -> None:
    async with gateway(server={"drainSecs": 0}) as (gw, store, _):
        store.on(lambda request: [Stall()])
        asking = asyncio.create_task(post(gw, link("document", f"{store.origin}/a.pdf")))
        await store.request()
        await gw.app.stop()
        answer = await within(asking, "an answer")
        assert answer.status == 503


async def test_a_gateway_that_holds_too_much_answers_503() -> None:
    async with gateway(server={"maxBufferedMb": 0.01, "maxBodyMb": 0.01}) as (gw, store, (up,)):
        store.on(lambda request: file(PDF + bytes(20_000), "application/pdf"))
        answer = await post(gw, link("document", f"{store.origin}/a.pdf"))
        assert answer.status == 503
        assert not list(up)
        await gw.settled()
        assert gw.app.upstream.dispatcher.context.budget.used == 0


async def test_attempts_that_race_share_one_fetch() -> None:
    async with gateway(2, routing={"hedgeAfterMs": 20}) as (gw, store, ups):
        release = asyncio.Event()
        store.on(lambda request: [Wait(release), *file(PDF, "application/pdf")])
        for up in ups:
            up.on(lambda request: json_answer(completion("seen")))
        asking = asyncio.create_task(post(gw, link("document", f"{store.origin}/a.pdf")))
        await store.request()
        await second_attempt(gw)
        release.set()
        assert b"seen" in (await asking).body
        assert len(list(store)) == 1


async def second_attempt(gw: Gateway) -> None:
    running: Any = gw.app.serving._running
    await until(lambda: any(len(work.exchange.attempts) == 2 for work in running), "the second attempt")


async def test_a_client_that_leaves_a_race_ends_the_fetch() -> None:
    async with gateway(2, routing={"hedgeAfterMs": 20}) as (gw, store, ups):
        store.on(lambda request: [Stall()])
        client = await gw.client()
        await client.request("POST", "/v1/messages", json=body(link("document", f"{store.origin}/a.pdf")))
        request = await store.request()
        await second_attempt(gw)
        client.close()
        await within(request.gone.wait(), "the fetch to end")
        line = await gw.settled()
        assert (line["outcome"], line["attempts"]) == ("client_gone", 2)
        assert not any(list(up) for up in ups)
