"""Hooks: arguments, results and failures."""

from __future__ import annotations

import asyncio
import json
import sys
import types
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import pytest

from proxy.dialects.call import Call
from proxy.errors import ClientFault, ConfigError, GatewayError
from proxy.exchange import Exchange
from proxy.hooks import HookReply, Outlet, OutletWrapper, load
from tests.support import (
    Chunk,
    Close,
    Headers,
    LastChunk,
    Stall,
    Upstream,
    Wait,
    answered_by,
    chat_events,
    completion,
    json_answer,
    sse,
    sse_answer,
    until,
    within,
)
from tests.support.answers import DONE, SSE_HEADERS
from tests.support.gateway import Gateway, one_provider

CHAT = "/v1/chat/completions"
CALL = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
STREAM = CALL | {"stream": True}
EVENTS = chat_events("Hello", " world")

Install = Callable[..., list[str]]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Install:
    """Makes hooks importable; the names that the configuration has for them are returned."""

    def put(**hooks: object) -> list[str]:
        module = types.ModuleType("hooks_under_test")
        monkeypatch.setitem(sys.modules, module.__name__, module)
        for name, hook in hooks.items():
            setattr(module, name, hook)
        return [f"{module.__name__}:{name}" for name in hooks]

    return put


class OnRequest:
    """A request hook from one function."""

    def __init__(self, act: Callable[[Exchange, Call], Any]) -> None:
        self._act = act
        self.seen: list[tuple[Exchange, Call]] = []

    async def on_request(self, exchange: Exchange, call: Call) -> Call | HookReply:
        self.seen.append((exchange, call))
        result = self._act(exchange, call)
        return await result if asyncio.iscoroutine(result) else result  # type: ignore[no-any-return]


class Seen(OutletWrapper):
    """Records the response."""

    def __init__(self, exchange: Exchange, outlet: Outlet) -> None:
        super().__init__(outlet)
        self.exchange = exchange
        self.status = 0
        self.lines = b""
        self.pieces: list[bytes] = []
        self.how = ""  # it ended

    def send(self, status: int, header_lines: bytes, body: bytes = b"") -> None:
        self.status, self.lines, self.how = status, header_lines, "sent"
        self.pieces.append(body)
        super().send(status, header_lines, body)

    def begin(self, status: int, header_lines: bytes, first: bytes = b"", *, length: int | None = None) -> None:
        self.status, self.lines = status, header_lines
        self.pieces.append(first)
        super().begin(status, header_lines, first, length=length)

    def write(self, data: bytes) -> None:
        self.pieces.append(data)
        super().write(data)

    def end(self, last: bytes = b"") -> None:
        self.pieces.append(last)
        self.how = "ended"
        super().end(last)

    def break_off(self, fault: GatewayError, last: bytes) -> None:
        self.how = "broken"
        super().break_off(fault, last)


class OnResponse:
    """A response hook from one function; without one, responses are recorded in ``wrappers``."""

    def __init__(self, act: Callable[[Exchange, Outlet], Outlet] | None = None) -> None:
        self._act = act
        self.wrappers: list[Seen] = []

    def on_response(self, exchange: Exchange, outlet: Outlet) -> Outlet:
        if self._act is not None:
            return self._act(exchange, outlet)
        self.wrappers.append(Seen(exchange, outlet))
        return self.wrappers[-1]


def budget_used(gw: Gateway) -> int:
    """Bytes that wait for clients, among others."""
    assert gw.app.gateway is not None
    return gw.app.gateway._context.budget.used


# -- the call ------------------------------------------------------------------------------------------------


async def test_a_request_hook_gets_the_decoded_call_and_can_accept_it(install: Install) -> None:
    hook = OnRequest(lambda exchange, call: call)
    async with Upstream() as up, Gateway(one_provider(up, hooks=install(hook=hook))) as gw:
        up.queue(json_answer(completion("Hello")))
        answer = await (await gw.client()).fetch("POST", CHAT, json=CALL, headers=[("x-request-id", "r-1")])
        assert answer.json == completion("Hello") | {"_router": answered_by()}
        ((exchange, call),) = hook.seen
        assert (call.model, call.stream, json.loads(call.body)) == ("m", False, CALL)
        assert (exchange.request_id, exchange.endpoint.path) == ("r-1", "chat/completions")


