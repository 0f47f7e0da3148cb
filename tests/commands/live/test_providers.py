"""Providers that answer, refuse the key, are down, have a wrong certificate, or say nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from proxy.commands.live import providers
from proxy.commands.live.finding import Finding
from tests.commands.live.rig import finding, findings, raw_answer
from tests.support.clouds import PROJECT, TokenServer, VertexServer, service_account
from tests.support.steps import Stall
from tests.support.tls import Authority
from tests.support.upstream import Upstream

SECRET = "sk-aVeryWellKeptSecret"


def configured(url: str, more: str = "") -> str:
    return f"providers: {{up: {{baseUrl: '{url}', apiKey: '{SECRET}'{more}}}}}\n"


def models(*names: str) -> bytes:
    return json.dumps({"object": "list", "data": [{"id": name, "object": "model"} for name in names]}).encode()


async def answered(status: int, body: bytes, folder: Path, text: str = "") -> Finding:
    async with Upstream() as up:
        up.on(lambda request: raw_answer(body, status))
        found = await finding("providers.up", configured(up.url) + text, folder)
        request = await up.request(0)
        assert request.target.endswith("/models")
        assert request.header("authorization") == f"Bearer {SECRET}"
    assert SECRET not in found.text
    return found


async def test_a_provider_that_lists_every_configured_model_is_ok(tmp_path: Path) -> None:
    text = "models: [{name: a, provider: up}, {name: b, provider: up, model: vendor/b}]"
    found = await answered(200, models("a", "models/vendor/b", "c"), tmp_path, text)
    assert found.level == "ok"
    assert found.text.endswith(", 3 models")


async def test_models_that_the_provider_does_not_list_are_named(tmp_path: Path) -> None:
    entries = ", ".join(f"{{name: m{number}, provider: up}}" for number in range(8))
    hidden = "{name: gone, provider: up, available: false}"
    found = await answered(200, models("m0"), tmp_path, f"models: [{entries}, {hidden}]")
    assert found.level == "warning"
    assert "but not these of the configuration: m1, m2, m3, m4, m5 and 2 more; correct their names" in found.text


@pytest.mark.parametrize(
    ("status", "body", "level", "words"),
    [
        (401, b"{}", "FAILED", "The provider refused the gateway's credential (status 401); check the key"),
        (400, b'{"error": {"message": "API key not valid. Please pass a valid API key."}}', "FAILED", "refused the"),
        (402, b"{}", "FAILED", "has no credit left (status 402)"),
        (403, b"{}", "FAILED", "does not allow this key, account or address (status 403)"),
        (404, b"not found", "warning", "has no list of models (status 404); is the path in baseUrl right?"),
        (429, b"{}", "warning", "limits the rate of this key (status 429)"),
        (301, b"", "FAILED", "redirects (status 301), which is not followed"),
        (503, b"", "FAILED", "the provider fails (status 503)"),
        (200, b"<html>", "warning", "GET /models answers with no list of models"),
    ],
)
async def test_what_each_status_means(status: int, body: bytes, level: str, words: str, tmp_path: Path) -> None:
    found = await answered(status, body, tmp_path)
    assert found.level == level
    assert words in found.text


@pytest.mark.parametrize(
    ("kind", "target", "body"),
    [
        ("anthropic", "/v1/models?limit=1000", b'{"data": [{"id": "a"}], "has_more": false}'),
        ("gemini", "/v1/models?pageSize=1000", b'{"models": [{"name": "models/a"}]}'),
    ],
)
async def test_the_list_of_another_kind_is_requested_and_read_in_its_way(
    kind: str, target: str, body: bytes, tmp_path: Path
) -> None:
    async with Upstream() as up:
        up.on(lambda request: raw_answer(body, 200))
        text = configured(up.url, f", kind: {kind}") + "models: [{name: a, provider: up}, {name: b, provider: up}]"
        found = await finding("providers.up", text, tmp_path)
        assert (await up.request(0)).target == target
    assert found.level == "warning"
    assert ", 1 model, but not these of the configuration: b;" in found.text


async def test_the_list_of_azure_has_no_deployments_to_compare(tmp_path: Path) -> None:
    async with Upstream() as up:
        up.on(lambda request: raw_answer(models("gpt"), 200))
        text = configured(up.url, ", kind: azure") + "models: [{name: mine, provider: up}]"
        found = await finding("providers.up", text, tmp_path)
    assert (found.level, found.text[-9:]) == ("ok", ", 1 model")


async def test_a_cloud_is_asked_with_an_issued_token(tmp_path: Path) -> None:
    async with Upstream() as up, Upstream() as issuer:
        tokens = TokenServer(issuer)
        VertexServer(up, "token-1")
        file = service_account(tmp_path, issuer)
        text = (
            f"providers: {{up: {{kind: vertex, baseUrl: '{up.origin}{PROJECT}', cloud: {{credentialsFile: {file}}}}}}}"
        )
        found = await finding("providers.up", text, tmp_path)
        assert (found.level, found.text[-9:]) == ("ok", ", 1 model")
        tokens.refuses = True
        found = await finding("providers.up", text, tmp_path)
        assert found.level == "FAILED"
        assert f"no credential was issued: Google: {file}: no token was issued: invalid_grant" in found.text


async def test_every_address_and_every_key_has_a_line(tmp_path: Path) -> None:
    async with Upstream() as up, Upstream() as other:
        up.on(lambda request: raw_answer(models("a"), 401 if "bad" in (request.header("authorization") or "") else 200))
        other.on(lambda request: raw_answer(models("a"), 200))
        text = f"providers: {{up: {{baseUrls: ['{up.url}', '{other.url}'], apiKeys: [good, bad]}}}}"
        found = await findings(text, tmp_path)
    levels = {name: each.level for name, each in found.items() if name.startswith("providers.")}
    assert levels == {
        f"providers.up {up.url} key 1": "ok",
        f"providers.up {other.url} key 1": "ok",
        f"providers.up {up.url} key 2": "FAILED",
    }


async def test_a_dead_port_and_an_unknown_name(tmp_path: Path) -> None:
    dead = await finding("providers.up", configured("http://127.0.0.1:1/v1"), tmp_path)
    assert dead.level == "FAILED"
    assert "The provider could not be reached (connection refused); check baseUrl" in dead.text
    # RFC 6761: it never resolves.
    unknown = await finding("providers.up", configured("http://provider.invalid/v1"), tmp_path)
    assert unknown.level == "FAILED"
    assert "The provider's host name could not be resolved" in unknown.text


async def test_a_certificate_that_nobody_signed_fails_and_the_configured_authority_helps(
    tmp_path: Path, authority: Authority
) -> None:
    async with Upstream(tls=authority.server_context()) as up:
        up.on(lambda request: raw_answer(models("a"), 200))
        found = await finding("providers.up", configured(up.url), tmp_path)
        assert found.level == "FAILED"
        assert "No secure connection to the provider could be made (" in found.text
        assert "certificate" in found.text
        trusted = configured(up.url, f", tls: {{caFile: {authority.ca_file(tmp_path)}}}")
        assert (await finding("providers.up", trusted, tmp_path)).level == "ok"


async def test_a_provider_that_accepts_and_says_nothing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providers, "ANSWER_SECS", 0.3)
    async with Upstream() as up:
        up.on(lambda request: [Stall()])
        found = await finding("providers.up", configured(up.url), tmp_path)
    assert found.level == "FAILED"
    assert "GET /models got no answer within 0.3 s; check the provider" in found.text


async def test_an_outgoing_proxy_is_named_without_its_password(tmp_path: Path) -> None:
    text = configured("http://provider.example/v1")
    found = await finding("providers.up", text, tmp_path, HTTP_PROXY="http://user:hunter2@127.0.0.1:1")
    assert found.level == "FAILED"
    assert "http://provider.example/v1 through the proxy 127.0.0.1:1: The proxy on the way" in found.text
    assert "hunter2" not in found.text
