"""``x-router-cache`` tells the truth in each case of the table in proxy/cache/README.md, in each dialect."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest

from proxy.cache.base import ALL
from proxy.dialects.call import Call
from proxy.exchange import Exchange
from proxy.hooks import HookReply
from tests.cache.flows import CALL, CHAT, STREAM, Clock, cached, reload, state
from tests.cache.flows import ask as asked
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
)
from tests.support.answers import SSE_HEADERS
from tests.support.gateway import Gateway

README = Path(__file__).resolve().parents[2] / "proxy/cache/README.md"
_, _, REST = README.read_text().partition("| case | `x-router-cache` |\n| --- | --- |\n")
TABLE = dict(re.findall(r"^\| (.+?) \| (\w*) ?\|$", REST.partition("\n\n")[0], re.MULTILINE))

Case = Callable[["Scene"], Awaitable[Answer]]
CASES: dict[str, Case] = {}


# What the client speaks. The provider speaks OpenAI's chat.
SPOKEN = ("chat", "chat stream", "messages stream", "responses", "gemini")
SPEAKS = ContextVar("SPEAKS", default="chat")
CHAT_ONLY = {"dialects": {"responses": {"enabled": False}}}
WITHOUT_CHOICES = ("messages stream", "responses")


def answer_to(request: Request, text: str = "Hello") -> list[Any]:
    streams = json.loads(request.body).get("stream") if request.body.startswith(b"{") else False
    return sse_answer(*chat_events(text)) if streams else json_answer(completion(text))


def is_plain_chat() -> bool:
    return SPEAKS.get() == "chat"


async def ask(client: RawClient, call: Any = CALL, *lines: tuple[str, str]) -> Answer:
    """Ask in the dialect that the client speaks."""
    dialect, _, stream = SPEAKS.get().partition(" ")
    call = call | {"stream": True} if stream else call
    path, body = {"messages": as_message, "responses": as_response, "gemini": as_contents}.get(dialect, as_chat)(call)
    return await asked(client, body, *lines, path=path)


def as_chat(call: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return CHAT, call


def as_message(call: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    tools = {"tools": [{"name": "f", "input_schema": {"type": "object"}}]} if "tools" in call else {}
    return "/v1/messages", call | {"max_tokens": 5} | tools


def as_response(call: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    body = {"input" if name == "messages" else name: value for name, value in call.items()}
    tools = {"tools": [{"type": "function", "name": "f", "parameters": {}}]} if "tools" in call else {}
    return "/v1/responses", body | {"store": False} | tools


def as_contents(call: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    method = "streamGenerateContent?alt=sse" if call.get("stream") else "generateContent"
    config = {"temperature": call.get("temperature", 0), "candidateCount": call.get("n", 1)}
    body: dict[str, Any] = {}
    for name in call:  # in its order
        if name == "messages":
            body["contents"] = [{"role": "user", "parts": [{"text": "Hi"}]}]
        elif name == "model":
            body["generationConfig"] = config
        elif name == "tools":
            body["tools"] = [{"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT"}}]}]
    return f"/v1beta/models/{call['model']}:{method}", body


class Scene:
    """A provider that answers, a gateway and its client."""

    def __init__(self, stack: AsyncExitStack, up: Upstream) -> None:
        self._stack = stack
        self.up = up
        self.clock: Clock
        self.gw: Gateway
        up.on(answer_to)

    async def start(self, settings: dict[str, Any] | None = None, **sections: Any) -> RawClient:
        self.gw = await self._stack.enter_async_context(
            Gateway(cached(self.up, settings, provider=CHAT_ONLY, **sections))
        )
        self.clock = Clock(self.gw)
        return await self.gw.client()

    def fail(self) -> None:
        self.up.on(lambda request: json_answer(error_json("down"), 503))


def logged(scene: Scene) -> dict[str | None, str]:
    """What the log says that the cache did, by the id of the request."""
    return {line["request_id"]: line.get("cache", "") for line in scene.gw.exchanges}


def case(name: str) -> Callable[[Case], Case]:
    def add(function: Case) -> Case:
        CASES[name] = function
        return function

    return add


@case("a request")
async def _(scene: Scene) -> Answer:
    return await ask(await scene.start())


@case("an equal request")
async def _(scene: Scene) -> Answer:
    client = await scene.start()
    await ask(client)
    return await ask(client)


@case("an equal request with its members in another order")
async def _(scene: Scene) -> Answer:
    client = await scene.start()
    await ask(client)
    return await ask(client, dict(reversed(CALL.items())))


@case("an equal request with another value")
async def _(scene: Scene) -> Answer:
    client = await scene.start()
    await ask(client)
    return await ask(client, CALL | {"temperature": 0.5})


@case("a stream")
async def _(scene: Scene) -> Answer:
    return await ask(await scene.start(), STREAM)


@case("an equal stream")
async def _(scene: Scene) -> Answer:
    client = await scene.start()
    await ask(client, STREAM)
    return await ask(client, STREAM)


@case("a plain request after an equal stream")
async def _(scene: Scene) -> Answer:
    client = await scene.start()
    await ask(client, STREAM)
    return await ask(client)


@case("an equal request while the first one is answered")
async def _(scene: Scene) -> Answer:
    client, other = await scene.start(), await scene.gw.client()
    first = asyncio.ensure_future(ask(client))
    second = await ask(other)
    answers = [await first, second]
    assert len(scene.up.requests) == 1
    return next(each for each in answers if state(each) != "miss")


@case("an equal request after `ttlSecs`")
async def _(scene: Scene) -> Answer:
    client = await scene.start({"ttlSecs": 60})
    await ask(client)
    scene.clock.seconds += 61
    return await ask(client)


async def after_ttl(scene: Scene, seconds: float) -> Answer:
    client = await scene.start({"ttlSecs": 60, "staleSecs": 60})
    first = await ask(client)
    scene.clock.seconds += seconds
    scene.fail()
    answer = await ask(client)
    if answer.status == 200:
        assert answer.header("Age") == str(int(seconds))
    if answer.status == 200 and is_plain_chat():
        assert answer.json["choices"] == first.json["choices"]
        assert answer.json["_router"]["cache"] == {"status": "stale", "age": int(seconds)}
        assert answer.json["_router"]["attempts"] == 1
    assert answer.status in (200, 502, 503)
    return answer


@case("an equal request after `ttlSecs`, within `staleSecs`, when no provider answers")
async def _(scene: Scene) -> Answer:
    return await after_ttl(scene, 61)


@case("an equal request after `staleSecs`, when no provider answers")
async def _(scene: Scene) -> Answer:
    return await after_ttl(scene, 121)


@case("an equal request after an error")
async def _(scene: Scene) -> Answer:
    client = await scene.start()
    scene.up.queue(json_answer(error_json("wrong"), 400))
    refused = await ask(client)
    assert (refused.status, state(refused)) == (400, "miss")
    return await ask(client)


@case("an equal request after a cut stream")
async def _(scene: Scene) -> Answer:
    client = await scene.start()
    scene.up.queue([Headers(200, SSE_HEADERS), *map(Chunk, chat_events("Hello", " world")[:2]), Close()])
    cut = await ask(client, STREAM)
    assert b"error" in cut.body
    return await ask(client, STREAM)


@case("an equal request after an answer of the fallback")
async def _(scene: Scene) -> Answer:
    other = await scene._stack.enter_async_context(Upstream())
    other.on(answer_to)
    client = await scene.start(
        routing={"maxRetries": 0, "rateLimitRetries": 0, "fallback": {"provider": "other", "model": "f"}},
        providers={
            "up": {"baseUrl": scene.up.url, "apiKey": "secret-key"} | CHAT_ONLY,
            "other": {"baseUrl": other.url, "apiKey": "secret-key"} | CHAT_ONLY,
        },
    )
    scene.up.queue(json_answer(error_json("down"), 503))
    assert (await ask(client)).header("x-router-fallback-used") == "true"
    return await ask(client)


@case("an equal request after its answer was invalidated")
async def _(scene: Scene) -> Answer:
    client = await scene.start()
    await ask(client)
    await scene.gw.app.cache.store.invalidate([ALL])
    return await ask(client)


@case("an equal request after a reload with other models")
async def _(scene: Scene) -> Answer:
    client = await scene.start()
    await ask(client)
    models = [{"name": "m", "provider": "up", "model": "other-model"}]
    reload(scene.gw, cached(scene.up, provider=CHAT_ONLY, models=models))
    return await ask(client)


def keys(*owners: str) -> dict[str, Any]:
    made = [
        {"name": f"k{number}", "hash": f"sha256:{hashlib.sha256(b'key-%d' % number).hexdigest()}", "owner": owner}
        for number, owner in enumerate(owners)
    ]
    return {"mode": "keys", "keys": made}


def bearer(number: int) -> tuple[str, str]:
    return "Authorization", f"Bearer key-{number}"


async def by_two_keys(scene: Scene, scope: str, *owners: str) -> Answer:
    client = await scene.start({"scope": scope}, auth=keys(*owners))
    assert state(await ask(client, CALL, bearer(0))) == "miss"
    return await ask(client, CALL, bearer(1))


@case("an equal request of another key of the owner")
async def _(scene: Scene) -> Answer:
    return await by_two_keys(scene, "owner", "ann", "ann")


@case("an equal request of another owner")
async def _(scene: Scene) -> Answer:
    return await by_two_keys(scene, "owner", "ann", "bob")


@case("an equal request of another key of the owner, with the scope `key`")
async def _(scene: Scene) -> Answer:
    return await by_two_keys(scene, "key", "ann", "ann")


@case("an equal request of another owner, with the scope `shared`")
async def _(scene: Scene) -> Answer:
    return await by_two_keys(scene, "shared", "ann", "bob")


def with_header(name: str, value: str, *, first: bool = True, age: float = 0.0, status: int = 200) -> Case:
    """A request with this header: after an equal one that came ``age`` seconds before, or alone."""

    async def run(scene: Scene) -> Answer:
        client = await scene.start()
        if first:
            await ask(client)
            scene.clock.seconds += age
        answer = await ask(client, CALL, (name, value))
        assert answer.status == status
        if status == 504:
            assert answer.header("x-should-retry") == "false"
        return answer

    return run


CASES["`x-router-cache: off`"] = with_header("x-router-cache", "off")
CASES["`x-router-cache: refresh`"] = with_header("x-router-cache", "refresh")
CASES["`x-router-cache: only`, with an answer"] = with_header("x-router-cache", "only")
CASES["`x-router-cache: only`, without an answer"] = with_header("x-router-cache", "only", first=False, status=504)
CASES["`Cache-Control: no-cache`"] = with_header("Cache-Control", "no-cache")
CASES["`Cache-Control: no-store`"] = with_header("Cache-Control", "no-store")
CASES["`Cache-Control: max-age`, with a younger answer"] = with_header("Cache-Control", "max-age=60", age=59)
CASES["`Cache-Control: max-age`, with an older answer"] = with_header("Cache-Control", "max-age=60", age=61)
CASES["`Cache-Control: only-if-cached`, without an answer"] = with_header(
    "Cache-Control", "only-if-cached", first=False, status=504
)


@case("an equal request after `x-router-cache: refresh`")
async def _(scene: Scene) -> Answer:
    client = await scene.start()
    await ask(client)
    scene.up.on(lambda request: answer_to(request, "Newer"))
    await ask(client, CALL, ("x-router-cache", "refresh"))
    answer = await ask(client)
    assert b"Newer" in answer.body
    return answer


def twice(call: dict[str, Any], settings: dict[str, Any] | None = None) -> Case:
    async def run(scene: Scene) -> Answer:
        client = await scene.start(settings)
        await ask(client, call)
        return await ask(client, call)

    return run


CASES["a temperature above `maxTemperature`"] = twice(CALL | {"temperature": 1.5})
CASES["several choices"] = twice(CALL | {"n": 2})
CASES["an equal request for several choices, which `allow` has"] = twice(CALL | {"n": 2}, {"allow": ["choices"]})
CASES["tools"] = twice(CALL | {"tools": [{"type": "function", "function": {"name": "f"}}]})
CASES["a request that a rule excludes"] = twice(CALL, {"rules": [{"models": ["m"], "enabled": False}]})


@case("a form")
async def _(scene: Scene) -> Answer:
    client = await scene.start()
    scene.up.queue(json_answer({"text": "Hello"}))
    form = b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n--x--\r\n'
    return await client.fetch(
        "POST", "/v1/audio/transcriptions", body=form, headers=[("Content-Type", "multipart/form-data; boundary=x")]
    )


@case("a model that does not exist")
async def _(scene: Scene) -> Answer:
    answer = await ask(await scene.start(), CALL | {"model": "none"})
    assert answer.status == 404
    return answer


@case("a credential that is not valid")
async def _(scene: Scene) -> Answer:
    answer = await ask(await scene.start(auth=keys("ann")), CALL, bearer(7))
    assert answer.status == 401
    return answer


@case("a request that a limit refuses")
async def _(scene: Scene) -> Answer:
    client = await scene.start(rateLimiting={"enabled": True, "perClient": {"requestsPerHour": 1}})
    await ask(client)
    answer = await ask(client)
    assert answer.status == 429
    return answer


@case("a wrong `x-router-cache`")
async def _(scene: Scene) -> Answer:
    answer = await ask(await scene.start(), CALL, ("x-router-cache", "yes"))
    assert answer.status == 400
    return answer


@case("a list of models")
async def _(scene: Scene) -> Answer:
    answer = await (await scene.start()).fetch("GET", "/v1/models")
    assert answer.status == 200
    return answer


@case("an answer of a hook")
async def _(scene: Scene) -> Answer:
    client = await scene.start()

    async def refuse(exchange: Exchange, call: Call) -> HookReply:
        return HookReply(b"{}", 403)

    scene.gw.app.gateway._on_request = refuse
    answer = await ask(client)
    assert answer.status == 403
    return answer


@case("a request while the cache is off")
async def _(scene: Scene) -> Answer:
    client = await scene.start({"enabled": False})
    await ask(client)
    answer = await ask(client)
    assert answer.status == 200
    assert not is_plain_chat() or "cache" not in answer.json["_router"]
    return answer


def test_each_case_of_the_table_is_tried() -> None:
    assert sorted(CASES) == sorted(TABLE)


@pytest.mark.parametrize("dialect", SPOKEN)
@pytest.mark.parametrize("name", TABLE)
async def test_the_header_tells_the_truth(name: str, dialect: str) -> None:
    if "several choices" in name and dialect in WITHOUT_CHOICES:
        return  # there are none in this API
    if name == "a plain request after an equal stream" and dialect.endswith("stream"):
        return
    SPEAKS.set(dialect)
    async with AsyncExitStack() as stack:
        up = await stack.enter_async_context(Upstream())
        answer = await CASES[name](Scene(stack, up))
        assert (state(answer) or "") == TABLE[name]