async def test_a_request_hook_can_change_the_call(install: Install) -> None:
    def redact(exchange: Exchange, call: Call) -> Call:
        return exchange.endpoint.dialect.requests.read(
            call.body.replace(b"secret", b"******").replace(b'"other"', b'"m"')
        )

    async with Upstream() as up, Gateway(one_provider(up, hooks=install(hook=OnRequest(redact)))) as gw:
        up.queue(json_answer(completion("Hello")))
        call = {"model": "other", "messages": [{"role": "user", "content": "my secret"}]}
        answer = await (await gw.client()).fetch("POST", CHAT, json=call)
        assert answer.status == 200
        sent = (await up.request(0)).json
        assert sent["messages"][0]["content"] == "my ******"
        assert sent["model"] == "up-model"


async def test_a_changed_call_still_streams_on_the_streaming_path(install: Install) -> None:
    hook = OnRequest(lambda exchange, call: exchange.endpoint.dialect.requests.read(call.body))
    async with Upstream() as up, Gateway(one_provider(up, hooks=install(hook=hook), timeouts={"total": 0})) as gw:
        up.queue(sse_answer(*EVENTS))
        answer = await (await gw.client()).fetch("POST", CHAT + "/stream", json=CALL)
        assert answer.body == b"".join(EVENTS)
        assert (await up.request(0)).json["stream"] is True
        assert (await gw.settled())["stream"] is True
        assert hook.seen[0][1].stream is True


async def test_a_request_hook_gets_the_model_of_an_azure_path(install: Install) -> None:
    hook = OnRequest(lambda exchange, call: call)
    async with Upstream() as up, Gateway(one_provider(up, hooks=install(hook=hook))) as gw:
        up.queue(json_answer(completion("Hello")))
        path = "/openai/deployments/m/chat/completions?api-version=2024-10-21"
        assert (await (await gw.client()).fetch("POST", path, json={"messages": []})).status == 200
        ((exchange, call),) = hook.seen
        assert (exchange.model, call.model) == ("m", "m")


async def test_a_request_hook_can_return_the_response(install: Install) -> None:
    cached = json.dumps(completion("from the cache")).encode()
    hook = OnRequest(lambda exchange, call: HookReply(cached))
    async with Upstream() as up, Gateway(one_provider(up, hooks=install(hook=hook))) as gw:
        client = await gw.client()
        for _ in range(2):
            answer = await client.fetch("POST", CHAT, json=CALL)
            assert (answer.status, answer.body) == (200, cached)
            assert answer.header("content-type") == "application/json"
            assert answer.header("x-router-attempts") == "0"
        assert up.connections == []
        line = await gw.settled(2)
        assert (line["outcome"], line["attempts"], line["provider"]) == ("ok", 0, "")


@pytest.mark.parametrize(("path", "call"), [(CHAT, STREAM), (CHAT + "/stream", CALL)])
async def test_a_json_response_of_a_hook_to_a_streaming_call_is_an_error(
    path: str, call: dict[str, Any], install: Install
) -> None:
    hook = OnRequest(lambda exchange, call: HookReply(json.dumps(completion("from the cache")).encode()))
    async with Upstream() as up, Gateway(one_provider(up, hooks=install(hook=hook))) as gw:
        answer = await (await gw.client()).fetch("POST", path, json=call)
        assert (answer.status, answer.json["error"]["code"]) == (500, "hook_reply_is_no_stream")
        assert "call.stream" in answer.json["error"]["message"]
        assert (await gw.settled())["outcome"] == "error"
        (line,) = [line for line in map(json.loads, gw.log_lines) if "A hook answered" in line.get("message", "")]
        assert line["level"] == "error"
        assert up.connections == []


async def test_a_hook_can_reject_a_streaming_call(install: Install) -> None:
    hook = OnRequest(lambda exchange, call: HookReply(b'{"error":{"message":"No"}}', status=400))
    async with Upstream() as up, Gateway(one_provider(up, hooks=install(hook=hook))) as gw:
        answer = await (await gw.client()).fetch("POST", CHAT, json=STREAM)
        assert (answer.status, answer.json) == (400, {"error": {"message": "No"}})


async def test_a_json_response_of_a_hook_is_sent_if_the_endpoint_cannot_stream(install: Install) -> None:
    hook = OnRequest(lambda exchange, call: HookReply(b'{"data":[]}'))
    async with Upstream() as up, Gateway(one_provider(up, hooks=install(hook=hook))) as gw:
        call = {"model": "m", "input": "x", "stream": True}
        assert (await (await gw.client()).fetch("POST", "/v1/embeddings", json=call)).status == 200


