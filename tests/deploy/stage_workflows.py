"""Workflows in n8n itself, which run the nodes of ``deploy/n8n`` against a gateway with the demo provider.

n8n is started for each command, and sees an installed package as a user has it. The first run installs n8n: 3 GB, and
five minutes.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from proxy.auth.apikey import digest_of, hash_from
from tests.n8n.app import COMMAND_SECS, CREDENTIALS, N8n, items
from tests.n8n.package import copy_package, run_script
from tests.n8n.workflows import (
    CHAT_MODEL,
    CHAT_PATH,
    SLUICE,
    agent,
    chain,
    chat_model,
    chat_tool,
    one,
    operations,
    several,
    streamed_chat,
)
from tests.support import Close, Headers, Stall, Upstream, error_json, json_answer, until
from tests.support.gateway import GatewayProcess

KEY = "sk-sluice-" + "c" * 40
CONFIG = {
    "demo": "auto",
    "auth": {"mode": "keys", "keys": [{"name": "n8n", "owner": "alice", "hash": hash_from(digest_of(KEY))}]},
    "billing": {"enabled": True, "defaultBalance": 25, "onUnpriced": "allow"},
    "ledger": {"enabled": True},
    "cache": {"enabled": True},
}
HELLO = {"messages": {"message": [{"role": "user", "content": "Hello"}]}}
FILTERS = {"filters": {"preferFast": True}}
ALL_FILTERS = {"minContextSize": 1000, "jsonResponse": True, "preferFast": True, "minSuccessRate": 0.5, "type": "chat"}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    package = copy_package(tmp_path_factory.mktemp("package"))
    status, output = run_script(package, "build")
    assert status == 0, output
    return package


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[GatewayProcess]:
    async with GatewayProcess(CONFIG | {"dataDir": str(tmp_path / "data")}) as gateway:
        yield gateway


@pytest.fixture
async def n8n(tmp_path: Path, built: Path) -> AsyncIterator[N8n]:
    async with Upstream() as outside:
        outside.on_head(lambda request: json_answer(error_json("No such address"), 403))
        (tmp_path / "n8n").mkdir()
        made = N8n(tmp_path / "n8n", outside.origin)
        made.install(built)
        yield made


async def exchanges(gateway: GatewayProcess, count: int) -> list[dict[str, Any]]:
    """What the gateway logged of that many requests of models."""

    def found() -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in gateway.lines if line.startswith("{")]
        return [line for line in lines if line["event"] == "exchange" and line.get("model")]

    await until(lambda: len(found()) >= count, f"{count} requests in {gateway.lines}")
    return found()


async def streamed(session: aiohttp.ClientSession, url: str, message: dict[str, str]) -> list[dict[str, Any]]:
    """The events that a webhook streams. It is 404 until n8n, which serves already, has registered it."""
    async with asyncio.timeout(COMMAND_SECS):
        while True:
            async with session.post(url, json=message) as answer:
                if answer.status != 404:
                    assert answer.status == 200, await answer.text()
                    return [json.loads(line) async for line in answer.content]
            await asyncio.sleep(0.2)


@asynccontextmanager
async def signed_in(n8n: N8n) -> AsyncIterator[aiohttp.ClientSession]:
    """n8n's editor with a session of its owner."""
    owner = {"email": "owner@example.org", "firstName": "Alice", "lastName": "Doe", "password": "Sluice-4-n8n"}
    jar = aiohttp.CookieJar(unsafe=True)  # cookies of an IP address
    async with n8n.serve() as url, aiohttp.ClientSession(url, cookie_jar=jar) as session:
        async with session.post("/rest/owner/setup", json=owner) as answer:
            assert answer.status == 200, await answer.text()
        yield session


async def started(session: aiohttp.ClientSession, workflow: str) -> str:
    """Run a workflow as the editor does. Returns the id of the execution."""
    path = f"/rest/workflows/{workflow}"
    async with session.get(path) as answer:
        stored = (await answer.json())["data"]
    run = {"workflowData": stored, "triggerToStartFrom": {"name": "Start"}}
    async with session.post(f"{path}/run", json=run, headers={"push-ref": "tests"}) as answer:
        return (await answer.json())["data"]["executionId"]


def hello_chat(model: str) -> dict[str, Any]:
    return operations("Chat", chat=HELLO | one(model))


def hello_chain(model: str) -> dict[str, Any]:
    return chain("Chain", "Hello", chat_model(**one(model)))


