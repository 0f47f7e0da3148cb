"""The table of attempts, row by row, over real sockets: upstream says, client sees, breaker is, upstream saw.

Each row with nobody else, with a fallback, with the next in a list, and with an equal; for plain answers and for
streams. Rests and backoffs are slept through on a clock of the test's own.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from typing import Any

import pytest

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
from tests.support.answers import SSE_HEADERS
from tests.support.clock import MIDNIGHT, FakeClock
from tests.support.gateway import Gateway
from tests.support.lives import at_rest, live
from tests.support.steps import Script
from tests.support.upstream import Request

CHAT = "/v1/chat/completions"
HI = [{"role": "user", "content": "Hi"}]
CALL = {"model": "m", "messages": HI}
ROLE = chat_events()[0]
NOWHERE = "http://127.0.0.1:1/v1"
KEYS = {"first": "key-of-first", "second": "key-of-second"}
SECRET = "Incorrect API key provided: key-of-first, see https://inner.example/keys"

MANNERS = ["plain", "stream"]
SETTINGS = ["alone", "fallback", "list", "equal"]


def said(status: int, message: str = "Broken on purpose", *, code: str | None = None, **headers: str) -> Script:
    lines = [(name.replace("_", "-"), value) for name, value in headers.items()]
    head, *body = json_answer(error_json(message, code=code), status, lines)
    assert isinstance(head, Headers)
    return [replace(head, reason="Of its own"), *body]


@dataclass(frozen=True)
class Row:
    """``says`` for plain answers and ``streams`` for streams, where that is not the same; ``None``: no such case.

    ``tries`` are the attempts at the first provider in each setting, in the order of ``SETTINGS``; ``rescued`` the
    settings in which somebody else answers; ``status`` and ``code`` what the client is told in the others.
    ``relayed``: that is the provider's own error. ``breaker`` is its state at the end, and ``failures`` how many.
    """

    kind: str
    tries: tuple[int, int, int, int]
    status: int
    code: str | None
    says: Script | None = None
    streams: Script | None = None
    rescued: tuple[str, ...] = ("fallback", "list", "equal")
    relayed: bool = False
    breaker: str = "closed"
    failures: int = 1
    timeouts: dict[str, float] = field(default_factory=dict)
    address: str = ""  # "nowhere", "blackhole": instead of the upstream's

    def script(self, manner: str) -> Script | None:
        return self.streams if manner == "stream" and self.streams is not None else self.says


CONTEXT = said(400, "This model's maximum context length is 1000 tokens.", code="context_length_exceeded")
FILTERED = said(400, "The response was filtered due to the prompt.", code="content_filter")
OURS = "Blocked for project proj_JMo3Q9spNIEWhSxusokLegJY and key-of-first"
AFFORD = "This request requires more credits, or fewer max_tokens. You requested up to 65536, but can only afford 1200."
NO_ACCESS = "Project `proj_JMo3Q9spNIEWhSxusokLegJY` does not have access to model `up-m`"
TOO_LARGE = {
    status: said(
        status,
        "Request too large for model `m` in organization `org_01hx9y2z` on tokens per minute (TPM): Limit 6000, "
        "Requested 9014, please reduce your message size and try again.",
        code="rate_limit_exceeded",
        Retry_After="60",
    )
    for status in (413, 429)
}
NOT_PAID = said(429, "You exceeded your current quota.", code="insufficient_quota")
OTHERS = ("fallback", "list", "equal")
AT_SEVEN = formatdate(MIDNIGHT + 7, usegmt=True)
ONCE, TWICE, THRICE = (1, 1, 1, 1), (2, 2, 1, 1), (3, 3, 3, 3)
TOO_MANY = (3, 3, 3, 1)
OVERLOADED = {"error": {"message": "Overloaded", "type": "overloaded_error", "code": "busy"}}

ROWS = {
    "429": Row("rate_limited", TOO_MANY, 429, "rate_limit_exceeded", said(429)),
    "429 with seconds": Row("rate_limited", TOO_MANY, 429, "rate_limit_exceeded", said(429, Retry_After="7")),
    "429 with a date": Row("rate_limited", TOO_MANY, 429, "rate_limit_exceeded", said(429, Retry_After=AT_SEVEN)),
    "reset": Row("reset", THRICE, 502, "upstream_disconnected", [Reset()]),
    "closed": Row("reset", THRICE, 502, "upstream_disconnected", [Close()]),
    "refused": Row("unreachable", ONCE, 502, "upstream_unreachable", [], address="nowhere"),
    "connect clock": Row("timeout", ONCE, 504, "timeout_connect", [], address="blackhole", timeouts={"connect": 0.05}),
    "headers clock": Row("timeout", ONCE, 504, "timeout_headers", streams=[Stall()], timeouts={"headers": 0.05}),
    "firstContent clock": Row(
        "timeout",
        ONCE,
        504,
        "timeout_firstContent",
        streams=[Headers(200, SSE_HEADERS), Chunk(ROLE), Stall()],
        timeouts={"firstContent": 0.05},
    ),
    "idle clock": Row(
        "timeout",
        ONCE,
        504,
        "timeout_idle",
        [Headers(200, [("Content-Type", "application/json"), ("Content-Length", "9")]), b"{", Stall()],
        [Headers(200, SSE_HEADERS), Chunk(ROLE), Stall()],
        timeouts={"idle": 0.05},
    ),
    "total clock": Row("timeout", ONCE, 504, "timeout_total", [Stall()], timeouts={"total": 0.05}),
    **{
        str(status): Row("server_error", TWICE, 502, "upstream_server_error", said(status))
        for status in (500, 502, 503, 504, 529, 408, 425)
    },
    "an error instead of an answer": Row(
        "server_error",
        TWICE,
        502,
        "busy",
        json_answer(OVERLOADED),
        sse_answer(ROLE, sse(OVERLOADED)),
    ),
    "an error that is none of a page": Row(
        "server_error",
        TWICE,
        502,
        "upstream_server_error",
        [b"HTTP/1.1 503 Busy\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>"],
    ),
    "an empty answer": Row(
        "broken_answer",
        TWICE,
        502,
        "upstream_empty_answer",
        [b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 0\r\n\r\n"],
        [Headers(200, SSE_HEADERS), LastChunk()],
    ),
    "nothing but the end": Row("broken_answer", TWICE, 502, "upstream_empty_answer", streams=sse_answer(sse("[DONE]"))),
    "a cut answer": Row(
        "broken_answer",
        TWICE,
        502,
        "upstream_disconnected",
        [b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"id"', Close()],
        [Headers(200, SSE_HEADERS), Chunk(ROLE), Close()],
    ),
    "no events": Row(
        "broken_answer",
        TWICE,
        502,
        "upstream_broken_answer",
        streams=[Headers(200, SSE_HEADERS), Chunk(b'data: {"id":\n\ndata: <html>\n\n'), LastChunk()],
    ),
    "no JSON": Row(
        "broken_answer",
        TWICE,
        502,
        "upstream_broken_answer",
        [b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5\r\n\r\n<html"],
    ),
    "no HTTP": Row("broken_answer", TWICE, 502, "upstream_broken_answer", [b"220 mail.example ESMTP\r\n\r\n", Close()]),
    "the model is missing": Row(
        "model_missing",
        ONCE,
        404,
        "model_not_found",
        said(404, "The model `up-m` does not exist or you do not have access to it.", code="model_not_found"),
        breaker="unavailable",
        failures=0,
    ),
    "another 404": Row(
        "not_found",
        ONCE,
        404,
        "gone",
        said(404, "Not Found", code="gone"),
        None,
        relayed=True,
        failures=0,
    ),
    "a 410": Row("not_found", ONCE, 410, "gone", said(410, "Gone", code="gone"), None, relayed=True, failures=0),
    "another item": Row(
        "item_missing",
        ONCE,
        404,
        None,
        said(404, "Item with id 'rs_1' not found. Items are not persisted when `store` is set to false."),
        None,
        (),
        True,
        failures=0,
    ),
    "the model is missing, with a 410": Row(
        "model_missing",
        ONCE,
        404,
        "model_not_found",
        said(410, "The model 'up-m' has reached its end of life and is no longer available."),
        breaker="unavailable",
        failures=0,
    ),
    "the model is missing, with a 400": Row(
        "model_missing",
        ONCE,
        404,
        "model_not_found",
        said(400, "Model Not Exist", code="invalid_request_error"),
        breaker="unavailable",
        failures=0,
    ),
    "too long": Row(
        "context_length", ONCE, 400, "context_length_exceeded", CONTEXT, None, ("fallback", "list"), True, failures=0
    ),
    "filtered": Row("content_filter", ONCE, 400, "content_filter", FILTERED, None, (), True, failures=0),
    **{
        str(status): Row("other", ONCE, status, "wrong", said(status, code="wrong"), None, (), True, failures=0)
        for status in (400, 405, 409, 415, 422)
    },
    "401": Row("auth", ONCE, 502, "upstream_auth_failed", said(401, SECRET, code="bad_key")),
    "402": Row("payment_required", ONCE, 402, "broke", said(402, OURS, code="broke"), None, OTHERS, True, failures=0),
    "402 for max_tokens": Row("other", ONCE, 402, "broke", said(402, AFFORD, code="broke"), None, (), True, failures=0),
    "403": Row("forbidden", ONCE, 403, "blocked", said(403, OURS, code="blocked"), None, OTHERS, True, failures=0),
    "403 about the model": Row(
        "model_missing",
        ONCE,
        404,
        "model_not_found",
        said(403, NO_ACCESS, code="model_not_found"),
        breaker="unavailable",
        failures=0,
    ),
    "413": Row("too_large", ONCE, 413, "wrong", said(413, code="wrong"), None, OTHERS, True, failures=0),
    "413 for the limit of a minute": Row(
        "too_large", ONCE, 413, "rate_limit_exceeded", TOO_LARGE[413], None, OTHERS, True, failures=0
    ),
    "429 for the request alone": Row(
        "too_large", ONCE, 429, "rate_limit_exceeded", TOO_LARGE[429], None, OTHERS, True, failures=0
    ),
    "429 of an account that is used up": Row(
        "out_of_quota", ONCE, 429, "insufficient_quota", NOT_PAID, None, OTHERS, True
    ),
    "Gemini's 400 about the key": Row(
        "auth",
        ONCE,
        502,
        "upstream_auth_failed",
        json_answer([error_json("API key not valid. Please pass a valid API key.")], 400),
    ),
}
CASES = [
    (name, manner, setting)
    for name, row in ROWS.items()
    for manner in MANNERS
    for setting in SETTINGS
    if row.script(manner) is not None
]


def house(first: str, second: str, setting: str, **sections: Any) -> dict[str, Any]:
    """``m`` at ``first``; at ``second`` the same, or ``b``, which is larger."""
    name = "m" if setting == "equal" else "b"
    routing = sections.pop("routing", {})
    if setting == "fallback":
        routing = {"fallback": {"provider": "second", "model": name}} | routing
    models = [{"name": "m", "provider": "first", "model": "up-m", "contextSize": 1000}]
    if setting != "alone":
        size = 1000 if setting == "equal" else 2000
        models.append({"name": name, "provider": "second", "model": f"up-{name}", "contextSize": size})
    return {
        "providers": {
            "first": {"baseUrl": first, "apiKey": KEYS["first"]} | sections.pop("provider", {}),
            "second": {"baseUrl": second, "apiKey": KEYS["second"]},
        },
        "models": models,
        "routing": routing,
    } | sections


def asking(manner: str, setting: str = "") -> dict[str, Any]:
    return CALL | {"stream": manner == "stream"} | ({"model": ["m", "b"]} if setting == "list" else {})


def good(manner: str, text: str = "whole") -> Script:
    return sse_answer(*chat_events(text)) if manner == "stream" else json_answer(completion(text))


def text_of(answer: Answer) -> str:
    """Of a whole answer, plain or streamed."""
    if not (answer.header("content-type") or "").startswith("text/event-stream"):
        return str(answer.json["choices"][0]["message"]["content"])
    events = [line[6:] for line in answer.body.decode().split("\n") if line.startswith("data: ")]
    assert events[-1] == "[DONE]"
    chunks = map(json.loads, events[:-1])
    return "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)


def discreet(answer: Answer, *addresses: str) -> None:
    """No address, no key, none of the provider's words about our credential: not in the body, not in the head."""
    told = f"{answer.head.headers}{answer.body!r}"
    for secret in ("127.0.0.1", "inner.example", "Incorrect", "key-of", "JMo3Q", "01hx9y", *addresses):
        assert secret not in told


