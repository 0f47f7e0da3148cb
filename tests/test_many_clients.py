"""Two hundred clients at once against providers that fail at random: each gets a complete response or an error,
some leave before, and nothing is left behind: no count, no probe's slot, no connection, no byte."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.support import (
    Chunk,
    Close,
    Headers,
    LastChunk,
    RawClient,
    Reset,
    Stall,
    Upstream,
    chat_events,
    completion,
    error_json,
    json_answer,
    sse,
    sse_answer,
    until,
)
from tests.support.answers import SSE_HEADERS
from tests.support.gateway import Gateway
from tests.support.lives import at_rest
from tests.support.steps import Script
from tests.support.upstream import Request

CLIENTS, TURNS = 200, 2
PATIENT = {"connect": 5, "headers": 0.5, "firstContent": 0.5, "idle": 0.5, "total": 2}
JSON_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n\r\n"
ERROR = error_json("Overloaded", kind="overloaded_error")


def words(number: str) -> list[str]:
    """The response to this prompt, with a checksum at its end."""
    text = f"The answer to {number} is long."
    return [*text, " #", hashlib.sha256(text.encode()).hexdigest()]


def whole(number: str) -> str:
    return "".join(words(number))


def prompt_of(request: Request) -> str:
    return str(request.json["messages"][0]["content"])


def good(request: Request) -> Script:
    text = words(prompt_of(request))
    if request.json["stream"]:
        return sse_answer(*chat_events(*text))
    return json_answer(completion("".join(text)))


def begun(request: Request) -> list[Any]:
    """Half of a stream: three words of it."""
    return [
        Headers(200, SSE_HEADERS),
        *map(Chunk, chat_events(*words(prompt_of(request))[:3], finish=None, done=False)),
    ]


def both(plain: Callable[[Request], Any], stream: Callable[[Request], Any]) -> Callable[[Request], Script]:
    return lambda request: [*(stream if request.json["stream"] else plain)(request)]


ROLE = Chunk(chat_events()[0])
FAULTS: dict[str, Callable[[Request], Script]] = {
    "500": lambda request: json_answer(error_json(), 500),
    "503": lambda request: json_answer(error_json(), 503, [("Retry-After", "0")]),
    "429": lambda request: json_answer(error_json(), 429, [("Retry-After", "0")]),
    "429 without a time": lambda request: json_answer(error_json(), 429),
    "400": lambda request: json_answer(error_json("No.", code="wrong"), 400),
    "404": lambda request: json_answer(error_json("No such thing."), 404),
    "too long": lambda request: json_answer(error_json("Too long.", code="context_length_exceeded"), 400),
    "reset": lambda request: [Reset()],
    "closed": lambda request: [Close()],
    "no HTTP": lambda request: [b"220 mail.example ESMTP\r\n\r\n", Close()],
    "silent": lambda request: [Stall()],
    "stalled": both(lambda r: [JSON_HEAD, b'{"id"', Stall()], lambda r: [Headers(200, SSE_HEADERS), ROLE, Stall()]),
    "cut": both(lambda r: [JSON_HEAD, b'{"id"', Close()], lambda r: [Headers(200, SSE_HEADERS), ROLE, Close()]),
    "empty": both(lambda r: [JSON_HEAD.replace(b"9999", b"0")], lambda r: sse_answer(sse("[DONE]"))),
    "an error in a 200": both(lambda r: json_answer(ERROR), lambda r: sse_answer(sse(ERROR))),
    "cut later": both(lambda r: [JSON_HEAD, b'{"id"', Reset()], lambda r: [*begun(r), Close()]),
    "reset later": both(lambda r: [JSON_HEAD, b'{"id"', Reset()], lambda r: [*begun(r), Reset()]),
    "ended too soon": both(lambda r: json_answer({"error": "no"}), lambda r: [*begun(r), LastChunk()]),
    "an error later": both(lambda r: json_answer(ERROR), lambda r: [*begun(r), Chunk(sse(ERROR)), LastChunk()]),
    "stalled later": both(lambda r: [JSON_HEAD, b'{"id"', Stall()], lambda r: [*begun(r), Stall()]),
}


class Faulty:
    """Answers well, or in one of the ways above; ``played`` tells how often in which."""

    def __init__(self, upstream: Upstream, seed: int, rate: float) -> None:
        self.upstream = upstream
        self.played: Counter[str] = Counter()
        self._dice = random.Random(seed)
        self._rate = rate
        upstream.on(self._answer)

    def _answer(self, request: Request) -> Script:
        if self._dice.random() >= self._rate:
            self.played["good"] += 1
            return good(request)
        name = self._dice.choice(list(FAULTS))
        self.played[name] += 1
        return FAULTS[name](request)


def judge_plain(status: int, body: bytes, number: str) -> str:
    answer = json.loads(body)
    if status == 200:
        assert answer["choices"][0]["message"]["content"] == whole(number)
        assert answer["_router"]["attempts"] >= 1
        return "whole"
    assert status >= 400
    assert answer["error"]["message"]
    return "error"


def judge_stream(body: bytes, number: str) -> str:
    data = [line[6:] for line in body.decode().split("\n") if line.startswith("data: ")]
    events = [json.loads(each) for each in data if each != "[DONE]"]
    if any("error" in event for event in events):
        assert "[DONE]" not in data[:-1]
        assert not any(choice["finish_reason"] for event in events for choice in event.get("choices", []))
        return "error"
    text = "".join(choice["delta"].get("content", "") for event in events for choice in event["choices"])
    assert (text, data[-1]) == (whole(number), "[DONE]")
    return "whole"


async def one_client(gw: Gateway, number: int, found: Counter[str]) -> None:
    dice = random.Random(number)
    client = await gw.client()
    for turn in range(TURNS):
        name, stream = f"{number}.{turn}", dice.random() < 0.5
        model = dice.choice(["m", ["m", "auto"], "auto", "one/m", ["two/m", "one/m"]])
        call = {"model": model, "messages": [{"role": "user", "content": name}], "stream": stream}
        await client.request("POST", "/v1/chat/completions", json=call)
        if dice.random() < 0.1:
            await asyncio.sleep(dice.random() * 0.1)
            client.close()
            found["left"] += 1
            client = await gw.client()
            continue
        found[await outcome(client, name)] += 1


async def outcome(client: RawClient, name: str) -> str:
    answer = await client.read_answer()
    if answer.status == 200 and (answer.header("content-type") or "").startswith("text/event-stream"):
        return judge_stream(answer.body, name)
    return judge_plain(answer.status, answer.body, name)


ROUTINGS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "held": {"streamRecovery": "hold"},
    "continued": {"streamRecovery": "continue"},
    "hedged": {"hedgeAfterMs": 20},
    "hedged, with a deadline": {"hedgeAfterMs": 20, "deadlineSecs": 1.0},
    "no retries": {"maxRetries": 0, "rateLimitRetries": 0},
}


@pytest.mark.parametrize(
    ("name", "spare"),
    [*((name, True) for name in ROUTINGS), ("defaults", False), ("held", False), ("hedged", False)],
)
async def test_every_client_gets_a_complete_response_or_an_error_and_nothing_leaks(name: str, spare: bool) -> None:
    async with Upstream() as one, Upstream() as two, Upstream() as healthy:
        faulty = Faulty(one, 1, 0.5), Faulty(two, 2, 0.4)
        healthy.on(good)
        config: dict[str, Any] = {
            "providers": {
                "one": {"baseUrl": one.url, "apiKeys": ["key-1", "key-2"]},
                "two": {"baseUrl": two.url},
                "healthy": {"baseUrl": healthy.url},
            },
            "models": [
                {"name": "m", "provider": "one", "prefill": False},
                {"name": "m", "provider": "two", "maxConcurrent": 20},
                {"name": "spare", "provider": "healthy", "available": spare},
            ],
            "routing": {"retryDelay": 2} | ROUTINGS[name],
            "circuitBreaker": {"failureThreshold": 3, "cooldownPeriodSecs": 0.05, "successThreshold": 2},
            "timeouts": PATIENT,
            "server": {"pingAfter": 0.1},
        }
        if spare:
            config["routing"]["fallback"] = {"provider": "healthy", "model": "spare"}
        async with Gateway(config, chance=random.Random(9)) as gw:
            found: Counter[str] = Counter()
            await asyncio.gather(*(one_client(gw, number, found) for number in range(CLIENTS)))
            assert sum(found.values()) == CLIENTS * TURNS
            # Without a spare a busy machine may exceed the timeouts of half a second.
            assert found["whole"] > (CLIENTS * TURNS / 8 if spare else 0)
            await at_rest(gw)
            # A line per request, unless the client disconnected before the gateway read it.
            total = CLIENTS * TURNS
            await until(lambda: len(gw.exchanges) >= total - found["left"], "a line for every request")
            assert len(gw.exchanges) <= total
            # Each attempt is one upstream request, except canceled attempts, which may have sent none.
            seen = sum(len(upstream.requests) for upstream in (one, two, healthy))
            tried = sum(line["attempts"] for line in gw.exchanges)
            twice = gw.app.metrics.possible_double_executions
            assert seen - twice <= tried
            if not found["left"] and "hedged" not in name:
                assert seen - twice == tried
            outcomes = Counter(line["outcome"] for line in gw.exchanges)
            assert outcomes["ok"] >= found["whole"]
            assert outcomes["client_gone"] <= found["left"]
            assert not any("failed inside the gateway" in line for line in gw.log_lines)
            assert sum((each.played for each in faulty), Counter()).keys() >= {"good", "500"}