async def test_a_basic_llm_chain_gets_the_answer_of_the_first_model_that_can(n8n: N8n, gateway: GatewayProcess) -> None:
    options = {"temperature": 0.2, "maxTokens": 200, "run": "={{ $execution.id }}"}
    model = chat_model(**several("demo-500", "demo-instant"), **FILTERS, options=options)
    workflow = chain("Basic LLM Chain", "Tell me about rivers", model)
    await n8n.add(gateway.url, KEY, [workflow])
    result = await n8n.execute(workflow["id"])
    assert (result["status"], result["error"]) == ("success", ""), result
    (answer,) = items(result, "Basic LLM Chain")
    assert "Tell me about rivers" in answer["text"]
    (model_run,) = items(result, "Sluice Chat Model", "ai_languageModel")
    assert model_run["tokenUsage"]["completionTokens"] > 0
    (line,) = await exchanges(gateway, 1)
    assert (line["endpoint"], line["provider"]) == ("chat/completions", "demo")
    assert line["model"] == "demo-500,demo-instant"
    assert (line["outcome"], line["attempts"], line["stream"]) == ("ok", 2, False)
    assert line["run"]


async def test_an_agent_calls_a_tool(n8n: N8n, gateway: GatewayProcess) -> None:
    """The demo calls the tool that the prompt names, and says what it returned."""
    workflow = agent("Agent", "Use calculator on `6*7`", chat_model(**several("demo-503", "demo-instant")))
    await n8n.add(gateway.url, KEY, [workflow])
    result = await n8n.execute(workflow["id"])
    assert (result["status"], result["error"]) == ("success", ""), result
    (answer,) = items(result, "AI Agent")
    assert "42" in answer["output"]
    assert "Calculator" in result["nodes"]
    assert [line["outcome"] for line in await exchanges(gateway, 2)] == ["ok", "ok"]


async def test_an_agent_uses_the_node_as_a_tool(n8n: N8n, gateway: GatewayProcess) -> None:
    tool = chat_tool("Consult a model", "demo-instant")
    workflow = agent("Node as a tool", "Use the tool on `rivers`", chat_model(**one("demo-instant")), tool)
    await n8n.add(f"{gateway.url}/v1", KEY, [workflow])
    result = await n8n.execute(workflow["id"])
    assert (result["status"], result["error"]) == ("success", ""), result
    (consulted,) = items(result, "Consult a model", "ai_tool")
    assert "rivers" in json.dumps(consulted)
    assert len(await exchanges(gateway, 3)) == 3


async def test_an_agent_streams_to_the_chat_trigger(n8n: N8n, gateway: GatewayProcess) -> None:
    workflow = streamed_chat("Streamed chat", chat_model(**one("demo-instant")))
    await n8n.add(gateway.url, KEY, [workflow])
    status, output = await n8n.run("publish:workflow", f"--id={workflow['id']}")
    assert status == 0, output
    message = {"action": "sendMessage", "sessionId": "1", "chatInput": "Tell me about rivers"}
    async with n8n.serve() as url, aiohttp.ClientSession() as session:
        events = await streamed(session, f"{url}/webhook/{CHAT_PATH}/chat", message)
    pieces = [event["content"] for event in events if event["type"] == "item"]
    assert len(pieces) > 1
    assert "Tell me about rivers" in "".join(pieces)
    (line,) = await exchanges(gateway, 1)
    assert (line["outcome"], line["stream"]) == ("ok", True)


async def test_each_operation_of_the_node_returns_its_items(n8n: N8n, gateway: GatewayProcess) -> None:
    hello = HELLO | one("demo-instant")
    workflow = operations(
        "Operations",
        chat=hello | {"options": {"run": "Übersicht – 1"}},
        cached=hello | {"operation": "chat", "options": {"cache": "only"}},
        embeddings={"selection": "auto", "text": '={{ ["one", "two"] }}'},
        models={},
        balance={},
    )
    await n8n.add(gateway.url, KEY, [workflow])
    result = await n8n.execute(workflow["id"])
    assert (result["status"], result["error"]) == ("success", ""), result
    (chat,) = items(result, "Chat")
    assert "Hello" in chat["text"]
    assert chat["usage"]["total_tokens"] > 0
    assert (chat["_router"]["provider"], chat["_router"]["model_name"]) == ("demo", "demo-instant")
    assert "cost_usd" in chat["_router"]
    (cached,) = items(result, "Cached")
    assert (chat["cache"], cached["cache"], cached["text"]) == ("miss", "hit", chat["text"])
    assert (await exchanges(gateway, 3))[0]["run"] == "Übersicht – 1"
    (embeddings,) = items(result, "Embeddings")
    assert len(embeddings["embeddings"]) == 2
    assert embeddings["usage"]["prompt_tokens"] > 0
    assert embeddings["_router"]["attempts"] == 1
    models = items(result, "Models")
    assert {"id", "providers", "type", "contextSize", "tags"} == set(models[0])
    assert {"demo-instant", "demo-embedding"} <= {model["id"] for model in models}
    assert items(result, "Balance") == [{"user_id": "alice", "balance": 25, "currency": "USD"}]