async def fetch(client: RawClient, call: dict[str, Any], *headers: tuple[str, str]) -> Answer:
    return await client.fetch("POST", CHAT, json=call, headers=headers)


@pytest.mark.parametrize(("name", "manner", "setting"), CASES)
async def test_each_row_of_the_table(name: str, manner: str, setting: str) -> None:
    row = ROWS[name]
    script = row.script(manner)
    assert script is not None
    tries, clock = row.tries[SETTINGS.index(setting)], FakeClock()
    with ExitStack() as stack:
        async with Upstream() as first, Upstream() as second:
            first.on(lambda request: script)
            second.on(lambda request: good(manner))
            address = first.url
            if row.address:
                address = NOWHERE if row.address == "nowhere" else stack.enter_context(Blackhole()).url
            config = house(address, second.url, setting, provider={"timeouts": row.timeouts})
            async with Gateway(config, clock=clock, chance=random.Random(7)) as gw:
                answer = await fetch(await gw.client(), asking(manner, setting))
                # the client sees
                discreet(answer)
                if setting in row.rescued:
                    assert (answer.status, text_of(answer)) == (200, "whole")
                    rescued(answer, row, tries, setting, manner)
                else:
                    assert (answer.status, answer.json["error"]["code"]) == (row.status, row.code)
                    assert answer.header("x-router-attempts") == str(tries)
                # the breaker is
                breaker = live(gw, "first/m").breaker
                assert (breaker.state, breaker.failures) == (row.breaker, row.failures)
                # the upstream saw
                assert len(first.requests) == (0 if row.address else tries)
                assert all(request.header("authorization") == "Bearer key-of-first" for request in first)
                assert [request.json["model"] for request in first] == ["up-m"] * len(first.requests)
                assert len(second.requests) == (setting in row.rescued)
                assert all(request.header("authorization") == "Bearer key-of-second" for request in second)
                await at_rest(gw)