async def test_a_request_hook_can_set_the_status(install: Install) -> None:
    hook = OnRequest(lambda exchange, call: HookReply(b'{"error":{"message":"No"}}', status=451))
    async with Upstream() as up, Gateway(one_provider(up, hooks=install(hook=hook))) as gw:
        answer = await (await gw.client()).fetch("POST", CHAT, json=CALL)
        assert (answer.status, answer.body) == (451, b'{"error":{"message":"No"}}')
        assert (await gw.settled())["outcome"] == "error"


async def test_a_request_hook_can_reject(install: Install) -> None:
    def refuse(exchange: Exchange, call: Call) -> Call:
        raise ClientFault("Not this.", status=403, code="content_policy", param="messages")

    async with Upstream() as up, Gateway(one_provider(up, hooks=install(hook=OnRequest(refuse)))) as gw:
        client = await gw.client()
        for call in (CALL, STREAM):
            answer = await client.fetch("POST", CHAT, json=call)
            assert answer.status == 403
            assert answer.json["error"] == {
                "message": "Not this.",
                "type": "invalid_request_error",
                "param": "messages",
                "code": "content_policy",
            }
        assert up.connections == []


async def test_a_failed_request_hook_is_a_500_without_details(install: Install) -> None:
    def fail(exchange: Exchange, call: Call) -> Call:
        raise KeyError("my secret")

    async with Upstream() as up, Gateway(one_provider(up, hooks=install(hook=OnRequest(fail)))) as gw:
        client = await gw.client()
        answer = await client.fetch("POST", CHAT, json=CALL)
        assert (answer.status, answer.json["error"]["code"]) == (500, "internal_error")
        assert b"secret" not in answer.body
        assert "KeyError" in "".join(gw.log_lines)
        assert "secret" not in "".join(gw.log_lines)
        assert (await client.fetch("GET", "/health")).status == 200


async def test_a_malformed_call_never_reaches_a_hook(install: Install) -> None:
    hook = OnRequest(lambda exchange, call: call)
    async with Upstream() as up, Gateway(one_provider(up, hooks=install(hook=hook))) as gw:
        client = await gw.client()
        assert (await client.fetch("POST", CHAT, json=[1])).status == 400
        assert (await client.fetch("POST", CHAT, json={"model": 7})).status == 400
        assert hook.seen == []


async def test_hooks_run_in_order_until_one_returns_a_response(install: Install) -> None:
    order: list[str] = []

    def step(name: str, result: Any = None) -> OnRequest:
        def act(exchange: Exchange, call: Call) -> Call | HookReply:
            order.append(name)
            return call if result is None else result  # type: ignore[no-any-return]

        return OnRequest(act)

    hooks = install(one=step("one"), two=step("two", HookReply(b"{}")), three=step("three"))
    async with Upstream() as up, Gateway(one_provider(up, hooks=hooks)) as gw:
        assert (await (await gw.client()).fetch("POST", CHAT, json=CALL)).body == b"{}"
        assert order == ["one", "two"]


# -- slow hooks ---------------------------------------------------------------------------------


