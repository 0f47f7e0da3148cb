"""One attempt over real sockets: what each signal of a provider becomes, in the answer, the log and the metrics.

What follows a failure is tested without sockets (``test_dispatch.py``, ``test_next_candidate.py``).
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest

from proxy.responder import Responder
from tests.dispatch.flows import (
    CALL,
    CHAT,
    NOWHERE,
    SECRET,
    assert_no_secrets,
    call_for,
    error_answer,
    fetch,
    good,
    text_of,
    two_providers,
)
from tests.support import (
    Answer,
    Blackhole,
    Chunk,
    Close,
    Headers,
    LastChunk,
    RawClient,
    Reset,
    Stall,
    Upstream,
    Wait,
    chat_chunks,
    chat_events,
    completion,
    error_json,
    json_answer,
    sse,
    sse_answer,
    until,
    within,
)
from tests.support.answers import DONE, SSE_HEADERS, compact, unspliced
from tests.support.clock import FakeClock, LoopClock
from tests.support.gateway import Gateway, one_provider
from tests.support.lives import at_rest, live
from tests.support.steps import Script, Step
from tests.support.upstream import Request

ROLE = chat_events()[0]
OVERLOADED = {"error": {"message": "Overloaded", "type": "overloaded_error", "code": "busy"}}
WORDS = "The provider's own words"
ERROR = Chunk(sse(error_json(WORDS, code="no_luck")))
BEGUN: list[Step | bytes] = [Headers(200, SSE_HEADERS), *map(Chunk, chat_events("Hello", finish=None, done=False))]
MANNERS = ["plain", "stream"]


@dataclass(frozen=True)
class Signal:
    """What a provider does, where the answer is plain and where it streams; ``None``: no such case.

    ``status`` and ``code`` are what the client gets, where no other deployment is left.
    """

    kind: str
    status: int
    code: str
    plain: Script | None = None
    stream: Script | None = None
    timeouts: dict[str, float] = field(default_factory=dict)
    address: str = ""  # "nowhere", "blackhole": instead of the upstream's

    def script(self, manner: str) -> Script | None:
        return self.stream if manner == "stream" else self.plain


def both(kind: str, status: int, code: str, script: Script, **options: Any) -> Signal:
    """The same signal for plain answers and streams."""
    return Signal(kind, status, code, script, script, **options)


BROKEN, DISCONNECTED, EMPTY = "upstream_broken_answer", "upstream_disconnected", "upstream_empty_answer"
NO_MODEL = error_answer(404, "The model `up-m` does not exist or you do not have access to it.", code="model_not_found")
NO_LENGTH = [b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 0\r\n\r\n"]
PAGE = [b"HTTP/1.1 503 Busy\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>"]
SIGNALS = {
    "429": both("rate_limited", 429, "rate_limit_exceeded", error_answer(429, Retry_After="61")),
    "500": both("server_error", 502, "upstream_server_error", error_answer(500)),
    "an error page": both("server_error", 502, "upstream_server_error", PAGE),
    "an unknown model": both("model_missing", 404, "model_not_found", NO_MODEL),
    "a bad request": both("other", 400, "wrong", error_answer(400, code="wrong")),
    "a refused key": both("auth", 502, "upstream_auth_failed", error_answer(401, SECRET, code="bad_key")),
    "reset": both("reset", 502, DISCONNECTED, [Reset()]),
    "closed": both("reset", 502, DISCONNECTED, [Close()]),
    "refused": both("unreachable", 502, "upstream_unreachable", [], address="nowhere"),
    "connect clock": both("timeout", 504, "timeout_connect", [], address="blackhole", timeouts={"connect": 0.05}),
    "headers clock": Signal("timeout", 504, "timeout_headers", None, [Stall()], {"headers": 0.05}),
    "firstContent clock": Signal(
        "timeout",
        504,
        "timeout_firstContent",
        None,
        [Headers(200, SSE_HEADERS), Chunk(ROLE), Stall()],
        {"firstContent": 0.05},
    ),
    "idle clock": Signal(
        "timeout",
        504,
        "timeout_idle",
        [Headers(200, [("Content-Type", "application/json"), ("Content-Length", "9")]), b"{", Stall()],
        [Headers(200, SSE_HEADERS), Chunk(ROLE), Stall()],
        {"idle": 0.05},
    ),
    "total clock": both("timeout", 504, "timeout_total", [Stall()], timeouts={"total": 1.0}),
    "an error with a 200": Signal(
        "server_error", 502, "busy", json_answer(OVERLOADED), sse_answer(ROLE, sse(OVERLOADED))
    ),
    "an empty answer": Signal("broken_answer", 502, EMPTY, NO_LENGTH, [Headers(200, SSE_HEADERS), LastChunk()]),
    "nothing but the end": Signal("broken_answer", 502, EMPTY, None, sse_answer(sse("[DONE]"))),
    "a cut answer": Signal(
        "broken_answer",
        502,
        DISCONNECTED,
        [b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"id"', Close()],
        [Headers(200, SSE_HEADERS), Chunk(ROLE), Close()],
    ),
    "no JSON": Signal(
        "broken_answer",
        502,
        BROKEN,
        [b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5\r\n\r\n<html"],
        [Headers(200, SSE_HEADERS), Chunk(b'data: {"id":\n\ndata: <html>\n\n'), LastChunk()],
    ),
    "no HTTP": both("broken_answer", 502, BROKEN, [b"220 mail.example ESMTP\r\n\r\n", Close()]),
}
CASES = [(name, manner) for name, each in SIGNALS.items() for manner in MANNERS if each.script(manner) is not None]


def pair(first: Upstream, second: Upstream, **routing: Any) -> dict[str, Any]:
    """Model ``m`` at the first, model ``n`` at the second."""
    return {
        "providers": {"first": {"baseUrl": first.url}, "second": {"baseUrl": second.url}},
        "models": [{"name": "m", "provider": "first"}, {"name": "n", "provider": "second"}],
        "routing": {"retryDelay": 1} | routing,
    }


async def reasons(gw: Gateway) -> dict[str, int]:
    """Of all attempts, by the metrics."""
    gw.app.observers.flush()
    return {reason: int(cell.value) for (_, reason), cell in gw.app.metrics.families.attempts.cells.items()}


@pytest.mark.parametrize(("name", "manner"), CASES)
async def test_each_signal_of_a_provider_has_its_kind_of_failure(name: str, manner: str) -> None:
    signal = SIGNALS[name]
    script = signal.script(manner)
    assert script is not None
    with ExitStack() as stack:
        async with Upstream() as up:
            up.on(lambda request: script)
            address = up.url
            if signal.address:
                address = NOWHERE if signal.address == "nowhere" else stack.enter_context(Blackhole()).url
            routing = {"maxRetries": 0, "rateLimitRetries": 0}
            config = two_providers(address, up.url, "alone", provider={"timeouts": signal.timeouts}, routing=routing)
            clock = LoopClock()
            async with Gateway(config, clock=FakeClock()) as gw:
                answering = asyncio.ensure_future(fetch(await gw.client(), call_for(manner)))
                if signal.timeouts:
                    if not signal.address:
                        await up.request(0)
                    await clock.advance_until(answering, 0.5)
                answer = await answering
                assert_no_secrets(answer)
                assert (answer.status, answer.json["error"]["code"]) == (signal.status, signal.code)
                assert (await gw.settled())["failures"] == [f"first/m {signal.kind}"]
                assert len(up.requests) == (0 if signal.address else 1)
                await at_rest(gw)


@pytest.mark.parametrize("setting", ["fallback", "list", "equal"])
@pytest.mark.parametrize("manner", MANNERS)
async def test_another_deployment_gets_its_own_request(manner: str, setting: str) -> None:
    async with Upstream() as first, Upstream() as second:
        first.on(lambda request: error_answer(500))
        second.on(lambda request: good(manner))
        config, clock = two_providers(first.url, second.url, setting), FakeClock()
        async with Gateway(config, clock=clock, chance=random.Random(7)) as gw:
            answer = await fetch(await gw.client(), call_for(manner, setting))
            assert_no_secrets(answer)
            assert (answer.status, text_of(answer)) == (200, "whole")
            tries = 2 if setting == "fallback" else 1
            assert answer.header("x-router-errors") == ", ".join(["first/m=server_error"] * tries)
            for up, name, model in (
                (first, "first", "up-m"),
                (second, "second", f"up-{answer.header('x-router-model')}"),
            ):
                assert {request.header("authorization") for request in up} == {f"Bearer key-of-{name}"}
                assert {request.json["model"] for request in up} == {model}
            await at_rest(gw)


# -- waiting ------------------------------------------------------------------------------------------


async def test_requests_that_wait_for_the_same_deployment_are_all_served_after_its_cooldown() -> None:
    """Each has a delay of its own: the first to wake finds a cooldown that the others made longer."""
    clock = FakeClock()
    seen: dict[bytes, int] = {}
    all_came = asyncio.Event()

    def answer(request: Request) -> Script:
        known = seen.setdefault(bytes(request.body), 0)
        seen[bytes(request.body)] += 1
        if len(seen) == 8:
            all_came.set()
        return good("plain") if known else [Wait(all_came), *error_answer(429)]

    async with Upstream() as up:
        up.on(answer)
        config = two_providers(up.url, up.url, "alone", circuitBreaker={"failureThreshold": 9})
        async with Gateway(config, clock=clock, chance=random.Random(3)) as gw:
            clients = [await gw.client() for _ in range(8)]
            calls = [CALL | {"seed": number} for number in range(8)]
            answers = await asyncio.gather(*map(fetch, clients, calls))
            assert [each.status for each in answers] == [200] * 8
            await at_rest(gw)


async def test_a_cooldown_is_slept_to_its_end_on_the_real_clock() -> None:
    """The loop's timers count whole milliseconds: they must not wake a request before the cooldown is over."""
    async with Upstream() as up:
        config = two_providers(up.url, up.url, "alone", routing={"retryDelay": 3, "rateLimitRetries": 1})
        async with Gateway(config) as gw:
            client = await gw.client()
            for _ in range(40):
                up.queue(error_answer(429), good("plain"))
                assert (await fetch(client, CALL)).status == 200