def rescued(answer: Answer, row: Row, tries: int, setting: str, manner: str) -> None:
    """The truth about an answer of somebody else."""
    name = "m" if setting == "equal" else "b"
    assert (answer.header("x-router-provider"), answer.header("x-router-model")) == ("second", name)
    assert answer.header("x-router-attempts") == str(tries + 1)
    assert answer.header("x-router-fallback-used") == ("true" if setting == "fallback" else None)
    assert answer.header("x-router-errors") == ", ".join([f"first/m={row.kind}"] * tries)
    if manner == "plain":
        truth = answer.json["_router"]
        errors = truth.pop("errors")
        assert [(error["provider"], error["model_name"], error["error"]) for error in errors] == [
            ("first", "m", row.kind)
        ] * tries
        assert truth == {
            "provider": "second",
            "model_name": name,
            "attempts": tries + 1,
            "fallback_used": setting == "fallback",
        }


# -- waiting ------------------------------------------------------------------------------------------


async def waits(script: Iterable[Any], **routing: Any) -> tuple[Answer, list[float], int]:
    """What the client sees of one provider that always says so, how long it slept, how often it was asked."""
    clock = FakeClock()
    async with Upstream() as up:
        up.on(lambda request: script)
        async with Gateway(house(up.url, up.url, "alone", routing=routing), clock=clock) as gw:
            answer = await fetch(await gw.client(), CALL)
            return answer, clock.slept, len(up.requests)


