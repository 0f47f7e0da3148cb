"""A provider whose answer depends on all that it gets: an answer from the cache is the one that it would give now."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from random import Random
from typing import Any

import pytest

from proxy.cache.base import ALL
from tests.cache.flows import CHAT, ask, cached, state
from tests.cache.test_sharing import owned
from tests.support import (
    Answer,
    Chunk,
    Close,
    Headers,
    RawClient,
    Request,
    Upstream,
    chat_events,
    completion,
    error_json,
    json_answer,
    sse_answer,
    until,
)
from tests.support.answers import SSE_HEADERS
from tests.support.gateway import Gateway

# They differ from request to request, and have no say in the answer.
OWN = {"x-request-id", "traceparent", "content-length", "host", "authorization", "user-agent", "idempotency-key"}
EMBEDDINGS = "/v1/embeddings"
MODELS = [
    {"name": "m", "provider": "up", "model": "large", "tags": ["large"]},
    {"name": "n", "provider": "up", "model": "small", "tags": ["small"]},
]
ABSENT: Any = object()
MEMBERS: dict[str, list[Any]] = {
    "model": ["m", "n", "best", ["n", "m"], ["m"]],
    "temperature": [ABSENT, 0, 0.5, 1],
    "user": [ABSENT, "ann", "bob"],
    "seed": [ABSENT, 1, 2],
    "metadata": [ABSENT, {"a": "1"}],
    "tags": [ABSENT, [], ["small"]],
    "stream": [ABSENT, False, True],
    "max_tokens": [5, 6],
}
HEADERS: dict[str, list[str]] = {
    "Accept": ["*/*", "application/json", "application/x-ndjson"],
    "Accept-Language": ["*", "de", "fr"],
    "Content-Language": ["de"],
    "anthropic-beta": ["a", "b"],
    "anthropic-version": ["2023-06-01", "2024-01-01"],
    "OpenAI-Beta": ["c"],
    "X-Custom": ["1", "2"],
    "x-router-tags": ["small", "large"],
    "x-router-metadata": ["true"],
    "User-Agent": ["u", "v"],
    "x-stainless-retry-count": ["0", "1"],
    "Idempotency-Key": ["i", "j"],
    "traceparent": [f"00-{n:032x}-{n:016x}-01" for n in (1, 2)],
}
MESSAGES = [[{"role": "user", "content": text}] for text in ("Hi", "Ho")]
QUERIES = ["", "", "?a=1", "?a=2", "?key=secret"]


# As good as no line: see ``proxy/cache/key.py``.
USUAL = {("accept", "*/*"), ("accept", "application/json"), ("accept-language", "*")}


def echo(request: Request) -> list[Any]:
    lines = sorted(
        (name.lower(), value)
        for name, value in request.headers
        if name.lower() not in OWN
        and not name.lower().startswith("x-stainless-")
        and (name.lower(), value) not in USUAL
    )
    body = json.loads(request.body)
    text = hashlib.sha256(json.dumps([request.target, lines, body], sort_keys=True).encode()).hexdigest()
    streams = body.get("stream") is True
    return sse_answer(*chat_events(text)) if streams else json_answer(completion(text))


Asked = tuple[str, str, dict[str, Any], dict[str, str], int]  # path, query, body, headers, number of the key


def request_of(random: Random) -> Asked:
    body = {"model": "m", "max_tokens": 5, "messages": random.choice(MESSAGES)}
    return random.choice([CHAT, CHAT, "/v1/messages"]), random.choice(QUERIES), body, {}, random.randrange(3)


def changed(random: Random, asked: Asked) -> Asked:
    """The request with something else, which may count or not."""
    path, query, body, headers, key = asked
    match random.randrange(8):
        case 0 | 1 | 2:
            name = random.choice(sorted(MEMBERS))
            value = random.choice(MEMBERS[name])
            rest = {each: found for each, found in body.items() if each != name}
            body = rest if value is ABSENT and name != "model" else rest | {name: value}
        case 3 | 4 | 5:
            name = random.choice(sorted(HEADERS))
            headers = {**headers, name: random.choice(HEADERS[name])}
        case 6:
            query = random.choice(QUERIES)
        case _:
            key, body = random.randrange(3), dict(reversed(body.items()))
    return path, query, body, headers, key


async def sent(client: RawClient, asked: Asked, *lines: tuple[str, str]) -> Answer:
    path, query, body, headers, key = asked
    return await ask(client, body, *headers.items(), ("Authorization", f"Bearer key-{key}"), *lines, path=path + query)


def shown(body: bytes) -> Any:
    """What the provider said. A translated answer has an id of the gateway."""
    body = re.sub(rb'"id":"msg_[0-9a-f]+"', b'"id":""', body)
    if body.startswith(b"{"):
        return {name: value for name, value in json.loads(body).items() if name not in ("_router", "created")}
    return [block for block in body.split(b"\n\n") if not block.startswith(b":")]


@pytest.mark.parametrize("seed", range(3))
async def test_a_hit_is_what_the_provider_would_answer(seed: int) -> None:
    random, auth = Random(seed), owned("ann", "ann", "bob")
    auth["keys"][1]["models"] = ["n"]
    provider = {"forwardHeaders": ["X-Custom"]}
    sections = {"models": MODELS, "auth": auth, "aliases": {"best": "n"}}
    async with Upstream() as up, Gateway(cached(up, provider=provider, **sections)) as gw:
        up.on(echo)
        client = await gw.client()
        states = []
        for _ in range(60):
            asked = request_of(random)
            for _ in range(6):
                answer = await sent(client, asked)
                direct = await sent(client, asked, ("x-router-cache", "off"))
                assert answer.status == direct.status, asked
                if answer.status == 200:
                    assert shown(answer.body) == shown(direct.body), asked
                states.append(state(answer))
                asked = changed(random, asked)
        assert states.count("hit") > 100


def embedded(request: Request) -> list[Any]:
    """Vectors that depend on everything but the other inputs."""
    body = json.loads(request.body)
    given = body.pop("input")
    inputs = given if isinstance(given, list) and not isinstance(given[0], int) else [given]
    texts = [hashlib.sha256(json.dumps([each, body], sort_keys=True).encode()).hexdigest() for each in inputs]
    data = [{"object": "embedding", "index": number, "embedding": [text]} for number, text in enumerate(texts)]
    usage = {"prompt_tokens": len(inputs), "total_tokens": len(inputs)}
    return json_answer({"object": "list", "data": data[::-1], "model": body["model"], "usage": usage})


def embeddings_of(random: Random) -> dict[str, Any]:
    texts: list[Any] = ["a", "b", "c", "d e", "\u00e9", [1, 2], [3]]
    chosen = random.choices(texts, k=random.randrange(1, 7))
    given = random.choice([chosen, chosen, chosen, chosen[0]])
    if isinstance(given, list) and not isinstance(given[0], int) and len({type(each) for each in given}) > 1:
        given = [each for each in given if isinstance(each, str)]
    body = {"model": random.choice(["m", "m", "best"]), "input": given}
    body |= random.choice([{}, {}, {"dimensions": 2}, {"encoding_format": "base64"}, {"user": "ann"}])
    return body


@pytest.mark.parametrize("seed", range(3))
async def test_vectors_from_the_cache_are_what_the_provider_would_answer(seed: int) -> None:
    random = Random(seed)
    models = [{"name": "m", "provider": "up", "model": "large", "type": "embedding"}]
    async with Upstream() as up, Gateway(cached(up, models=models, aliases={"best": "m"})) as gw:
        up.on(embedded)
        clients, direct = [await gw.client() for _ in range(4)], await gw.client()
        for _ in range(40):
            bodies = [embeddings_of(random) for _ in clients]
            asking = [ask(client, body, path=EMBEDDINGS) for client, body in zip(clients, bodies, strict=True)]
            for body, answer in zip(bodies, await asyncio.gather(*asking), strict=True):
                expected = await ask(direct, body, ("x-router-cache", "off"), path=EMBEDDINGS)
                assert (answer.status, expected.status) == (200, 200)
                vectors = {each["index"]: each["embedding"] for each in answer.json["data"]}
                assert vectors == {each["index"]: each["embedding"] for each in expected.json["data"]}, body
                assert answer.json["model"] == expected.json["model"]
        counters = gw.app.cache.counters
        assert counters.hit > 20
        assert not gw.app.cache._batches._flights


@pytest.mark.parametrize("seed", range(3))
async def test_clients_that_leave_and_providers_that_fail_leave_nothing_behind(seed: int) -> None:
    random = Random(seed)
    events = chat_events("Hello", " world")

    def moody(request: Request) -> list[Any]:
        mood = random.randrange(5)
        if mood == 0:
            return json_answer(error_json("down"), 503)
        if json.loads(request.body).get("stream"):
            steps = [Headers(200, SSE_HEADERS), *map(Chunk, events[: random.randrange(1, len(events))])]
            return [*steps, Close()] if mood == 1 else sse_answer(*events)
        return [Close()] if mood == 1 else json_answer(completion("Hello"))

    async def one(gw: Gateway, seconds: float) -> None:
        client = await gw.client()
        body = {"model": "m", "messages": [], "seed": random.randrange(3), "stream": random.random() < 0.5}
        if random.random() < 0.3:  # it leaves at any time
            await client.request("POST", CHAT, json=body)
            await asyncio.sleep(seconds)
            client.close()
            return
        answer = await ask(client, body)
        assert answer.status in (200, 502, 503), answer
        assert state(answer) in ("hit", "miss")

    async with Upstream() as up, Gateway(cached(up)) as gw:
        up.on(moody)
        for _ in range(5):
            await asyncio.gather(*(one(gw, random.random() / 100) for _ in range(40)))
            await gw.app.cache.store.invalidate([ALL])
        await until(lambda: gw.app.serving.running == 0, "all requests to end")
        cache = gw.app.cache
        assert not cache._flights
        assert cache.keeper.recordings.used == 0
        counters = cache.counters
        assert counters.hit + counters.miss <= 200