async def test_a_client_that_waits_for_a_stream_gets_pings_during_a_backoff() -> None:
    clock = FakeClock()
    async with Upstream() as up:
        up.queue(error_answer(429, Retry_After="40"), good("stream"))
        config = two_providers(up.url, up.url, "alone", server={"pingAfter": 15})
        async with Gateway(config, clock=clock) as gw:
            answer = await fetch(await gw.client(), call_for("stream"))
            assert (answer.status, text_of(answer)) == (200, "whole")
            assert answer.body.count(b": ping\n\n") == 2
            # The head was sent before the answer began, so it cannot name the deployment.
            comment = answer.body.split(b": _router ")[1].split(b"\n\n")[0]
            assert json.loads(comment)["attempts"] == 2


async def test_a_client_that_leaves_during_a_backoff_costs_no_further_request() -> None:
    async with Upstream() as up:
        up.on(lambda request: error_answer(429, Retry_After="30"))
        async with Gateway(two_providers(up.url, up.url, "alone")) as gw:
            client = await gw.client()
            await client.request("POST", CHAT, json=CALL)
            await within((await up.request(0)).answered.wait(), "the 429")
            await until(lambda: live(gw, "first/m").quota.cooldown_until, "the cooldown")
            client.close()
            assert (await gw.settled())["outcome"] == "client_gone"
            await at_rest(gw)
            assert len(up.requests) == 1


