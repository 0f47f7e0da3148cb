"""What a call is accounted to: labels and runs in its headers, through the real gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from proxy.auth.apikey import new_key
from tests.support.answers import completion, json_answer
from tests.support.client import Answer
from tests.support.gateway import Gateway, one_provider
from tests.support.upstream import Upstream

CHAT = "/v1/chat/completions"
CALL: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as upstream:
        upstream.on(lambda request: json_answer(completion("Hello")))
        yield upstream


async def ask(gw: Gateway, *headers: tuple[str, str], path: str = CHAT) -> Answer:
    return await (await gw.client()).fetch("POST", path, json=CALL | {"max_tokens": 9}, headers=headers)


async def test_labels_and_run_of_a_call_are_logged_and_not_sent_to_the_provider(up: Upstream) -> None:
    async with Gateway(one_provider(up)) as gw:
        answer = await ask(gw, ("X-Router-Labels", "ticket=ABC-1, team=web"), ("x-router-run", "nightly"))
        line = await gw.settled()
    assert answer.status == 200
    assert (line["labels"], line["run"]) == ({"team": "web", "ticket": "ABC-1"}, "nightly")
    assert not [name for name, _ in up.requests[0].headers if name.lower().startswith("x-router-")]


@pytest.mark.parametrize("name", ["x-claude-code-session-id", "session-id", "session_id"])
async def test_an_agents_session_is_the_run(up: Upstream, name: str) -> None:
    async with Gateway(one_provider(up)) as gw:
        assert (await ask(gw, (name, "0b9c"))).status == 200
        assert (await gw.settled())["run"] == "0b9c"


async def test_a_call_without_such_headers_has_neither(up: Upstream) -> None:
    async with Gateway(one_provider(up)) as gw:
        assert (await ask(gw)).status == 200
        assert not {"labels", "run", "owner", "team", "project"} & set(await gw.settled())


@pytest.mark.parametrize(("path", "kind"), [(CHAT, None), ("/v1/messages", "error")])
async def test_malformed_labels_are_refused_in_the_clients_dialect(up: Upstream, path: str, kind: str | None) -> None:
    async with Gateway(one_provider(up)) as gw:
        answer = await ask(gw, ("x-router-labels", "team"), ("x-router-run", "r"), path=path)
        line = await gw.settled()
    assert (answer.status, answer.json.get("type")) == (400, kind)
    assert "'x-router-labels' must be a list" in answer.json["error"]["message"]
    assert up.requests == []
    assert line["run"] == "r"


@pytest.mark.parametrize(("path", "kind"), [(CHAT, None), ("/v1/messages", "error")])
async def test_a_malformed_budget_is_refused_in_the_clients_dialect(up: Upstream, path: str, kind: str | None) -> None:
    async with Gateway(one_provider(up)) as gw:
        answer = await ask(gw, ("x-router-budget-usd", "lots"), ("x-router-run", "r"), path=path)
        alone = await ask(gw, ("X-Router-Budget-Usd", "1"), path=path)
    assert (answer.status, answer.json.get("type")) == (400, kind)
    assert "'x-router-budget-usd' must be an amount in USD" in answer.json["error"]["message"]
    assert (alone.status, up.requests) == (400, [])
    assert "the request names none" in alone.json["error"]["message"]


async def test_the_budget_of_a_run_is_not_sent_to_the_provider(up: Upstream) -> None:
    priced = [{"name": "m", "provider": "up", "prices": {"input": 1, "output": 1}}]
    async with Gateway(one_provider(up, models=priced)) as gw:
        assert (await ask(gw, ("x-router-budget-usd", "0.50"), ("session-id", "s"))).status == 200
    assert not [name for name, _ in up.requests[0].headers if name.lower().startswith("x-router-")]


async def test_what_a_key_says_cannot_be_forged(up: Upstream) -> None:
    secret, hash_ = new_key()
    entry = {"name": "a", "hash": hash_, "owner": "ann", "team": "web", "project": "shop", "labels": {"cost": "42"}}
    async with Gateway(one_provider(up, auth={"mode": "keys", "keys": [entry]}, database={"enabled": False})) as gw:
        headers = (("Authorization", f"Bearer {secret}"), ("x-router-labels", "cost=1, ticket=7"))
        assert (await ask(gw, *headers)).status == 200
        line = await gw.settled()
    assert (line["owner"], line["team"], line["project"]) == ("ann", "web", "shop")
    assert line["labels"] == {"cost": "42", "ticket": "7"}


async def test_a_client_without_credential_is_refused_for_that(up: Upstream) -> None:
    auth = {"mode": "keys", "keys": [{"name": "a", "hash": "sha256:" + "0" * 64}]}
    async with Gateway(one_provider(up, auth=auth, database={"enabled": False})) as gw:
        assert (await ask(gw, ("x-router-labels", "team"))).status == 401
