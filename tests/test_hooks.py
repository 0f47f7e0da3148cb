"""Hooks: what they are given, what they may do, and what happens around them."""

from __future__ import annotations

import asyncio
import json
import sys
import types
from collections.abc import Callable
from typing import Any

import pytest

from proxy.errors import ClientFault, ConfigError, GatewayError
from proxy.exchange import Exchange
from proxy.hooks import Reply, load
from proxy.wire.call import Call
from proxy.wire.call import read as read_call
from tests.support import (
    Chunk,
    Stall,
    Upstream,
    answered_by,
    chat_events,
    completion,
    json_answer,
    sse,
    sse_answer,
    within,
)
from tests.support.answers import DONE
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


class OnCall:
    """A call hook made of one function."""

    def __init__(self, act: Callable[[Exchange, Call], Any]) -> None:
        self._act = act
        self.seen: list[tuple[Exchange, Call]] = []

    async def on_call(self, exchange: Exchange, call: Call) -> Call | Reply:
        self.seen.append((exchange, call))
        result = self._act(exchange, call)
        return await result if asyncio.iscoroutine(result) else result  # type: ignore[no-any-return]


class OnEvent:
    """An event hook made of one function."""

    def __init__(self, act: Callable[[bytes], bytes]) -> None:
        self._act = act
        self.seen: list[bytes] = []
        self.exchanges: list[Exchange] = []

    def on_event(self, exchange: Exchange, block: bytes) -> bytes:
        self.seen.append(block)
        self.exchanges.append(exchange)
        return self._act(block)


# -- the call ------------------------------------------------------------------------------------------------


async def test_a_call_hook_sees_the_decoded_call_and_may_let_it_pass(install: Install) -> None:
    hook = OnCall(lambda exchange, call: call)
    async with Upstream() as up, Gateway(one_provider(up, hooks=install(hook=hook))) as gw:
        up.queue(json_answer(completion("Hello")))
        answer = await (await gw.client()).fetch("POST", CHAT, json=CALL, headers=[("x-request-id", "r-1")])
        assert answer.json == completion("Hello") | {"_router": answered_by()}
        ((exchange, call),) = hook.seen
        assert (call.model, call.stream, json.loads(call.body)) == ("m", False, CALL)
        assert (exchange.request_id, exchange.endpoint.path) == ("r-1", "chat/completions")


async def test_a_call_hook_may_change_the_call(install: Install) -> None:
    def redact(exchange: Exchange, call: Call) -> Call:
        return read_call(call.body.replace(b"secret", b"******").replace(b'"other"', b'"m"'))

    async with Upstream() as up, Gateway(one_provider(up, hooks=install(hook=OnCall(redact)))) as gw:
        up.queue(json_answer(completion("Hello")))
        call = {"model": "other", "messages": [{"role": "user", "content": "my secret"}]}
        answer = await (await gw.client()).fetch("POST", CHAT, json=call)
        assert answer.status == 200
        sent = (await up.request(0)).json
        assert sent["messages"][0]["content"] == "my ******"
        assert sent["model"] == "up-model"


async def test_a_changed_call_streams_where_the_path_says_so(install: Install) -> None:
    hook = OnCall(lambda exchange, call: read_call(call.body))
    async with Upstream() as up, Gateway(one_provider(up, hooks=install(hook=hook), timeouts={"total": 0})) as gw:
        up.queue(sse_answer(*EVENTS))
        answer = await (await gw.client()).fetch("POST", CHAT + "/stream", json=CALL)
        assert answer.body == b"".join(EVENTS)
        assert (await up.request(0)).json["stream"] is True
        assert (await gw.settled())["stream"] is True
        assert hook.seen[0][1].stream is True


async def test_a_call_hook_may_answer_itself(install: Install) -> None:
    cached = json.dumps(completion("from the cache")).encode()
    hook = OnCall(lambda exchange, call: Reply(cached))
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
async def test_a_json_answer_of_a_hook_to_a_streaming_call_fails_loudly(
    path: str, call: dict[str, Any], install: Install
) -> None:
    hook = OnCall(lambda exchange, call: Reply(json.dumps(completion("from the cache")).encode()))
    async with Upstream() as up, Gateway(one_provider(up, hooks=install(hook=hook))) as gw:
        answer = await (await gw.client()).fetch("POST", path, json=call)
        assert (answer.status, answer.json["error"]["code"]) == (500, "hook_reply_is_no_stream")
        assert "call.stream" in answer.json["error"]["message"]
        assert (await gw.settled())["outcome"] == "error"
        (line,) = [line for line in map(json.loads, gw.log_lines) if "A hook answered" in line.get("message", "")]
        assert line["level"] == "error"
        assert up.connections == []