async def test_a_429_is_waited_for_as_long_as_it_says() -> None:
    answer, slept, asked = await waits(said(429, Retry_After="7"))
    assert (answer.status, slept, asked) == (429, pytest.approx([7, 7]), 3)
    assert answer.header("retry-after") == "7"


async def test_a_429_until_a_date_is_waited_for_until_then() -> None:
    answer, slept, asked = await waits(said(429, Retry_After=AT_SEVEN), rateLimitRetries=1)
    assert (answer.status, slept, asked) == (429, pytest.approx([7]), 2)


async def test_a_429_that_says_nothing_is_waited_for_twice_as_long_each_time() -> None:
    answer, slept, asked = await waits(said(429), retryDelay=200, rateLimitRetries=4)
    assert (answer.status, asked, len(slept)) == (429, 5, 4)
    for number, seconds in enumerate(slept):
        assert 0.2 * 2**number <= seconds <= 0.3 * 2**number


async def test_nobody_waits_longer_than_the_deadline_or_a_minute() -> None:
    answer, slept, asked = await waits(said(429, Retry_After="7"), deadlineSecs=5)
    assert (answer.status, slept, asked, answer.header("retry-after")) == (429, [], 1, "7")
    answer, slept, asked = await waits(said(429, Retry_After="61"))
    assert (answer.status, slept, asked, answer.header("retry-after")) == (429, [], 1, "60")
    answer, slept, asked = await waits(said(429, Retry_After="35"), rateLimitRetries=5)
    assert (answer.status, slept, asked) == (429, pytest.approx([35]), 2)


async def test_a_deployment_that_rests_is_passed_over_and_comes_back() -> None:
    clock = FakeClock()
    async with Upstream() as first, Upstream() as second:
        first.queue(said(429, Retry_After="30"))
        first.on(lambda request: good("plain", "first"))
        second.on(lambda request: good("plain", "second"))
        async with Gateway(house(first.url, second.url, "equal"), clock=clock) as gw:
            client = await gw.client()
            texts = [text_of(await fetch(client, CALL)) for _ in range(4)]
            assert (texts, len(first.requests)) == (["second"] * 4, 1)
            clock.advance(31)
            assert "first" in [text_of(await fetch(client, CALL)) for _ in range(2)]
            assert clock.slept == []


async def test_who_only_rests_is_asked_nothing_and_the_client_hears_when_to_come_back() -> None:
    clock = FakeClock()
    async with Upstream() as up:
        up.on(lambda request: said(429, Retry_After="61"))
        async with Gateway(house(up.url, up.url, "alone"), clock=clock) as gw:
            client = await gw.client()
            for _ in range(3):
                answer = await fetch(client, CALL)
                assert (answer.status, answer.header("retry-after")) == (429, "60")
                assert answer.json["error"]["type"] == "rate_limit_error"
            assert len(up.requests) == 1