class Slow:
    """A hook that waits for an event."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.begun = asyncio.Event()
        self.ended = asyncio.Event()

    async def on_request(self, exchange: Exchange, call: Call) -> Call | HookReply:
        self.begun.set()
        try:
            await self.go.wait()
        finally:
            self.ended.set()
        return call


@pytest.mark.parametrize("leave", ["close", "reset", "half_close"])
async def test_a_disconnect_cancels_a_running_hook_and_no_attempt_is_made(install: Install, leave: str) -> None:
    hook = Slow()
    async with Upstream() as up, Gateway(one_provider(up, hooks=install(hook=hook))) as gw:
        client = await gw.client()
        await client.request("POST", CHAT, json=CALL)
        await within(hook.begun.wait(), "the hook to begin")
        getattr(client, leave)()
        await within(hook.ended.wait(), "the hook to end")
        assert (await gw.settled())["outcome"] == "client_gone"
        assert gw.app.metrics.in_flight == 0
        assert up.connections == []


async def test_a_stop_while_a_hook_runs_ends_the_request_cleanly(install: Install) -> None:
    hook = Slow()
    async with Upstream() as up, Gateway(one_provider(up, hooks=install(hook=hook), server={"drainSecs": 0.1})) as gw:
        client = await gw.client()
        await client.request("POST", CHAT, json=STREAM)
        await within(hook.begun.wait(), "the hook to begin")
        stopping = asyncio.ensure_future(gw.app.stop())
        answer = await client.read_answer()
        assert (answer.status, answer.json) == (
            503,
            {
                "statusCode": 503,
                "message": "Request cancelled: server is shutting down",
                "error": "Service Unavailable",
            },
        )
        await within(stopping, "the end")
        assert (await gw.settled())["outcome"] == "cancelled"
        assert up.connections == []


async def test_a_hook_that_ignores_cancellation_does_not_delay_the_exit(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.serving.END_SECS", 0.1)

    class Stubborn(Slow):
        async def on_request(self, exchange: Exchange, call: Call) -> Call | HookReply:
            while not self.go.is_set():
                self.begun.set()
                try:
                    await self.go.wait()
                except asyncio.CancelledError:
                    self.ended.set()
            return HookReply(b"{}")

    hook = Stubborn()
    async with Upstream() as up, Gateway(one_provider(up, hooks=install(hook=hook), server={"drainSecs": 0.1})) as gw:
        client = await gw.client()
        await client.request("POST", CHAT, json=CALL)
        await within(hook.begun.wait(), "the hook to begin")
        await within(gw.app.serving.drain(0.1), "the end")  # type: ignore[union-attr]
        logged = "".join(gw.log_lines)
        hook.go.set()  # before the assertions, as the gateway waits for it
        await gw.settled()
        assert hook.ended.is_set()
        assert "could not be ended" in logged


async def test_the_connection_stays_usable_after_a_slow_hook(install: Install) -> None:
    hook = Slow()
    async with Upstream() as up, Gateway(one_provider(up, hooks=install(hook=hook))) as gw:
        up.on(lambda request: json_answer(completion("Hello")))
        client = await gw.client()
        await client.request("POST", CHAT, json=CALL)
        await within(hook.begun.wait(), "the hook to begin")
        hook.go.set()
        assert (await client.read_answer()).status == 200
        assert (await client.fetch("POST", CHAT, json=CALL)).status == 200


# -- the answer --------------------------------------------------------------------------------------------------


async def test_a_response_hook_gets_a_stream_and_forwards_it(install: Install) -> None:
    hook = OnResponse()
    async with Upstream() as up, Gateway(one_provider(up, hooks=install(hook=hook))) as gw:
        up.queue(sse_answer(b"".join(EVENTS)[:100], b"".join(EVENTS)[100:]))  # cut anywhere
        answer = await (await gw.client()).fetch("POST", CHAT, json=STREAM)
        assert answer.body == b"".join(EVENTS)
        (seen,) = hook.wrappers
        assert (seen.status, b"".join(seen.pieces), seen.how) == (200, b"".join(EVENTS), "ended")
        assert all(piece.endswith(b"\n\n") for piece in seen.pieces if piece)  # whole events
        assert seen.exchange.response_model == "up-model"


async def test_a_response_hook_gets_a_plain_response_in_one_piece(install: Install) -> None:
    hook = OnResponse()
    async with Upstream() as up, Gateway(one_provider(up, hooks=install(hook=hook))) as gw:
        up.queue(json_answer(completion("Hello")))
        answer = await (await gw.client()).fetch("POST", CHAT, json=CALL)
        (seen,) = hook.wrappers
        assert (seen.status, seen.pieces, seen.how) == (200, [answer.body], "sent")
        assert b"x-router-provider: up\r\n" in seen.lines


async def test_a_response_hook_can_change_head_and_body(install: Install) -> None:
    class Shouting(OutletWrapper):
        def send(self, status: int, header_lines: bytes, body: bytes = b"") -> None:
            super().send(status, header_lines + b"x-shout: 1\r\n", body.replace(b"Hello", b"HELLO, HELLO"))

        def begin(self, status: int, header_lines: bytes, first: bytes = b"", *, length: int | None = None) -> None:
            super().begin(status, header_lines + b"x-shout: 1\r\n", first.replace(b"Hello", b"HELLO"), length=length)

        def write(self, data: bytes) -> None:
            if b"world" not in data:
                super().write(data.replace(b"Hello", b"HELLO"))

    hook = OnResponse(lambda exchange, outlet: Shouting(outlet))
    async with Upstream() as up, Gateway(one_provider(up, hooks=install(hook=hook))) as gw:
        client = await gw.client()
        up.queue(json_answer(completion("Hello")))
        answer = await client.fetch("POST", CHAT, json=CALL)
        assert answer.header("x-shout") == "1"
        assert answer.json["choices"][0]["message"]["content"] == "HELLO, HELLO"
        up.queue(sse_answer(*EVENTS))
        await client.request("POST", CHAT, json=STREAM)
        assert (await client.read_head()).header("x-shout") == "1"
        assert await client.read_events() == [EVENTS[0], EVENTS[1].replace(b"Hello", b"HELLO"), *EVENTS[3:]]
        assert (await gw.settled(2))["outcome"] == "ok"


async def test_usage_is_counted_even_if_a_response_hook_drops_every_event(install: Install) -> None:
    class Dropping(OutletWrapper):
        def begin(self, status: int, header_lines: bytes, first: bytes = b"", *, length: int | None = None) -> None:
            super().begin(status, header_lines, length=length)

        def write(self, data: bytes) -> None:
            """Drop it."""

        def end(self, last: bytes = b"") -> None:
            super().end()

    usage = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
    hook = OnResponse(lambda exchange, outlet: Dropping(outlet))
    async with Upstream() as up, Gateway(one_provider(up, hooks=install(hook=hook))) as gw:
        up.queue(sse_answer(*chat_events("Hello", usage=usage)))
        answer = await (await gw.client()).fetch("POST", CHAT, json=STREAM)
        assert (answer.status, answer.body) == (200, b"")
        line = await gw.settled()
        assert (line["outcome"], line["tokens"]["output"]) == ("ok", 2)


async def test_response_hooks_are_chained_with_the_first_nearest_the_client(install: Install) -> None:
    def tagging(tag: bytes) -> OnResponse:
        class Tagging(OutletWrapper):
            def send(self, status: int, header_lines: bytes, body: bytes = b"") -> None:
                super().send(status, header_lines, body + tag)

        return OnResponse(lambda exchange, outlet: Tagging(outlet))

    async with Upstream() as up, Gateway(one_provider(up, hooks=install(one=tagging(b"1"), two=tagging(b"2")))) as gw:
        up.queue(json_answer(completion("Hello")))
        answer = await (await gw.client()).fetch("POST", CHAT, json=CALL)
        assert answer.body.endswith(b"}21")


@pytest.mark.parametrize(
    ("method", "path", "call", "status"),
    [
        ("POST", CHAT, [1], 400),
        ("POST", CHAT, {"model": "unknown", "messages": []}, 404),
        ("GET", "/v1/models", None, 200),
        ("GET", "/v1/nothing", None, 404),
    ],
)
async def test_refusals_and_lists_pass_a_response_hook_once(
    install: Install, method: str, path: str, call: Any, status: int
) -> None:
    hook = OnResponse()
    async with Upstream() as up, Gateway(one_provider(up, hooks=install(hook=hook))) as gw:
        body = {} if call is None else {"json": call}
        assert (await (await gw.client()).fetch(method, path, **body)).status == status
        (seen,) = hook.wrappers
        assert (seen.status, seen.how) == (status, "sent")


async def test_pages_pass_no_hook(install: Install) -> None:
    hook = OnResponse()
    async with Upstream() as up, Gateway(one_provider(up, hooks=install(hook=hook))) as gw:
        assert (await (await gw.client()).fetch("GET", "/health")).status == 200
        assert hook.wrappers == []


async def test_a_response_hook_is_notified_of_a_broken_stream(install: Install) -> None:
    hook = OnResponse()
    async with Upstream() as up, Gateway(one_provider(up, hooks=install(hook=hook))) as gw:
        up.queue([*sse_answer(*EVENTS[:2])[:-1], Close()])
        await (await gw.client()).fetch("POST", CHAT, json=STREAM)
        assert [seen.how for seen in hook.wrappers] == ["broken"]


async def test_a_response_hook_can_keep_the_fast_path(install: Install) -> None:
    class HeadOnly(OutletWrapper):
        def write(self, data: bytes) -> None:
            pieces.append(data)
            super().write(data)

        def for_frames(self) -> Callable[[bytes], None] | None:
            return self.outlet.for_frames()

    pieces: list[bytes] = []
    hook = OnResponse(lambda exchange, outlet: HeadOnly(outlet))
    async with Upstream() as up, Gateway(one_provider(up, hooks=install(hook=hook))) as gw:
        first, second = asyncio.Event(), asyncio.Event()
        up.queue(
            [
                Headers(headers=SSE_HEADERS),
                Chunk(EVENTS[0] + EVENTS[1]),
                Wait(first),
                Chunk(EVENTS[2]),
                Wait(second),
                Chunk(EVENTS[3] + DONE),
                LastChunk(),
            ]
        )
        client = await gw.client()
        await client.request("POST", CHAT, json=STREAM)
        await client.read_head()
        assert [await client.read_event() for _ in range(2)] == EVENTS[:2]
        first.set()
        assert await client.read_event() == EVENTS[2]
        second.set()
        assert await client.read_events() == EVENTS[3:]
        assert EVENTS[2] not in pieces


@pytest.mark.parametrize("call", [CALL, STREAM])
async def test_a_response_hook_runs_even_after_an_early_disconnect(install: Install, call: dict[str, Any]) -> None:
    hook = OnResponse()
    async with Upstream() as up, Gateway(one_provider(up, hooks=install(slow=Slow(), hook=hook))) as gw:
        client = await gw.client()
        await client.request("POST", CHAT, json=call)
        await until(lambda: bool(gw.app.metrics.in_flight), "the request to begin")
        client.close()
        await gw.settled()
        assert len(hook.wrappers) == 1


@pytest.mark.parametrize(
    ("mistake", "code", "status"),
    [
        (partial(GatewayError, "Stop here.", status=451, code="content_policy"), "content_policy", 451),
        (partial(KeyError, "x"), "internal_error", 500),
    ],
    ids=["content policy", "internal error"],
)
@pytest.mark.parametrize("word", [b"Hello", b"world"])
async def test_an_error_in_an_outlet_of_a_hook_ends_the_stream_with_it(
    install: Install, mistake: Callable[[], Exception], code: str, status: int, word: bytes
) -> None:
    class Raising(OutletWrapper):
        def begin(self, status: int, header_lines: bytes, first: bytes = b"", *, length: int | None = None) -> None:
            self.look(first)
            super().begin(status, header_lines, first, length=length)

        def write(self, data: bytes) -> None:
            self.look(data)
            super().write(data)

        def look(self, data: bytes) -> None:
            if word in data:
                raise mistake()

    hook = OnResponse(lambda exchange, outlet: Raising(outlet))
    async with Upstream() as up, Gateway(one_provider(up, hooks=install(hook=hook))) as gw:
        client = await gw.client()
        go = asyncio.Event()
        up.queue(
            [Headers(headers=SSE_HEADERS), Chunk(b"".join(EVENTS[:2])), Wait(go), Chunk(b"".join(EVENTS[2:])), Stall()]
        )
        await client.request("POST", CHAT, json=STREAM)
        if word == b"Hello":  # the first content: nothing is out yet
            answer = await client.read_answer()
            assert (answer.status, answer.json["error"]["code"]) == (status, code)
            assert (await gw.settled())["outcome"] == "error"
        else:
            await client.read_head()
            assert [await client.read_event() for _ in range(2)] == EVENTS[:2]
            go.set()
            (last,) = await client.read_events()
            assert json.loads(last.removeprefix(b"data: "))["error"]["code"] == code
            assert (await gw.settled())["outcome"] == "broken"
        await within(up.requests[0].gone.wait(), "the provider to be left")


@pytest.mark.parametrize("raises_in", ["on_response", "send"])
async def test_a_failed_response_hook_is_a_500_without_details(install: Install, raises_in: str) -> None:
    class Raising(OutletWrapper):
        def send(self, status: int, header_lines: bytes, body: bytes = b"") -> None:
            raise KeyError("my secret")

    def act(exchange: Exchange, outlet: Outlet) -> Outlet:
        if raises_in == "on_response":
            raise KeyError("my secret")
        return Raising(outlet)

    async with Upstream() as up, Gateway(one_provider(up, hooks=install(hook=OnResponse(act)))) as gw:
        client = await gw.client()
        up.queue(json_answer(completion("Hello")))
        for call in (CALL, [1]):
            answer = await client.fetch("POST", CHAT, json=call)
            assert (answer.status, answer.json["error"]["code"]) == (500, "internal_error")
            assert b"secret" not in answer.body
        assert "KeyError" in "".join(gw.log_lines)
        assert "secret" not in "".join(gw.log_lines)
        assert gw.app.metrics.in_flight == 0


@pytest.mark.parametrize(
    ("raises_in", "ending"),
    [
        ({"end"}, "whole"),
        ({"break_off"}, "cut"),
        ({"end", "break_off"}, "whole"),
        ({"write", "break_off"}, "whole"),
        ({"begin", "send"}, "late"),
    ],
)
@pytest.mark.parametrize("recovery", ["fail", "continue"])
async def test_an_outlet_that_raises_at_the_end_of_a_stream_does_not_keep_the_client_waiting(
    install: Install, raises_in: set[str], ending: str, recovery: str
) -> None:
    def raising(name: str) -> Any:
        def method(self: OutletWrapper, *args: Any, **options: Any) -> Any:
            if name in raises_in:
                raise KeyError("my secret")
            return getattr(OutletWrapper, name)(self, *args, **options)

        return method

    names = ("send", "begin", "write", "end", "break_off")
    wrapper = type("Raising", (OutletWrapper,), {name: raising(name) for name in names})
    hook = OnResponse(lambda exchange, outlet: wrapper(outlet))
    config = {"routing": {"maxRetries": 0, "streamRecovery": recovery}, "server": {"port": 0, "pingAfter": 0.05}}
    async with Upstream() as up, Gateway(one_provider(up, hooks=install(hook=hook), **config)) as gw:
        client = await gw.client()
        steps = [Headers(headers=SSE_HEADERS), *map(Chunk, EVENTS[:2]), *map(Chunk, EVENTS[2:])]
        up.queue([Stall()] if ending == "late" else [*steps[:3], Close()] if ending == "cut" else [*steps, LastChunk()])
        await client.request("POST", CHAT, json=STREAM, headers=[("Connection", "close")])
        await client.eof()
        line = await gw.settled()
        assert line["outcome"] in ("broken", "error")
        assert "KeyError" in "".join(gw.log_lines)
        assert "secret" not in "".join(gw.log_lines)
        assert gw.app.metrics.in_flight == 0


# -- an answer of a hook that streams ------------------------------------------------------------------------------


async def test_a_request_hook_can_return_a_stream(install: Install) -> None:
    go = asyncio.Event()

    async def events() -> AsyncIterator[bytes]:
        yield EVENTS[0]
        yield b""  # nothing to send
        await go.wait()
        for event in EVENTS[1:]:
            yield event

    hook = OnRequest(lambda exchange, call: HookReply(events()))
    async with Upstream() as up, Gateway(one_provider(up, hooks=install(hook=hook))) as gw:
        client = await gw.client()
        await client.request("POST", CHAT, json=STREAM)
        head = await client.read_head()
        assert (head.status, head.header("content-type")) == (200, "text/event-stream")
        assert head.header("x-router-attempts") == "0"
        assert await client.read_event() == EVENTS[0]  # before the next one is there
        go.set()
        assert await client.read_events() == EVENTS[1:]
        assert up.connections == []
        line = await gw.settled()
        assert (line["outcome"], line["stream"], line["attempts"]) == ("ok", True, 0)


async def test_a_request_hook_can_return_a_stream_in_one_piece(install: Install) -> None:
    body = b"".join(EVENTS)
    hook = OnRequest(lambda exchange, call: HookReply(body, content_type="text/event-stream; charset=utf-8"))
    async with Upstream() as up, Gateway(one_provider(up, hooks=install(hook=hook))) as gw:
        answer = await (await gw.client()).fetch("POST", CHAT, json=STREAM)
        assert (answer.status, answer.body) == (200, body)
        assert answer.header("content-length") == str(len(body))
        assert answer.header("content-type") == "text/event-stream; charset=utf-8"


async def test_an_empty_stream_of_a_hook_is_an_empty_response(install: Install) -> None:
    async def events() -> AsyncIterator[bytes]:
        if False:
            yield b""

    hook = OnRequest(lambda exchange, call: HookReply(events()))
    async with Upstream() as up, Gateway(one_provider(up, hooks=install(hook=hook))) as gw:
        answer = await (await gw.client()).fetch("POST", CHAT, json=STREAM)
        assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize("before", [0, 1])
async def test_a_failed_stream_of_a_hook_is_an_in_band_error_or_a_status(install: Install, before: int) -> None:
    async def events() -> AsyncIterator[bytes]:
        for event in EVENTS[:before]:
            yield event
        raise ClientFault("Not this.", status=403, code="content_policy")

    hook = OnRequest(lambda exchange, call: HookReply(events()))
    async with Upstream() as up, Gateway(one_provider(up, hooks=install(hook=hook))) as gw:
        answer = await (await gw.client()).fetch("POST", CHAT, json=STREAM)
        event = answer.body.removeprefix(b"".join(EVENTS[:before])).removeprefix(b"data: ")
        assert answer.status == (200 if before else 403)
        assert json.loads(event)["error"]["code"] == "content_policy"
        assert (await gw.settled())["outcome"] == ("broken" if before else "error")


async def test_a_stream_of_a_hook_is_closed_after_a_disconnect(install: Install) -> None:
    begun, closed = asyncio.Event(), asyncio.Event()

    async def events() -> AsyncIterator[bytes]:
        try:
            yield EVENTS[0]
            begun.set()
            await asyncio.Event().wait()
        finally:
            closed.set()

    hook = OnRequest(lambda exchange, call: HookReply(events()))
    async with Upstream() as up, Gateway(one_provider(up, hooks=install(hook=hook))) as gw:
        client = await gw.client()
        await client.request("POST", CHAT, json=STREAM)
        await within(begun.wait(), "the first event")
        client.close()
        await within(closed.wait(), "the stream to be closed")
        assert (await gw.settled())["outcome"] == "client_gone"


async def test_a_stream_of_a_hook_waits_for_a_slow_client(install: Install) -> None:
    made = 0

    async def events() -> AsyncIterator[bytes]:
        nonlocal made
        for _ in range(2000):
            made += 1
            yield sse({"x": "y" * 60_000})

    hook = OnRequest(lambda exchange, call: HookReply(events()))
    async with Upstream() as up, Gateway(one_provider(up, hooks=install(hook=hook))) as gw:
        client = await gw.client()
        await client.request("POST", CHAT, json=STREAM)
        await client.read_head()
        await until(lambda: budget_used(gw) > 0, "the client to be slow")
        assert made < 2000
        client.close()
        assert (await gw.settled())["outcome"] == "client_gone"


# -- missing hooks --------------------------------------------------------------------------------------


async def test_without_hooks_no_hook_code_runs() -> None:
    assert load([]) == (None, None)
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        gateway = gw.app.gateway
        assert gateway is not None
        assert gateway._on_request is None
        assert gateway._on_response is None
        up.queue([*sse_answer(*EVENTS)[:1], Chunk(b"".join(EVENTS)), *sse_answer()[1:]])
        assert (await (await gw.client()).fetch("POST", CHAT, json=STREAM)).body == b"".join(EVENTS)


def test_a_hook_with_one_method_is_only_called_there(install: Install) -> None:
    on_request, on_response = load(install(hook=OnRequest(lambda exchange, call: call)))
    assert (on_request is not None, on_response) == (True, None)
    on_request, on_response = load(install(hook=OnResponse()))
    assert (on_request, on_response is not None) == (None, True)


def test_every_hook_that_cannot_be_loaded_is_reported(install: Install) -> None:
    install(hook=OnRequest(lambda exchange, call: call))
    with pytest.raises(ConfigError) as caught:
        load(["hooks_under_test:hook", "hooks_under_test:nothing", "no_such_module_here:hook", "no colon"])
    first, second, third = caught.value.mistakes
    assert first.startswith("hooks[1]: cannot load 'hooks_under_test:nothing'")
    assert second.startswith("hooks[2]: cannot load 'no_such_module_here:hook'")
    assert third.startswith("hooks[3]: cannot load 'no colon'")


def test_an_object_without_either_method_is_a_mistake(install: Install) -> None:
    """A misspelled method name would otherwise disable a guardrail silently."""
    with pytest.raises(ConfigError) as caught:
        load(install(hook=sse))
    assert caught.value.mistakes == ["hooks[0]: 'hooks_under_test:hook' has neither on_request nor on_response"]


@pytest.mark.parametrize("also", [{}, {"on_request": print}])
def test_methods_of_former_versions_are_mistakes_that_name_their_replacement(
    install: Install, also: dict[str, Any]
) -> None:
    hook = types.SimpleNamespace(on_call=print, on_event=print, **also)
    with pytest.raises(ConfigError) as caught:
        load(install(hook=hook))
    assert caught.value.mistakes == [
        "hooks[0]: 'hooks_under_test:hook' has on_call, which is now on_request(exchange, call)",
        "hooks[0]: 'hooks_under_test:hook' has on_event, which is replaced by on_response(exchange, outlet), which"
        " wraps the outlet that the events go to",
    ]