async def test_a_hook_may_refuse_a_streaming_call(install: Install) -> None:
    hook = OnCall(lambda exchange, call: Reply(b'{"error":{"message":"No"}}', status=400))
    async with Upstream() as up, Gateway(one_provider(up, hooks=install(hook=hook))) as gw:
        answer = await (await gw.client()).fetch("POST", CHAT, json=STREAM)
        assert (answer.status, answer.json) == (400, {"error": {"message": "No"}})


async def test_a_json_answer_of_a_hook_will_do_where_nothing_streams(install: Install) -> None:
    hook = OnCall(lambda exchange, call: Reply(b'{"data":[]}'))
    async with Upstream() as up, Gateway(one_provider(up, hooks=install(hook=hook))) as gw:
        call = {"model": "m", "input": "x", "stream": True}
        assert (await (await gw.client()).fetch("POST", "/v1/embeddings", json=call)).status == 200


async def test_a_call_hook_may_answer_with_a_status_of_its_own(install: Install) -> None:
    hook = OnCall(lambda exchange, call: Reply(b'{"error":{"message":"No"}}', status=451))
    async with Upstream() as up, Gateway(one_provider(up, hooks=install(hook=hook))) as gw:
        answer = await (await gw.client()).fetch("POST", CHAT, json=CALL)
        assert (answer.status, answer.body) == (451, b'{"error":{"message":"No"}}')
        assert (await gw.settled())["outcome"] == "error"


async def test_a_call_hook_may_refuse(install: Install) -> None:
    def refuse(exchange: Exchange, call: Call) -> Call:
        raise ClientFault("Not this.", status=403, code="content_policy", param="messages")

    async with Upstream() as up, Gateway(one_provider(up, hooks=install(hook=OnCall(refuse)))) as gw:
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


async def test_a_call_hook_that_fails_is_a_500_that_tells_nothing(install: Install) -> None:
    def fail(exchange: Exchange, call: Call) -> Call:
        raise KeyError("my secret")

    async with Upstream() as up, Gateway(one_provider(up, hooks=install(hook=OnCall(fail)))) as gw:
        client = await gw.client()
        answer = await client.fetch("POST", CHAT, json=CALL)
        assert (answer.status, answer.json["error"]["code"]) == (500, "internal_error")
        assert b"secret" not in answer.body
        assert "KeyError" in "".join(gw.log_lines)
        assert "secret" not in "".join(gw.log_lines)
        assert (await client.fetch("GET", "/health")).status == 200


async def test_a_malformed_call_never_reaches_a_hook(install: Install) -> None:
    hook = OnCall(lambda exchange, call: call)
    async with Upstream() as up, Gateway(one_provider(up, hooks=install(hook=hook))) as gw:
        client = await gw.client()
        assert (await client.fetch("POST", CHAT, json=[1])).status == 400
        assert (await client.fetch("POST", CHAT, json={"model": 7})).status == 400
        assert hook.seen == []


async def test_hooks_run_in_their_order_and_the_first_answer_is_the_last_word(install: Install) -> None:
    order: list[str] = []

    def step(name: str, result: Any = None) -> OnCall:
        def act(exchange: Exchange, call: Call) -> Call | Reply:
            order.append(name)
            return call if result is None else result  # type: ignore[no-any-return]

        return OnCall(act)

    hooks = install(one=step("one"), two=step("two", Reply(b"{}")), three=step("three"))
    async with Upstream() as up, Gateway(one_provider(up, hooks=hooks)) as gw:
        assert (await (await gw.client()).fetch("POST", CHAT, json=CALL)).body == b"{}"
        assert order == ["one", "two"]


# -- a hook that takes its time ---------------------------------------------------------------------------------