async def test_many_that_wait_for_the_same_deployment_are_all_served_when_it_has_rested() -> None:
    """Each has a delay of its own; who wakes first finds it resting for the others' sake."""
    clock = FakeClock()
    seen: dict[bytes, int] = {}
    everybody = asyncio.Event()

    def answer(request: Request) -> Script:
        known = seen.setdefault(bytes(request.body), 0)
        seen[bytes(request.body)] += 1
        if len(seen) == 8:
            everybody.set()
        return good("plain") if known else [Wait(everybody), *said(429)]

    async with Upstream() as up:
        up.on(answer)
        config = house(up.url, up.url, "alone", circuitBreaker={"failureThreshold": 9})
        async with Gateway(config, clock=clock, chance=random.Random(3)) as gw:
            clients = [await gw.client() for _ in range(8)]
            calls = [CALL | {"seed": number} for number in range(8)]
            answers = await asyncio.gather(*map(fetch, clients, calls))
            assert [each.status for each in answers] == [200] * 8
            await at_rest(gw)


async def test_the_time_to_rest_is_slept_to_its_end_on_the_real_clock() -> None:
    """The loop's timers count whole milliseconds: they must not wake anybody before the rest is over."""
    async with Upstream() as up:
        config = house(up.url, up.url, "alone", routing={"retryDelay": 3, "rateLimitRetries": 1})
        async with Gateway(config) as gw:
            client = await gw.client()
            for _ in range(40):
                up.queue(said(429), good("plain"))
                assert (await fetch(client, CALL)).status == 200


async def test_a_client_that_waits_for_a_stream_is_pinged_meanwhile() -> None:
    clock = FakeClock()
    async with Upstream() as up:
        up.queue(said(429, Retry_After="40"), good("stream"))
        config = house(up.url, up.url, "alone", server={"pingAfter": 15})
        async with Gateway(config, clock=clock) as gw:
            answer = await fetch(await gw.client(), asking("stream"))
            assert (answer.status, text_of(answer)) == (200, "whole")
            assert answer.body.count(b": ping\n\n") == 2
            # The head went before it was known who answers.
            comment = answer.body.split(b": _router ")[1].split(b"\n\n")[0]
            assert json.loads(comment)["attempts"] == 2


async def test_a_client_that_leaves_while_its_request_waits_is_not_served() -> None:
    async with Upstream() as up:
        up.on(lambda request: said(429, Retry_After="30"))
        async with Gateway(house(up.url, up.url, "alone")) as gw:
            client = await gw.client()
            await client.request("POST", CHAT, json=CALL)
            await within((await up.request(0)).answered.wait(), "the 429")
            await until(lambda: live(gw, "first/m").quota.cooldown_until, "the rest")
            client.close()
            assert (await gw.settled())["outcome"] == "client_gone"
            await at_rest(gw)
            assert len(up.requests) == 1


@pytest.mark.parametrize("setting", ["alone", "fallback"])
@pytest.mark.parametrize("manner", MANNERS)
async def test_who_is_only_slow_to_start_is_waited_for(manner: str, setting: str) -> None:
    gate = asyncio.Event()
    async with Upstream() as first, Upstream() as second:
        first.queue([Wait(gate), *good(manner)])
        config = house(first.url, second.url, setting, server={"pingAfter": 0.01})
        async with Gateway(config) as gw:
            client = await gw.client()
            await client.request("POST", CHAT, json=asking(manner))
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
async def test_who_fails_after_the_status_went_out_is_replaced_or_told_in_band(setting: str) -> None:
    gate = asyncio.Event()
    async with Upstream() as first, Upstream() as second:
        first.on(lambda request: [Wait(gate), *said(404, "The model `up-m` does not exist.", code="model_not_found")])
        second.queue(good("stream"))
        config = house(first.url, second.url, setting, server={"pingAfter": 0.01})
        async with Gateway(config) as gw:
            client = await gw.client()
            await client.request("POST", CHAT, json=asking("stream"))
            head = await client.read_head()
            gate.set()
            answer = Answer(head, await client.read_body())
            discreet(answer)
            if setting == "alone":
                assert b'"code":"model_not_found"' in answer.body
                assert b"[DONE]" not in answer.body
            else:
                assert text_of(answer) == "whole"
                assert b'"provider":"second","model_name":"b","attempts":2,"fallback_used":true' in answer.body