@pytest.mark.parametrize("setting", ["alone", "fallback"])
@pytest.mark.parametrize("manner", MANNERS)
async def test_a_provider_that_is_slow_to_start_is_waited_for(manner: str, setting: str) -> None:
    gate = asyncio.Event()
    async with Upstream() as first, Upstream() as second:
        first.queue([Wait(gate), *good(manner)])
        config = two_providers(first.url, second.url, setting, server={"pingAfter": 0.01})
        async with Gateway(config) as gw:
            client = await gw.client()
            await client.request("POST", CHAT, json=call_for(manner))
            await first.request(0)
            if manner == "stream":
                head = await client.read_head()
                assert await client.read_event() == b": ping\n\n"
                gate.set()
                answer = Answer(head, await client.read_body())
                assert b'"provider":"first"' in answer.body
            else:
                gate.set()
                answer = await client.read_answer()
            assert (answer.status, text_of(answer), second.requests) == (200, "whole", [])
            assert live(gw, "first/m").breaker.failures == 0


@pytest.mark.parametrize("setting", ["alone", "fallback"])
async def test_a_failure_after_the_status_commit_is_retried_or_sent_in_band(setting: str) -> None:
    gate = asyncio.Event()
    async with Upstream() as first, Upstream() as second:
        first.on(
            lambda request: [Wait(gate), *error_answer(404, "The model `up-m` does not exist.", code="model_not_found")]
        )
        second.queue(good("stream"))
        config = two_providers(first.url, second.url, setting, server={"pingAfter": 0.01})
        async with Gateway(config) as gw:
            client = await gw.client()
            await client.request("POST", CHAT, json=call_for("stream"))
            head = await client.read_head()
            gate.set()
            answer = Answer(head, await client.read_body())
            assert_no_secrets(answer)
            if setting == "alone":
                assert b'"code":"model_not_found"' in answer.body
                assert b"[DONE]" not in answer.body
            else:
                assert text_of(answer) == "whole"
                assert b'"provider":"second","model_name":"b","attempts":2,"fallback_used":true' in answer.body


