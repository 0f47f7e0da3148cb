"""Tokens from a real token server, for key files as Google writes them."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.client.credentials.base import CredentialFailed, IssuedCredential, UnsignedRequest
from proxy.client.credentials.google import fetch
from proxy.config.provider_schema import CloudSettings
from tests.support import Stall, Upstream
from tests.support.clouds import TokenServer, service_account

REQUEST = UnsignedRequest("POST", "/", [])
NOW = 1_000.0


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as up:
        yield up


async def fetched(file: str) -> IssuedCredential:
    return await asyncio.to_thread(fetch, CloudSettings(credentials_file=file), {}, NOW)


async def why(file: str) -> str:
    with pytest.raises(CredentialFailed) as caught:
        await fetched(file)
    return str(caught.value)


async def test_a_service_account_gets_a_token(up: Upstream, tmp_path: Path) -> None:
    server = TokenServer(up)
    server.lives = 1800
    found = await fetched(service_account(tmp_path, up))
    assert found.lines(REQUEST) == b"Authorization: Bearer token-1\r\n"
    assert 1700 < found.expires_at - time.time() <= 1800


async def test_the_project_that_pays_is_named(up: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    TokenServer(up)
    monkeypatch.setenv("GOOGLE_CLOUD_QUOTA_PROJECT", "billing")
    found = await fetched(service_account(tmp_path, up))
    assert b"X-Goog-User-Project: billing\r\n" in found.lines(REQUEST)


async def test_a_refused_account_is_told_in_the_servers_words(up: Upstream, tmp_path: Path) -> None:
    TokenServer(up).refuses = True
    file = service_account(tmp_path, up)
    assert await why(file) == f"Google: {file}: no token was issued: invalid_grant: Invalid JWT Signature"


async def test_a_token_server_that_cannot_be_reached(up: Upstream, tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        file = service_account(tmp_path, up, token_uri=f"http://127.0.0.1:{port}/token")
        found = await why(file)
    assert found.startswith(f"Google: {file}: the token server cannot be reached: ")


async def test_a_token_server_that_says_nothing(up: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from proxy.client.credentials import google

    monkeypatch.setattr(google, "TIMEOUT", 0.1)
    up.on(lambda request: [Stall()])
    assert "the token server cannot be reached: " in await why(service_account(tmp_path, up))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("not json", "is not JSON; it must be the key file of a service account"),
        ("[]", "dict type was expected"),
        ("{}", "it does not have a valid type"),
        (json.dumps({"type": "service_account"}), "Failed to load service account credentials: .*missing fields"),
        (
            json.dumps({"type": "service_account", "client_email": "a", "token_uri": "b", "private_key": "c"}),
            "Failed to load service account credentials: |no valid credential: ",
        ),
    ],
)
async def test_a_file_that_is_no_credential(content: str, words: str, tmp_path: Path) -> None:
    file = tmp_path / "broken.json"
    file.write_text(content)
    found = await why(str(file))
    assert found.startswith("Google: ")
    assert str(file) in found
    assert re.search(words, found), found
    assert len(found) < 500


async def test_a_missing_file(tmp_path: Path) -> None:
    assert await why(str(tmp_path / "none")) == f"Google: {tmp_path / 'none'} cannot be read: No such file or directory"


async def test_the_usual_variable_names_the_file(up: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    TokenServer(up)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", service_account(tmp_path, up))
    assert (await fetched("")).lines(REQUEST) == b"Authorization: Bearer token-1\r\n"


async def test_the_proxy_of_the_environment_is_used(up: Upstream, tmp_path: Path) -> None:
    TokenServer(up)
    file = service_account(tmp_path, up, token_uri="http://tokens.invalid/token")
    settings = CloudSettings(credentials_file=file)
    found = await asyncio.to_thread(fetch, settings, {"HTTP_PROXY": up.origin}, NOW)
    assert found.lines(REQUEST) == b"Authorization: Bearer token-1\r\n"
    assert up.requests[0].target == "http://tokens.invalid/token"