# -- one exchange, one failure ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["429", "reset", "500", "an empty answer"])
async def test_one_exchange_is_one_failure_however_often_it_asks(name: str) -> None:
    async with Upstream() as up:
        script = ROWS[name].says
        assert script is not None
        up.on(lambda request: script)
        clock = FakeClock()
        async with Gateway(house(up.url, up.url, "alone"), clock=clock) as gw:
            client, breaker = await gw.client(), live(gw, "first/m").breaker
            for number in (1, 2, 3):
                clock.advance(20)
                assert (breaker.state, breaker.failures) == ("closed", number - 1)
                assert (await fetch(client, CALL)).status in (429, 502)
            assert (breaker.state, live(gw, "first/m").statistics.counts(clock.now())) == ("open", (3, 3))
            asked = len(up.requests)
            answer = await fetch(client, CALL)
            if name == "429":  # it stays one after its breaker opened, and a probe sees whether it still is one
                assert (answer.status, answer.header("x-should-retry")) == (429, None)
                assert len(up.requests) > asked
            else:
                assert len(up.requests) == asked
                assert "(first/m: circuit breaker open for another " in answer.json["error"]["message"]
                assert (answer.status, answer.header("retry-after")) == (503, None)
                assert answer.header("x-should-retry") == "false"


# -- after the content commit -------------------------------------------------------------------------

BREAKS: dict[str, list[Any]] = {
    "cut": [Close()],
    "reset": [Reset()],
    "ended without its end": [LastChunk()],
    "an error": [Chunk(sse(OVERLOADED)), LastChunk()],
    "silent": [Stall()],
    "malformed framing": [b"zzz\r\n"],
}


@pytest.mark.parametrize("setting", ["alone", "fallback"])
@pytest.mark.parametrize("end", BREAKS.values(), ids=BREAKS.keys())
async def test_a_stream_that_breaks_after_its_content_ends_with_an_error_and_nobody_else_is_asked(
    end: list[Any], setting: str
) -> None:
    async with Upstream() as first, Upstream() as second:
        begun = chat_chunks("Hel", finish=None, done=False)
        first.on(lambda request: [Headers(200, SSE_HEADERS), Chunk(begun), *end])
        config = house(first.url, second.url, setting, provider={"timeouts": {"idle": 0.1}})
        clock = FakeClock()
        async with Gateway(config, clock=clock) as gw:
            answer = await fetch(await gw.client(), asking("stream"))
            assert (answer.status, second.requests) == (200, [])
            assert answer.body.startswith(begun)
            assert b'"error"' in answer.body
            assert b'"finish_reason":"stop"' not in answer.body
            discreet(answer)
            at_first = live(gw, "first/m")
            assert at_first.breaker.failures == 1
            assert at_first.statistics.counts(clock.now()) == (1, 1)
            assert (await gw.settled())["outcome"] == "broken"
            await at_rest(gw)


# -- what must not be asked twice ---------------------------------------------------------------------

FORM = (
    b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n'
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\nsound\r\n--b--\r\n'
)
ONE_OFF: dict[str, tuple[str, dict[str, Any]]] = {
    "images": ("/v1/images/generations", {"json": {"model": "m", "prompt": "a cat"}}),
    "speech": ("/v1/audio/speech", {"json": {"model": "m", "input": "Hi", "voice": "v"}}),
    "responses": ("/v1/responses", {"json": {"model": "m", "input": "Hi"}}),
    "responses that are stored": ("/v1/responses", {"json": {"model": "m", "input": "Hi", "store": True}}),
    "form": (
        "/v1/audio/transcriptions",
        {"body": FORM, "headers": [("Content-Type", "multipart/form-data; boundary=b")]},
    ),
    "form of images": (
        "/v1/images/edits",
        {"body": FORM, "headers": [("Content-Type", "multipart/form-data; boundary=b")]},
    ),
}


@pytest.mark.parametrize("name", ["500", "reset", "a cut answer", "total clock"])
@pytest.mark.parametrize(("path", "request_"), ONE_OFF.values(), ids=ONE_OFF.keys())
async def test_what_may_have_run_is_not_asked_again_where_twice_would_harm(
    path: str, request_: dict[str, Any], name: str
) -> None:
    row = ROWS[name]
    script = row.says
    assert script is not None
    async with Upstream() as first, Upstream() as second:
        first.on(lambda request: script)
        config = house(first.url, second.url, "equal", provider={"timeouts": row.timeouts})
        config["routing"] = {"fallback": {"provider": "second", "model": "m"}}
        async with Gateway(config, clock=FakeClock()) as gw:
            answer = await (await gw.client()).fetch("POST", path, **request_)
            assert answer.status in (502, 504)
            assert (len(first.requests), second.requests) == (1, [])
            assert live(gw, "first/m").breaker.failures == 1
            discreet(answer)
            await at_rest(gw)