# -- after the content commit -------------------------------------------------------------------------

BREAKS: dict[str, tuple[list[Step | bytes], str]] = {
    "cut": ([Close()], "broken_answer"),
    "reset": ([Reset()], "broken_answer"),
    "ended without its end": ([LastChunk()], "broken_answer"),
    "an error": ([ERROR, LastChunk()], "server_error"),
    "silent": ([Stall()], "timeout"),
    "malformed framing": ([b"zzz\r\n"], "broken_answer"),
}


@pytest.mark.parametrize(("end", "kind"), BREAKS.values(), ids=BREAKS.keys())
async def test_a_stream_that_breaks_after_its_content_ends_with_an_error_and_is_not_retried(
    end: list[Step | bytes], kind: str
) -> None:
    async with Upstream() as first, Upstream() as second:
        begun = chat_chunks("Hel", finish=None, done=False)
        first.on(lambda request: [Headers(200, SSE_HEADERS), Chunk(begun), *end])
        timeouts = {"idle": 0.1} if kind == "timeout" else {}
        config = two_providers(first.url, second.url, "fallback", provider={"timeouts": timeouts})
        clock = FakeClock()
        async with Gateway(config, clock=clock) as gw:
            answer = await fetch(await gw.client(), call_for("stream"))
            assert (answer.status, second.requests) == (200, [])
            assert answer.body.startswith(begun)
            assert b'"error"' in answer.body
            assert b'"finish_reason":"stop"' not in answer.body
            assert_no_secrets(answer)
            at_first = live(gw, "first/m")
            assert at_first.breaker.failures == 1
            assert at_first.statistics.counts(clock.now()) == (1, 1)
            line = await gw.settled()
            assert (line["outcome"], line["failures"]) == ("broken", [f"first/m {kind}"])
            assert await reasons(gw) == {kind: 1}
            await at_rest(gw)


# -- log, metrics and metadata ------------------------------------------------------------------------


@pytest.mark.parametrize("leave", [RawClient.close, RawClient.reset, RawClient.half_close])
async def test_an_attempt_whose_client_left_is_logged_as_client_gone(leave: Callable[[RawClient], None]) -> None:
    async with Upstream() as up:
        up.on(lambda request: [*BEGUN, Stall()])
        async with Gateway(one_provider(up)) as gw:
            client = await gw.client()
            await client.request("POST", CHAT, json=CALL | {"stream": True})
            await client.read_head()
            await client.read_event()
            leave(client)
            line = await gw.settled()
            assert (line["outcome"], line["failures"]) == ("client_gone", ["up/m client_gone"])
            assert await reasons(gw) == {"client_gone": 1}
            assert live(gw, "up/m").breaker.failures == 0


