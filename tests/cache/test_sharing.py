"""Which requests share an answer through the whole gateway: keys of clients, hooks and headers."""

from __future__ import annotations

import hashlib
import json
import sys
import types
from typing import Any

import pytest

from proxy.dialects.call import Call
from proxy.exchange import Exchange
from proxy.wire.criteria import Criteria
from tests.cache.flows import CALL, CHAT, ask, cached, state, text
from tests.support import Request, Upstream, chat_events, completion, json_answer, sse_answer
from tests.support.gateway import Gateway

MODELS = [
    {"name": "m", "provider": "up", "model": "large", "tags": ["large"]},
    {"name": "n", "provider": "up", "model": "small", "tags": ["small"]},
]
GEMINI = "/v1beta/models/m:generateContent"
CONTENTS = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}


def echo(request: Request) -> list[Any]:
    """Answers with the model that was asked for."""
    return json_answer(completion(json.loads(request.body)["model"]))


def owned(*owners: str) -> dict[str, Any]:
    keys = [
        {"name": f"k{number}", "hash": f"sha256:{hashlib.sha256(b'key-%d' % number).hexdigest()}", "owner": owner}
        for number, owner in enumerate(owners)
    ]
    return {"mode": "keys", "keys": keys}


def renames(exchange: Exchange, call: Call) -> None:
    call.use_model("n")


def filters(exchange: Exchange, call: Call) -> None:
    call.use_model("auto")
    call.criteria = Criteria(tags=("small",))


@pytest.mark.parametrize("change", [renames, filters])
async def test_a_hook_that_changes_the_model_for_one_client_changes_the_key(
    change: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Tiers:
        async def on_request(self, exchange: Exchange, call: Call) -> Call:
            assert exchange.caller is not None
            if exchange.caller.name == "k1":
                change(exchange, call)
            return call

    module = types.ModuleType("hooks_of_the_cache")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    module.tiers = Tiers()  # type: ignore[attr-defined]
    hooks = [f"{module.__name__}:tiers"]
    async with Upstream() as up, Gateway(cached(up, hooks=hooks, models=MODELS, auth=owned("ann", "ann"))) as gw:
        up.on(echo)
        client = await gw.client()
        answers = [await ask(client, CALL, ("Authorization", f"Bearer key-{number}")) for number in (0, 1, 0, 1)]
        assert [(state(answer), text(answer)) for answer in answers] == [
            ("miss", "large"),
            ("miss", "small"),
            ("hit", "large"),
            ("hit", "small"),
        ]


async def test_a_credential_in_the_query_does_not_count() -> None:
    async with Upstream() as up, Gateway(cached(up, auth=owned("ann", "ann"))) as gw:
        up.on(lambda request: json_answer(completion("Hello")))
        client = await gw.client()
        one = await ask(client, CONTENTS, path=f"{GEMINI}?key=key-0")
        other = await ask(client, CONTENTS, path=f"{GEMINI}?key=key-1")
        assert (one.status, state(one), state(other)) == (200, "miss", "hit")
        assert state(await ask(client, CONTENTS, path=f"{GEMINI}?key=key-1&prettyPrint=false")) == "miss"


async def test_long_names_are_not_kept_in_tables() -> None:
    rules = [{"models": ["other"], "enabled": False}]
    async with Upstream() as up, Gateway(cached(up, {"rules": rules})) as gw:
        up.on(lambda request: json_answer(completion("Hello")))
        client = await gw.client()
        calls = [CALL | {"x" * 5000: 1}, CALL | {"model": ["m", "x" * 5000]}]
        states = [state(await ask(client, call)) for call in calls for _ in range(2)]
        states += [state(await ask(client, CALL, path=f"{CHAT}?a={'x' * 5000}")) for _ in range(2)]
        assert states == ["miss", "hit"] * 3
        compiled = gw.app.cache._compiled
        for table in (compiled._shapes, compiled.rules._known, gw.app.cache.keeper._facts):
            assert "x" * 5000 not in repr(list(table))


@pytest.mark.parametrize("query", ["", "?alt=sse"])
async def test_streams_of_google_are_replayed_in_the_form_that_the_query_asks_for(query: str) -> None:
    path = f"/v1beta/models/m:streamGenerateContent{query}"
    async with Upstream() as up, Gateway(cached(up)) as gw:
        up.on(lambda request: sse_answer(*chat_events("Hello", " world")))
        client = await gw.client()
        first, second = [await ask(client, CONTENTS, path=path) for _ in range(2)]
        assert (state(first), state(second)) == ("miss", "hit")
        assert first.body == second.body
        assert first.header("content-type") == second.header("content-type")
        assert b"world" in second.body
        other = f"/v1beta/models/m:streamGenerateContent{'' if query else '?alt=sse'}"
        assert state(await ask(client, CONTENTS, path=other)) == "miss"


def contents(answer: Any) -> str:
    return str(answer.json["candidates"][0]["content"]["parts"][0]["text"])


async def test_the_model_in_the_path_counts() -> None:
    async with Upstream() as up, Gateway(cached(up, models=MODELS)) as gw:
        up.on(echo)
        client = await gw.client()
        paths = [f"/v1beta/models/{name}:generateContent" for name in "mnmn"]
        answers = [await ask(client, CONTENTS, path=path) for path in paths]
        assert [(state(answer), contents(answer)) for answer in answers] == [
            ("miss", "large"),
            ("miss", "small"),
            ("hit", "large"),
            ("hit", "small"),
        ]


async def test_the_path_counts() -> None:
    """A body that two APIs understand has an answer in the form of each."""
    call = CALL | {"max_tokens": 100}
    async with Upstream() as up, Gateway(cached(up)) as gw:
        up.on(echo)
        client = await gw.client()
        chat, message = await ask(client, call), await ask(client, call, path="/v1/messages")
        assert (state(chat), state(message)) == ("miss", "miss")
        assert (text(chat), message.json["content"][0]["text"]) == ("up-model", "up-model")


async def test_the_provider_in_the_path_counts() -> None:
    async with Upstream() as one, Upstream() as two:
        providers = {name: {"baseUrl": up.url, "apiKey": "secret-key"} for name, up in (("one", one), ("two", two))}
        models = [{"name": "m", "provider": name, "model": f"of-{name}"} for name in providers]
        one.on(echo)
        two.on(echo)
        async with Gateway(cached(one, providers=providers, models=models)) as gw:
            client = await gw.client()
            paths = [f"/proxy/{name}/chat/completions" for name in ("one", "two", "one", "two")]
            answers = [await ask(client, path=path) for path in paths]
            assert [(state(answer), text(answer)) for answer in answers] == [
                ("miss", "of-one"),
                ("miss", "of-two"),
                ("hit", "of-one"),
                ("hit", "of-two"),
            ]


async def test_the_models_that_a_key_may_use_count() -> None:
    """Keys of one owner share answers, but ``auto`` is not the same for each."""
    auth = owned("ann", "ann")
    for key, name in zip(auth["keys"], "mn", strict=True):
        key["models"] = [name]
    async with Upstream() as up, Gateway(cached(up, models=MODELS, auth=auth)) as gw:
        up.on(echo)
        client = await gw.client()
        call = CALL | {"model": "auto"}
        answers = [await ask(client, call, ("Authorization", f"Bearer key-{number}")) for number in (0, 1, 0, 1)]
        assert [(state(answer), text(answer)) for answer in answers] == [
            ("miss", "large"),
            ("miss", "small"),
            ("hit", "large"),
            ("hit", "small"),
        ]