@pytest.mark.parametrize(("path", "request_"), ONE_OFF.values(), ids=ONE_OFF.keys())
async def test_where_not_a_byte_was_sent_somebody_else_is_asked_all_the_same(
    path: str, request_: dict[str, Any]
) -> None:
    async with Upstream() as second:
        second.on(lambda request: json_answer({"object": "thing"}))
        async with Gateway(house(NOWHERE, second.url, "equal"), clock=FakeClock()) as gw:
            answer = await (await gw.client()).fetch("POST", path, **request_)
            assert (answer.status, len(second.requests)) == (200, 1)
            assert answer.header("x-router-errors") == "first/m=unreachable"
            assert answer.json["_router"]["attempts"] == 2
            assert b"up-m" in second.requests[0].body
            await at_rest(gw)


@pytest.mark.parametrize("name", ["500", "reset", "a cut answer", "total clock"])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/embeddings", {"input": "Hi"}),
        ("/v1/moderations", {"input": "Hi"}),
        ("/v1/completions", {"prompt": "Hi"}),
        ("/v1/responses", {"input": "Hi", "store": False}),
    ],
)
async def test_what_harms_nobody_but_the_bill_is_asked_again(path: str, body: dict[str, Any], name: str) -> None:
    row = ROWS[name]
    script = row.says
    assert script is not None
    async with Upstream() as first, Upstream() as second:
        first.on(lambda request: script)
        second.on(lambda request: json_answer({"object": "thing"}))
        config = house(first.url, second.url, "equal", provider={"timeouts": row.timeouts})
        async with Gateway(config, clock=FakeClock()) as gw:
            answer = await (await gw.client()).fetch("POST", path, json=body | {"model": "m"})
            assert (answer.status, len(second.requests)) == (200, 1)
            await at_rest(gw)


@pytest.mark.parametrize("status", [401, 429])
@pytest.mark.parametrize(("path", "request_"), ONE_OFF.values(), ids=ONE_OFF.keys())
async def test_who_was_refused_did_not_run_and_may_ask_somebody_else_unless_its_body_is_gone(
    path: str, request_: dict[str, Any], status: int
) -> None:
    async with Upstream() as first, Upstream() as second:
        first.on(lambda request: said(status, SECRET if status == 401 else "Slow down"))
        second.on(lambda request: json_answer({"object": "thing"}))
        async with Gateway(house(first.url, second.url, "equal"), clock=FakeClock()) as gw:
            answer = await (await gw.client()).fetch("POST", path, **request_)
            if "json" in request_:
                assert (answer.status, len(second.requests)) == (200, 1)
            else:
                assert (answer.status, second.requests) == (502 if status == 401 else 429, [])
            discreet(answer)
            await at_rest(gw)


# -- how far it goes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("retries", [0, 1, 2, 3])
async def test_max_retries_bounds_the_deployments_that_are_tried_before_the_fallback(retries: int) -> None:
    """3 is three, the first included; 0 is one attempt, and nothing is repeated."""
    async with Upstream() as up:
        up.on(lambda request: said(500))
        config = {
            "providers": {"up": {"baseUrl": up.url}},
            "models": [{"name": name, "provider": "up"} for name in ("a", "b", "c", "d", "last")],
            "routing": {"maxRetries": retries, "fallback": {"provider": "up", "model": "last"}},
        }
        async with Gateway(config, clock=FakeClock()) as gw:
            answer = await fetch(await gw.client(), {"model": ["a", "b", "c", "d"], "messages": HI})
            asked = [request.json["model"] for request in up]
            again = 1 if retries else 0  # the same once more, where nobody else is left before the fallback
            tried = ["a", "b", "c", "d"][: max(1, retries)]
            assert asked == [*tried, *tried[-1:] * again, "last", *["last"] * again]
            assert answer.status == 502
            assert answer.header("x-router-fallback-used") == "true"
            assert all(f"up/{name}: status 500" in answer.json["error"]["message"] for name in asked)


async def test_the_last_failure_decides_between_502_and_504() -> None:
    async with Upstream() as first, Upstream() as second:
        config = house(first.url, second.url, "list", timeouts={"total": 0.05})
        async with Gateway(config, clock=FakeClock()) as gw:
            client = await gw.client()
            first.queue([Stall()], said(500))
            second.queue(said(500), said(500), [Stall()])
            answer = await fetch(client, asking("plain", "list"))
            assert (answer.status, len(second.requests)) == (502, 2)
            answer = await fetch(client, asking("plain", "list"))
            assert (answer.status, len(second.requests)) == (504, 3)


