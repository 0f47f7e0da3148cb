"""Many calls at once through failures, retries, hedges, cut streams and clients that leave, with budgets on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.budgets.audit import books
from tests.support import Chunk, Close, Headers, LastChunk, Reset, until, within
from tests.support.answers import SSE_HEADERS, chat_events, completion, json_answer
from tests.support.gateway import Gateway
from tests.support.upstream import Request, Upstream
from tests.support.zones import noon_zone

CAP = 5
CALLS, AT_ONCE = 120, 20
TEMPLATE = 16  # tokens that a model may add to the text
MODELS = [
    {"name": name, "provider": provider, "prices": {"input": 1000, "output": 1000}}  # 0.001 USD a token
    for name in "ab"
    for provider in ("one", "other")
]
BUDGETS = [
    {"name": "all", "usd": CAP, "window": "total"},
    {"name": "runs", "per": "run", "usd": 2},
    {"name": "app", "per": "label:app", "usd": 3, "window": "day", "timezone": noon_zone()},
    {"name": "models", "per": "model", "usd": 4, "window": "week", "timezone": noon_zone()},
]
LIMITS: tuple[dict[str, Any], ...] = (
    {"max_tokens": 100},
    {"max_completion_tokens": "150"},
    {"max_tokens": 1.5e2},
    {"max_tokens": 40, "n": "3"},
    {},
)


class Provider:
    """Answers with anything, but never uses more than the call allows. ``look`` is called for each request."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.look: Callable[[], None] = lambda: None

    def __call__(self, request: Request) -> Iterator[Any]:
        self.look()
        random, usage = self.random, self._usage(request)
        kind = random.random()
        if kind < 0.15:
            yield from json_answer({"error": {"message": "broken"}}, status=random.choice([500, 503, 504]))
        elif kind < 0.2:
            yield Close()
        elif request.json.get("stream"):
            yield from self._stream(usage)
        else:
            yield from json_answer(completion("Hello") | {"usage": usage})

    def _usage(self, request: Request) -> dict[str, int]:
        body = request.json
        most = max((float(body[name]) for name in ("max_tokens", "max_completion_tokens") if name in body), default=900)
        output = int(most) * int(body.get("n", 1))
        # Not of the whole body: the gateway has added to it after it held what the client's own could cost.
        text = sum(len(each["content"]) for each in body["messages"])
        return {
            "prompt_tokens": self.random.randint(1, text + TEMPLATE),
            "completion_tokens": self.random.randint(output // 2, output),
        }

    def _stream(self, usage: dict[str, int]) -> Iterator[Any]:
        random = self.random
        yield Headers(200, SSE_HEADERS)
        events = chat_events(*["token"] * random.randint(1, 8), usage=usage)
        cut = random.randint(0, 3 * len(events))
        for number, event in enumerate(events):
            if number == cut:
                yield random.choice([Close(), Reset()])
                return
            yield Chunk(event)
        yield LastChunk()


async def call(gw: Gateway, random: Random, number: int) -> None:
    body = {"messages": [{"role": "user", "content": "h" * random.randint(1, 50)}], "stream": random.random() < 0.5}
    body |= {"model": random.choice(["a", "b", ["a", "b"]])} | random.choice(LIMITS)
    headers = [("x-router-labels", f"app=a{random.randint(0, 2)}, call={number}")]
    if random.random() < 0.5:
        headers.append(("x-router-run", f"r{random.randint(0, 3)}"))
        if random.random() < 0.3:
            headers.append(("x-router-budget-usd", random.choice(["0", "0.5", "1"])))
    client = await gw.client()
    if random.random() < 0.2:
        await client.request("POST", "/v1/chat/completions", json=body, headers=headers)
        client.close()
    else:
        assert (await client.fetch("POST", "/v1/chat/completions", json=body, headers=headers)).status in STATUSES
        client.close()


STATUSES = (200, 429, 500, 502, 503, 504)


@pytest.mark.parametrize(
    ("seed", "routing"),
    [
        (1, {}),
        (2, {"hedgeAfterMs": 1}),
        (3, {"streamRecovery": "continue"}),
        (4, {"streamRecovery": "hold", "hedgeAfterMs": 1}),
    ],
)
async def test_no_cap_is_passed_and_all_sums_agree(tmp_path: Path, seed: int, routing: dict[str, Any]) -> None:
    random = Random(seed)
    provider = Provider(random)
    url = f"sqlite:///{tmp_path}/ledger.db"
    async with Upstream() as one, Upstream() as other:
        one.on(provider)
        other.on(provider)
        settings = {
            "providers": {"one": {"baseUrl": one.url}, "other": {"baseUrl": other.url}},
            "models": MODELS,
            "budgets": BUDGETS,
            "routing": {"maxRetries": 2, "retryDelay": 0} | routing,
            "circuitBreaker": {"enabled": False},
            "dataDir": str(tmp_path),
            "ledger": {"enabled": True},
            "database": {"url": url},
        }
        async with Gateway(settings) as gw:
            book, passed = gw.app.limiter.book, set[str]()

            def look() -> None:
                for each in book:
                    if not 0 <= each.held <= each.used <= each.budget.cap:
                        passed.add(repr(each))

            provider.look = look
            for first in range(0, CALLS, AT_ONCE):
                numbers = range(first, first + AT_ONCE)
                await within(asyncio.gather(*(call(gw, random, number) for number in numbers)), "the calls")
            await until(lambda: not any(each.held for each in book), "all to be settled")
            look()
            assert passed == set()
            spent = {each.key: each.spent for each in book if each.spent}
            assert spent["all/total/"] > CAP * 10**9 // 2

            async def written() -> None:
                while {key: nano for key, nano in (await books(url)).counters.items() if nano} != spent:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)

            await within(written(), "the same sums in the ledger")