@pytest.mark.parametrize("made", [hello_chat, hello_chain], ids=["node", "chat model"])
async def test_a_stopped_workflow_ends_the_request_at_the_provider(
    made: Callable[[str], dict[str, Any]], n8n: N8n, tmp_path: Path
) -> None:
    workflow = made("m")
    async with Upstream() as provider:
        provider.on(lambda request: [Stall()])
        upstream = {"providers": {"up": {"baseUrl": provider.url, "apiKey": "k"}}}
        config = CONFIG | upstream | {"models": [{"name": "m", "provider": "up"}], "dataDir": str(tmp_path / "data")}
        async with GatewayProcess(config) as gateway:
            await n8n.add(gateway.url, KEY, [workflow])
            async with signed_in(n8n) as session:
                execution = await started(session, workflow["id"])
                async with asyncio.timeout(COMMAND_SECS):
                    request = await provider.request()
                    async with session.post(f"/rest/executions/{execution}/stop") as answer:
                        assert (await answer.json())["data"]["status"] == "canceled"
                    await request.gone.wait()
            assert len(provider.requests) == 1
            assert [line["outcome"] for line in await exchanges(gateway, 1)] == ["client_gone"]


async def test_n8n_tests_the_credentials(n8n: N8n, gateway: GatewayProcess) -> None:
    """A right key, a wrong key, and an address that is no gateway."""
    cases = [
        (gateway.url, KEY, "Connection successful!"),
        (f"{gateway.url}/v1/", "sk-wrong", "The gateway does not accept this API key."),
    ]
    async with Upstream() as page, signed_in(n8n) as session:
        page.on_head(lambda request: [Headers(200, [("Content-Type", "text/html")]), b"<html>Welcome", Close()])
        cases.append((page.origin, KEY, "The address responds, but not as a gateway does. Check the Base URL."))
        for address, key, message in cases:
            given = {"name": "Sluice account", "type": "sluiceApi", "data": {"url": address, "apiKey": key}}
            async with session.post("/rest/credentials", json=given) as answer:
                stored = (await answer.json())["data"]["id"]
            async with session.post("/rest/credentials/test", json={"credentials": given | {"id": stored}}) as answer:
                assert (await answer.json())["data"]["message"] == message


@pytest.mark.parametrize(
    ("kind", "parameters", "listed", "absent"),
    [
        (CHAT_MODEL, {}, "demo-instant", "demo-embedding"),
        (SLUICE, {"operation": "embeddings"}, "demo-embedding", "demo-instant"),
    ],
)
async def test_the_editor_lists_the_models_of_the_gateway(
    kind: str, parameters: dict[str, Any], listed: str, absent: str, n8n: N8n, gateway: GatewayProcess
) -> None:
    await n8n.add(gateway.url, KEY, [])
    asked = {
        "nodeTypeAndVersion": {"name": kind, "version": 1},
        "currentNodeParameters": parameters,
        "credentials": {"sluiceApi": {"id": CREDENTIALS["id"], "name": CREDENTIALS["name"]}},
    }
    one_model = {"path": "parameters.model", "methodName": "searchModels"}
    several_models = {"path": "parameters.models.model[0].name", "methodName": "getModels"}
    async with signed_in(n8n) as session:
        for way, field in (("resource-locator-results", one_model), ("options", several_models)):
            async with session.post(f"/rest/dynamic-node-parameters/{way}", json=asked | field) as answer:
                found = (await answer.json())["data"]
            rows = found if isinstance(found, list) else found["results"]
            names = [row["value"] for row in rows]
            assert names[0] == "auto"
            assert listed in names
            assert absent not in names


async def test_an_error_of_the_gateway_is_that_of_the_workflow(n8n: N8n, gateway: GatewayProcess) -> None:
    absent = "The model 'no-such-model' does not exist."
    unmatched = "No model matches: none of the requested models satisfies 'tags' ('no-such-tag')."
    filters = {"selection": "auto", "filters": ALL_FILTERS | {"tags": "no-such-tag"}}
    cases = [
        (hello_chat("no-such-model"), absent),
        (hello_chain("no-such-model"), absent),
        (chain("Unmatched filters", "Hello", chat_model(**filters)), unmatched),
    ]
    await n8n.add(gateway.url, KEY, [workflow for workflow, _ in cases])
    for workflow, message in cases:
        result = await n8n.execute(workflow["id"])
        assert result["status"] == "error"
        assert result["error"].startswith(message), result["error"]