class Slow:
    """A hook that waits to be let go."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.begun = asyncio.Event()
        self.ended = asyncio.Event()

    async def on_call(self, exchange: Exchange, call: Call) -> Call | Reply:
        self.begun.set()
        try:
            await self.go.wait()
        finally:
            self.ended.set()
        return call


@pytest.mark.parametrize("leave", ["close", "reset", "half_close"])
async def test_a_client_that_leaves_while_a_hook_runs_ends_it_and_no_provider_is_asked(
    install: Install, leave: str
) -> None:
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


async def test_a_hook_that_will_not_end_does_not_hold_the_process(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.gateway.END_SECS", 0.1)

    class Stubborn(Slow):
        async def on_call(self, exchange: Exchange, call: Call) -> Call | Reply:
            while not self.go.is_set():
                self.begun.set()
                try:
                    await self.go.wait()
                except asyncio.CancelledError:
                    self.ended.set()
            return Reply(b"{}")

    hook = Stubborn()
    async with Upstream() as up, Gateway(one_provider(up, hooks=install(hook=hook), server={"drainSecs": 0.1})) as gw:
        client = await gw.client()
        await client.request("POST", CHAT, json=CALL)
        await within(hook.begun.wait(), "the hook to begin")
        await within(gw.app.gateway.drain(0.1), "the end")  # type: ignore[union-attr]
        assert hook.ended.is_set()
        assert "could not be ended" in "".join(gw.log_lines)
        hook.go.set()
        await gw.settled()


async def test_the_connection_serves_on_after_a_slow_hook(install: Install) -> None:
    hook = Slow()
    async with Upstream() as up, Gateway(one_provider(up, hooks=install(hook=hook))) as gw:
        up.on(lambda request: json_answer(completion("Hello")))
        client = await gw.client()
        await client.request("POST", CHAT, json=CALL)
        await within(hook.begun.wait(), "the hook to begin")
        hook.go.set()
        assert (await client.read_answer()).status == 200
        assert (await client.fetch("POST", CHAT, json=CALL)).status == 200


# -- events ------------------------------------------------------------------------------------------------------


async def test_an_event_hook_sees_every_event_raw_and_in_order(install: Install) -> None:
    hook = OnEvent(lambda block: block)
    async with Upstream() as up, Gateway(one_provider(up, hooks=install(hook=hook))) as gw:
        client = await gw.client()
        up.queue(sse_answer(b"".join(EVENTS)[:100], b"".join(EVENTS)[100:]))  # cut anywhere
        answer = await client.fetch("POST", CHAT, json=STREAM)
        assert answer.body == b"".join(EVENTS)
        assert hook.seen == EVENTS
        assert {exchange.response_model for exchange in hook.exchanges} == {"up-model"}
        up.queue(json_answer(completion("Hello")))
        await client.fetch("POST", CHAT, json=CALL)
        assert hook.seen == EVENTS  # plain answers have no events


async def test_an_event_hook_may_change_and_drop_events(install: Install) -> None:
    def act(block: bytes) -> bytes:
        return b"" if b"world" in block else block.replace(b"Hello", b"HELLO")

    async with Upstream() as up, Gateway(one_provider(up, hooks=install(hook=OnEvent(act)))) as gw:
        client = await gw.client()
        up.queue(sse_answer(*EVENTS))
        await client.request("POST", CHAT, json=STREAM)
        await client.read_head()
        assert await client.read_events() == [EVENTS[0], EVENTS[1].replace(b"Hello", b"HELLO"), *EVENTS[3:]]
        assert (await gw.settled())["outcome"] == "ok"


async def test_an_event_hook_may_drop_everything(install: Install) -> None:
    async with Upstream() as up, Gateway(one_provider(up, hooks=install(hook=OnEvent(lambda block: b"")))) as gw:
        client = await gw.client()
        up.queue(sse_answer(*EVENTS))
        answer = await client.fetch("POST", CHAT, json=STREAM)
        assert (answer.status, answer.body) == (200, b"")
        assert (await gw.settled())["outcome"] == "ok"


async def test_event_hooks_are_chained_and_a_dropped_event_goes_no_further(install: Install) -> None:
    first = OnEvent(lambda block: b"" if b"world" in block else block + b": seen\n\n")
    second = OnEvent(lambda block: block)
    async with Upstream() as up, Gateway(one_provider(up, hooks=install(one=first, two=second))) as gw:
        up.queue(sse_answer(*EVENTS))
        await (await gw.client()).fetch("POST", CHAT, json=STREAM)
        assert second.seen == [event + b": seen\n\n" for event in EVENTS if b"world" not in event]


@pytest.mark.parametrize(
    ("mistake", "code", "status"),
    [
        (GatewayError("Stop here.", status=451, code="content_policy"), "content_policy", 451),
        (KeyError("x"), "internal_error", 500),
    ],
)
@pytest.mark.parametrize("word", [b"Hello", b"world"])
async def test_an_event_hook_that_raises_ends_the_stream_with_that_error(
    install: Install, mistake: Exception, code: str, status: int, word: bytes
) -> None:
    def act(block: bytes) -> bytes:
        if word in block:
            raise mistake
        return block

    go = asyncio.Event()
    async with Upstream() as up, Gateway(one_provider(up, hooks=install(hook=OnEvent(act)))) as gw:
        client = await gw.client()
        head, *chunks = sse_answer(*EVENTS)
        up.queue([head, *chunks, Stall()])
        answer = await client.fetch("POST", CHAT, json=STREAM)
        if word == b"Hello":  # the first content: nothing is out yet
            assert (answer.status, answer.json["error"]["code"]) == (status, code)
        elif answer.status == 200:
            assert answer.body.startswith(b"".join(EVENTS[:2]))
            rest = answer.body[len(b"".join(EVENTS[:2])) :]
            assert json.loads(rest.removeprefix(b"data: "))["error"]["code"] == code
            assert DONE not in answer.body
            assert (await gw.settled())["outcome"] == "broken"
        else:  # both events came in one read
            assert answer.json["error"]["code"] == code
        await within(up.requests[0].gone.wait(), "the provider to be left")
        assert not go.is_set()


async def test_usage_is_counted_whatever_an_event_hook_drops(install: Install) -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
    async with Upstream() as up, Gateway(one_provider(up, hooks=install(hook=OnEvent(lambda block: b"")))) as gw:
        up.queue(sse_answer(*chat_events("Hello", usage=usage)))
        await (await gw.client()).fetch("POST", CHAT, json=STREAM)
        assert (await gw.settled())["tokens"]["output"] == 2


# -- absent, or not to be found --------------------------------------------------------------------------------------


async def test_without_hooks_there_is_nothing_in_the_way() -> None:
    assert load([]) == (None, None)
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        gateway = gw.app.gateway
        assert gateway is not None
        assert gateway._call_hook is None
        assert gateway._context.event_hook is None
        up.queue([*sse_answer(*EVENTS)[:1], Chunk(b"".join(EVENTS)), *sse_answer()[1:]])
        assert (await (await gw.client()).fetch("POST", CHAT, json=STREAM)).body == b"".join(EVENTS)


def test_a_hook_with_one_method_costs_nothing_in_the_other_place(install: Install) -> None:
    call_hook, event_hook = load(install(hook=OnCall(lambda exchange, call: call)))
    assert (call_hook is not None, event_hook) == (True, None)
    call_hook, event_hook = load(install(hook=OnEvent(lambda block: block)))
    assert (call_hook, event_hook is not None) == (None, True)


def test_hooks_that_cannot_be_loaded_are_all_named(install: Install) -> None:
    install(hook=OnCall(lambda exchange, call: call))
    with pytest.raises(ConfigError) as caught:
        load(["hooks_under_test:hook", "hooks_under_test:nothing", "no_such_module_here:hook", "no colon"])
    first, second, third = caught.value.mistakes
    assert first.startswith("hooks[1]: cannot load 'hooks_under_test:nothing'")
    assert second.startswith("hooks[2]: cannot load 'no_such_module_here:hook'")
    assert third.startswith("hooks[3]: cannot load 'no colon'")


def test_an_object_without_either_method_is_a_mistake(install: Install) -> None:
    """A slip in a method's name would otherwise switch a guardrail off without a word."""
    with pytest.raises(ConfigError) as caught:
        load(install(hook=sse))
    assert caught.value.mistakes == ["hooks[0]: 'hooks_under_test:hook' has neither on_call nor on_event"]