async def test_429_only_if_every_candidate_was_rate_limited() -> None:
    async with Upstream() as first, Upstream() as second:
        config, clock = house(first.url, second.url, "list", routing={"rateLimitRetries": 0}), FakeClock()
        async with Gateway(config, clock=clock) as gw:
            client = await gw.client()
            first.queue(said(429, Retry_After="9"))
            second.queue(said(429, Retry_After="4"))
            answer = await fetch(client, asking("plain", "list"))
            assert (answer.status, answer.header("retry-after")) == (429, "4")
            clock.advance(5)
            second.queue(said(500), said(500))
            answer = await fetch(client, asking("plain", "list"))
            assert (answer.status, len(first.requests), len(second.requests)) == (502, 1, 3)


async def test_one_deadline_is_over_all_attempts() -> None:
    async with Upstream() as first, Upstream() as second:
        first.on(lambda request: [Reset()])
        second.on(lambda request: [Stall()])
        routing = {"deadlineSecs": 0.5, "rateLimitRetries": 0}
        async with Gateway(house(first.url, second.url, "fallback", routing=routing)) as gw:
            answer = await fetch(await gw.client(), CALL)
            assert (answer.status, len(first.requests), len(second.requests)) == (504, 1, 1)
            assert answer.json["error"]["code"] == "timeout_deadline"
            await at_rest(gw)


async def test_after_the_deadline_nobody_else_is_asked() -> None:
    async with Upstream() as first, Upstream() as second:
        first.on(lambda request: [Stall()])
        async with Gateway(house(first.url, second.url, "equal", routing={"deadlineSecs": 0.05})) as gw:
            answer = await fetch(await gw.client(), CALL)
            assert (answer.status, second.requests) == (504, [])
            await at_rest(gw)


async def test_after_a_context_error_larger_and_unknown_contexts_are_tried_and_never_a_known_smaller_one() -> None:
    async with Upstream() as up:
        up.queue(CONTEXT, CONTEXT, good("plain"))
        sizes = {"small": 1000, "smaller": 500, "same": 1000, "unknown": 0, "larger": 2000, "largest": 9000}
        config = {
            "providers": {"up": {"baseUrl": up.url}},
            "models": [{"name": name, "provider": "up", "contextSize": size} for name, size in sizes.items()],
        }
        async with Gateway(config) as gw:
            answer = await fetch(await gw.client(), {"model": list(sizes), "messages": HI})
            assert [request.json["model"] for request in up] == ["small", "unknown", "larger"]
            assert answer.json["_router"]["model_name"] == "larger"


async def test_a_fallback_of_unknown_context_is_tried_after_a_context_error() -> None:
    async with Upstream() as up:
        up.queue(CONTEXT, good("plain"))
        config = {
            "providers": {"up": {"baseUrl": up.url}},
            "models": [{"name": "m", "provider": "up", "contextSize": 1000}],
            "routing": {"fallback": {"provider": "up", "model": "last"}},
        }
        async with Gateway(config) as gw:
            answer = await fetch(await gw.client(), CALL)
            assert (answer.status, answer.header("x-router-fallback-used")) == (200, "true")
            assert [request.json["model"] for request in up] == ["m", "last"]


async def test_a_context_error_of_a_deployment_of_unknown_context_rules_nobody_out() -> None:
    async with Upstream() as up:
        up.queue(CONTEXT, good("plain"))
        sizes = {"unknown": 0, "small": 500}
        config = {
            "providers": {"up": {"baseUrl": up.url}},
            "models": [{"name": name, "provider": "up", "contextSize": size} for name, size in sizes.items()],
        }
        async with Gateway(config) as gw:
            answer = await fetch(await gw.client(), {"model": list(sizes), "messages": HI})
            assert (answer.status, answer.json["_router"]["model_name"]) == (200, "small")


async def test_a_context_that_nobody_has_is_told_in_the_providers_words() -> None:
    async with Upstream() as up:
        up.on(lambda request: CONTEXT)
        config = house(up.url, up.url, "list")
        async with Gateway(config) as gw:
            answer = await fetch(await gw.client(), asking("plain", "list"))
            assert (answer.status, len(up.requests)) == (400, 2)
            assert answer.json == error_json(
                "This model's maximum context length is 1000 tokens.", code="context_length_exceeded"
            )


@pytest.mark.parametrize("method", ["DELETE", "POST"])
async def test_what_passes_untouched_is_never_sent_twice_even_without_a_body(method: str) -> None:
    async with Upstream() as up:
        config = {
            "providers": {"up": {"baseUrl": up.url, "passthrough": [f"{method} /files"]}},
            "models": [{"name": "m", "provider": "up"}],
            "routing": {"retryDelay": 1},
        }
        async with Gateway(config, clock=FakeClock()) as gw:
            up.on(lambda request: [Reset()])
            client = await gw.client()
            await client.request(method, "/proxy/up/files/1")
            assert (await client.read_answer()).status == 502
            assert len(up.requests) == 1