@pytest.mark.parametrize("more", [[], [Chunk(DONE)]], ids=["an error", "an error and the end"])
async def test_a_client_that_leaves_after_the_providers_error_counts_as_a_broken_answer(
    more: list[Step | bytes],
) -> None:
    """SDKs raise at the error, and close the connection before the provider ends its answer."""
    async with Upstream() as up:
        up.on(lambda request: [*BEGUN, ERROR, *more, Stall()])
        async with Gateway(one_provider(up)) as gw:
            client = await gw.client()
            await client.request("POST", CHAT, json=CALL | {"stream": True})
            await client.read_head()
            while WORDS.encode() not in await client.read_event():
                pass
            for _ in more:
                assert await client.read_event() == DONE
            client.close()
            line = await gw.settled()
            assert (line["outcome"], line["error"], line["failures"]) == ("broken", "no_luck", ["up/m server_error"])
            assert live(gw, "up/m").breaker.failures == 1
            await at_rest(gw)


async def test_a_client_that_leaves_with_its_whole_answer_counts_as_served() -> None:
    async with Upstream() as up:
        up.on(lambda request: json_answer(completion()))
        async with Gateway(one_provider(up)) as gw:
            gateway, left = gw.app.gateway, asyncio.Event()
            assert gateway is not None
            serve, responders = gateway.answer, []

            async def slowly(responder: Responder) -> None:
                responders.append(responder)
                await serve(responder)
                await left.wait()

            gateway.answer = slowly
            client = await gw.client()
            assert (await client.fetch("POST", CHAT, json=CALL)).status == 200
            client.close()
            await until(lambda: responders[0].request.gone, "the gateway to notice the disconnect")
            left.set()
            assert (await gw.settled())["outcome"] == "ok"


async def test_an_attempt_that_lost_a_race_is_logged_but_no_error_of_the_answer() -> None:
    async with Upstream() as slow, Upstream() as fast:
        slow.on(lambda request: [Stall()])
        fast.on(lambda request: json_answer(completion()))
        async with Gateway(pair(slow, fast, hedgeAfterMs=5)) as gw:
            answer = await (await gw.client()).fetch("POST", CHAT, json=CALL | {"model": ["m", "n"]})
            _, router = unspliced(answer.body)
            assert (router["provider"], router["attempts"], router["errors"]) == ("second", 2, [])
            assert answer.header("x-router-errors") is None
            assert (await gw.settled())["failures"] == ["first/m outrun"]
            assert await reasons(gw) == {"outrun": 1, "ok": 1}
            await at_rest(gw)


async def test_an_error_with_a_200_is_not_quoted_in_the_answer_of_another_provider() -> None:
    async with Upstream() as first, Upstream() as second:
        first.on(lambda request: json_answer(error_json(WORDS)))
        second.on(lambda request: json_answer(completion()))
        async with Gateway(pair(first, second)) as gw:
            answer = await (await gw.client()).fetch("POST", CHAT, json=CALL | {"model": ["m", "n"]})
            _, router = unspliced(answer.body)
            assert [error["message"] for error in router["errors"]] == [
                "the provider sent an error instead of an answer"
            ]
            assert WORDS.encode() not in compact(answer.head.headers) + answer.body


async def test_the_final_error_quotes_the_last_provider_beside_all_reasons() -> None:
    async with Upstream() as first, Upstream() as second:
        first.on(lambda request: json_answer(error_json(WORDS)))
        second.on(lambda request: sse_answer(sse(error_json(WORDS))))
        async with Gateway(pair(first, second)) as gw:
            answer = await (await gw.client()).fetch("POST", CHAT, json=CALL | {"model": ["m", "n"], "stream": True})
            assert answer.status == 502
            assert "sent an error instead of an answer" in answer.json["error"]["message"]
            assert answer.json["error"]["message"].count(WORDS) == 1


async def test_a_client_that_left_gets_no_ping() -> None:
    """Its connection is closed a moment before the attempt has ended, and a write to it would be a mistake."""
    async with Upstream() as up:
        up.on(lambda request: [Stall()])
        async with Gateway(one_provider(up)) as gw:
            gateway = gw.app.gateway
            assert gateway is not None
            serve, responders = gateway.answer, []

            async def known(responder: Responder) -> None:
                responders.append(responder)
                await serve(responder)

            gateway.answer = known
            client = await gw.client()
            await client.request("POST", CHAT, json=CALL | {"stream": True})
            await up.request(0)
            client.close()
            assert (await gw.settled())["outcome"] == "client_gone"
            responders[0].ping()
            assert not responders[0].request.reply.begun
