"""Providers of clouds: issued tokens, signed requests and other paths, against servers that refuse what clouds refuse."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from proxy.config.loader import Loaded
from tests.support import Answer, Upstream, json_answer
from tests.support.clouds import PROJECT, BedrockServer, TokenServer, VertexServer, service_account
from tests.support.gateway import Gateway, to_config

QUESTION = b'{"model":"claude", "max_tokens":16,"x_new":{"a" : 1},"messages":[{"role":"user","content":"Hi"}]}'
CONTENTS = b'{"contents" : [{"role":"user","parts":[{"text":"Hi"}]}]}'
VERSION = ("anthropic-version", "2023-06-01")
RESPONSE = {"id": "resp_1", "object": "response", "status": "completed", "output": []}
NO_RETRIES = {"maxRetries": 0, "rateLimitRetries": 0}


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as up:
        yield up


@pytest.fixture
async def issuer() -> AsyncIterator[Upstream]:
    async with Upstream() as issuer:
        yield issuer


async def ask(
    gw: Gateway, target: str, body: bytes, headers: Sequence[tuple[str, str]] = (), method: str = "POST"
) -> Answer:
    client = await gw.client()
    kind = [("Content-Type", "application/json")] if body else []
    return await client.fetch(method, target, headers=[*kind, *headers], body=body or None)


# -- Google ---------------------------------------------------------------------------------------


def vertex(up: Upstream, **provider: Any) -> dict[str, Any]:
    return {
        "routing": NO_RETRIES,
        "providers": {"vertex": {"kind": "vertex", "baseUrl": f"{up.origin}{PROJECT}"} | provider},
        "models": [
            {"name": "claude", "provider": "vertex", "model": "claude-up"},
            {"name": "gemini", "provider": "vertex", "model": "gemini-up"},
        ],
    }


@pytest.fixture
def account(issuer: Upstream, tmp_path: Path) -> dict[str, Any]:
    return {"cloud": {"credentialsFile": service_account(tmp_path, issuer)}}


async def test_one_token_serves_gemini_and_claude(up: Upstream, issuer: Upstream, account: dict[str, Any]) -> None:
    tokens = TokenServer(issuer)
    VertexServer(up, "token-1")
    async with Gateway(vertex(up, **account)) as gw:
        found = await ask(gw, "/v1beta/models/gemini:generateContent", CONTENTS)
        assert found.status == 200, found.body
        request = await up.request()
        assert request.target == f"{PROJECT}/publishers/google/models/gemini-up:generateContent"
        assert (request.header("authorization"), request.body) == ("Bearer token-1", CONTENTS)
        for _ in range(3):
            found = await ask(gw, "/v1/messages?beta=true", QUESTION, [VERSION, ("anthropic-beta", "a-1,b-2")])
            assert found.status == 200, found.body
        request = await up.request(1)
        assert request.target == f"{PROJECT}/publishers/anthropic/models/claude-up:rawPredict"
        assert request.header("anthropic-beta") == "a-1,b-2"
        assert request.body == (
            b'{"max_tokens":16,"x_new":{"a" : 1},"messages":[{"role":"user","content":"Hi"}]'
            b',"anthropic_version":"vertex-2023-10-16"}'
        )
        assert tokens.issued == 1


async def test_a_stream_of_claude_has_an_action_of_its_own(
    up: Upstream, issuer: Upstream, account: dict[str, Any]
) -> None:
    TokenServer(issuer)
    VertexServer(up, "token-1")
    async with Gateway(vertex(up, **account)) as gw:
        question = QUESTION[:-1] + b',"stream":true}'
        found = await ask(gw, "/v1/messages", question, [("anthropic-version", "2026-10-21")])
        assert found.status == 200, found.body
        assert b"event: message_stop" in found.body
        request = await up.request()
        assert request.target == f"{PROJECT}/publishers/anthropic/models/claude-up:streamRawPredict"
        assert request.json["anthropic_version"] == "2026-10-21"
        assert int(request.header("content-length") or 0) == len(request.body)


async def test_tokens_are_counted_with_the_model_in_the_body(
    up: Upstream, issuer: Upstream, account: dict[str, Any]
) -> None:
    TokenServer(issuer)
    VertexServer(up, "token-1")
    async with Gateway(vertex(up, **account)) as gw:
        found = await ask(gw, "/v1/messages/count_tokens", QUESTION, [VERSION])
        assert (found.status, found.json["input_tokens"]) == (200, 12)
        request = await up.request()
        assert request.target == f"{PROJECT}/publishers/anthropic/models/count-tokens:rawPredict"


async def test_a_model_and_version_of_vertex_clients_stay_as_they_are(
    up: Upstream, issuer: Upstream, account: dict[str, Any]
) -> None:
    TokenServer(issuer)
    VertexServer(up, "token-1")
    config = vertex(up, **account)
    config["models"][0] = {"name": "claude-up", "provider": "vertex"}
    async with Gateway(config) as gw:
        question = b'{"anthropic_version":"2026-10-21",' + QUESTION.replace(b'"claude"', b'"claude-up"')[1:]
        found = await ask(gw, "/v1/messages", question, [VERSION])
        assert found.status == 200, found.body
        assert (await up.request()).json["anthropic_version"] == "2026-10-21"


async def test_requests_that_come_together_wait_for_one_token(
    up: Upstream, issuer: Upstream, account: dict[str, Any]
) -> None:
    tokens = TokenServer(issuer)
    VertexServer(up, "token-1")
    async with Gateway(vertex(up, **account)) as gw:
        found = await asyncio.gather(*(ask(gw, "/v1/messages", QUESTION, [VERSION]) for _ in range(5)))
        assert [each.status for each in found] == [200] * 5
        assert tokens.issued == 1


async def test_an_api_key_is_sent_as_googles(up: Upstream) -> None:
    VertexServer(up, "AIza-key")
    async with Gateway(vertex(up, apiKey="AIza-key")) as gw:
        found = await ask(gw, "/v1/messages", QUESTION, [VERSION])
        assert found.status == 200, found.body
        request = await up.request()
        assert (request.header("x-goog-api-key"), request.header("authorization")) == ("AIza-key", None)


async def test_a_refused_account_is_a_clear_error_and_is_not_asked_again_by_each_request(
    up: Upstream, issuer: Upstream, account: dict[str, Any]
) -> None:
    tokens = TokenServer(issuer)
    tokens.refuses = True
    VertexServer(up, "token-1")
    async with Gateway(vertex(up, **account)) as gw:
        for number in (1, 2):
            found = await ask(gw, "/v1/messages", QUESTION, [VERSION])
            assert found.status == 502
            assert found.json["error"]["message"] == "The gateway has no credential for the provider."
            assert found.header("x-should-retry") == "false"
            line = await gw.settled(number)
            assert "no token was issued: invalid_grant: Invalid JWT Signature" in line["detail"]
        assert len(issuer.requests) == 1
        assert sum("A provider's credential cannot be fetched." in line for line in gw.log_lines) == 1
        assert not up.requests


async def test_another_candidate_serves_what_has_no_token(
    up: Upstream, issuer: Upstream, account: dict[str, Any]
) -> None:
    TokenServer(issuer).refuses = True
    VertexServer(up, "AIza-key")
    config = vertex(up, **account)
    config["routing"] = {"maxRetries": 2}
    config["providers"]["other"] = {"kind": "vertex", "baseUrl": f"{up.origin}{PROJECT}", "apiKey": "AIza-key"}
    config["models"].append({"name": "claude", "provider": "other", "model": "claude-up"})
    async with Gateway(config) as gw:
        for _ in range(2):  # they begin with each of them
            found = await ask(gw, "/v1/messages", QUESTION, [VERSION])
            assert (found.status, found.header("x-router-provider")) == (200, "other")
        assert len(issuer.requests) == 1


async def test_the_list_of_googles_models_is_fetched_with_the_token(
    up: Upstream, issuer: Upstream, account: dict[str, Any]
) -> None:
    TokenServer(issuer)
    VertexServer(up, "token-1")
    config = vertex(up, **account) | {"models": []}
    async with Gateway(config) as gw:
        found = await ask(gw, "/v1beta/models", b"", method="GET")
        assert [model["name"] for model in found.json["models"]] == ["models/gemini-up"]
        assert up.requests[0].target == "/v1beta1/publishers/google/models?pageSize=100"


@pytest.mark.parametrize(("method", "body"), [("GET", b""), ("POST", b'{"instances": [1]}')])
async def test_a_request_that_passes_through_has_the_token(
    up: Upstream, issuer: Upstream, account: dict[str, Any], method: str, body: bytes
) -> None:
    TokenServer(issuer)
    VertexServer(up, "token-1")
    path = "publishers/google/models/imagen:predict"
    async with Gateway(vertex(up, **account, passthrough=[f"{method} /publishers"])) as gw:
        found = await ask(gw, f"/proxy/vertex/{path}", body, method=method)
        assert found.status == 200, found.body
        request = await up.request()
        assert (request.target, request.body) == (f"{PROJECT}/{path}", body)
        assert request.header("authorization") == "Bearer token-1"


async def test_a_token_survives_a_reload(up: Upstream, issuer: Upstream, account: dict[str, Any]) -> None:
    tokens = TokenServer(issuer)
    VertexServer(up, "token-1")
    async with Gateway(vertex(up, **account)) as gw:
        await ask(gw, "/v1/messages", QUESTION, [VERSION])
        changed = to_config(vertex(up, **account, headers={"X-Team": "a"}))
        await gw.app.running.take(Loaded(changed, []), "a test")
        found = await ask(gw, "/v1/messages", QUESTION, [VERSION])
        assert found.status == 200, found.body
        assert up.requests[-1].header("x-team") == "a"
        assert tokens.issued == 1


# -- AWS ------------------------------------------------------------------------------------------

KEYS = {"accessKeyId": "AKIDEXAMPLE", "secretAccessKey": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}
SECRETS = {KEYS["accessKeyId"]: KEYS["secretAccessKey"]}


def bedrock(up: Upstream, **provider: Any) -> dict[str, Any]:
    return {
        "routing": NO_RETRIES,
        "providers": {"bedrock": {"kind": "bedrock", "baseUrl": f"{up.origin}/openai/v1"} | provider},
        "models": [
            {"name": "gpt", "provider": "bedrock", "model": "gpt-up"},
            {"name": "claude", "provider": "bedrock", "model": "claude-up"},
        ],
    }


def chat(text: str = "Hi") -> bytes:
    return json.dumps({"model": "gpt", "messages": [{"role": "user", "content": text}]}).encode()


async def test_requests_are_signed_with_their_final_body(up: Upstream) -> None:
    BedrockServer(up, service="bedrock-mantle", region="eu-west-1", keys=SECRETS, token="session/+=")
    cloud = {"cloud": KEYS | {"sessionToken": "session/+=", "region": "eu-west-1"}}
    async with Gateway(bedrock(up, **cloud)) as gw:
        found = await ask(gw, "/v1/chat/completions", chat())
        assert found.status == 200, found.body
        assert (await up.request()).json["model"] == "gpt-up"
        found = await ask(gw, "/v1/messages?beta=true", QUESTION, [VERSION])
        assert found.status == 200, found.body
        request = await up.request()
        assert request.target == "/anthropic/v1/messages?beta=true"
        assert (request.json["model"], request.header("anthropic-version")) == ("claude-up", "2023-06-01")


async def test_a_large_body_is_signed_as_well(up: Upstream) -> None:
    BedrockServer(up, service="bedrock", region="us-east-1", keys=SECRETS)
    async with Gateway(bedrock(up, cloud=KEYS | {"region": "us-east-1", "service": "bedrock"})) as gw:
        found = await ask(gw, "/v1/chat/completions", chat("Hé" * 400_000))
        assert found.status == 200, found.body


async def test_a_bearer_key_needs_no_signature(up: Upstream) -> None:
    server = BedrockServer(up, service="bedrock-mantle", region="eu-west-1", keys={})
    server.api_key = "bedrock-key"
    async with Gateway(bedrock(up, apiKey="bedrock-key")) as gw:
        assert (await ask(gw, "/v1/chat/completions", chat())).status == 200
        assert (await ask(gw, "/v1/messages", QUESTION, [VERSION])).status == 200
        assert up.requests[0].header("x-amz-date") is None


async def test_the_words_of_a_refused_signature_stay_here(up: Upstream) -> None:
    BedrockServer(up, service="bedrock-mantle", region="eu-west-1", keys={"AKIDEXAMPLE": "another"})
    async with Gateway(bedrock(up, cloud=KEYS | {"region": "eu-west-1"})) as gw:
        found = await ask(gw, "/v1/chat/completions", chat())
        assert found.status == 502
        assert b"signature" not in found.body
        line = await gw.settled()
        assert line["detail"].startswith("The request signature we calculated does not match")


async def test_the_list_of_models_is_requested_with_a_signature(up: Upstream) -> None:
    BedrockServer(up, service="bedrock-mantle", region="eu-west-1", keys=SECRETS)
    config = bedrock(up, cloud=KEYS | {"region": "eu-west-1"}) | {"models": []}
    async with Gateway(config) as gw:
        found = await ask(gw, "/v1/models", b"", method="GET")
        assert [model["id"] for model in found.json["data"]] == ["gpt-up"]


async def test_an_upload_cannot_be_signed(up: Upstream) -> None:
    BedrockServer(up, service="bedrock-mantle", region="eu-west-1", keys=SECRETS)
    settings = {"cloud": KEYS | {"region": "eu-west-1"}, "passthrough": ["POST /files", "GET /models"]}
    async with Gateway(bedrock(up, **settings)) as gw:
        found = await ask(gw, "/proxy/bedrock/files", b'{"a":1}')
        assert (found.status, found.json["error"]["code"]) == (400, "unsupported_upload")
        boundary = [("Content-Type", "multipart/form-data; boundary=x")]
        body = b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\ngpt\r\n--x--\r\n'
        client = await gw.client()
        found = await client.fetch("POST", "/v1/audio/transcriptions", headers=boundary, body=body)
        assert found.status == 400
        assert "The model 'gpt' does not serve audio/transcriptions" in found.body.decode()
        assert not up.requests


async def test_no_keys_at_all_is_a_clear_error(up: Upstream, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    async with Gateway(bedrock(up, cloud={"region": "eu-west-1"})) as gw:
        found = await ask(gw, "/v1/chat/completions", chat())
        assert found.status == 502
        line = await gw.settled()
        assert line["detail"].startswith("AWS: the default credentials: there are none; set apiKey")


# -- Azure ----------------------------------------------------------------------------------------


async def test_azures_v1_api_and_foundrys_claude(up: Upstream) -> None:
    def azure(request: Any) -> Any:
        v1 = request.target in ("/openai/v1/chat/completions", "/openai/v1/responses")
        if v1 and request.header("api-key") == "key" and request.json["model"] == "my-deployment":
            chat = request.target.endswith("/completions")
            return json_answer({"object": "chat.completion", "choices": []} if chat else RESPONSE)
        claude = request.target == "/anthropic/v1/messages"
        if claude and request.header("x-api-key") == "key" and request.header("anthropic-version"):
            return json_answer({"type": "message", "content": []})
        return json_answer({"error": {"code": "404", "message": "Resource not found"}}, 404)

    up.on(azure)
    config = {
        "routing": NO_RETRIES,
        "providers": {
            "azure": {"kind": "azure", "baseUrl": f"{up.origin}/openai/v1", "apiKey": "key"},
            "foundry": {"kind": "anthropic", "baseUrl": f"{up.origin}/anthropic/v1", "apiKey": "key"},
        },
        "models": [
            {"name": "gpt", "provider": "azure", "model": "my-deployment"},
            {"name": "claude", "provider": "foundry", "model": "claude-deployment"},
        ],
    }
    async with Gateway(config) as gw:
        # The SDK for Azure always sends the version of the other API, which this one refuses.
        found = await ask(gw, "/v1/chat/completions?api-version=2024-10-21", chat())
        assert found.status == 200, found.body
        found = await ask(gw, "/v1/responses", b'{"model":"gpt","input":"Hi"}')
        assert found.status == 200, found.body
        found = await ask(gw, "/v1/messages", QUESTION, [VERSION])
        assert found.status == 200, found.body
        assert len(up.requests) == 3
