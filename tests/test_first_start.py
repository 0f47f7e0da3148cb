"""The first start with configurations and environment files from users."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import jwt
import pytest

from tests.config.test_loader import CONFIG, MODELS
from tests.config.test_variables import GATEWAY_ENV, SECRET
from tests.support import Upstream, completion, json_answer, until
from tests.support.gateway import ROOT, Process

ROUTER_ENV = """\
# An environment file of a NestJS router, placeholders filled in.
NODE_ENV=production
TZ=UTC
LISTEN_HOST=0.0.0.0
LISTEN_PORT=8080
API_BASE_PATH=api
LOG_LEVEL=warn
ROUTER_CONFIG_PATH=./config.yaml
OPENROUTER_API_KEY=sk-or-1
DEEPSEEK_API_KEY=sk-2
"""
ASK = {"model": "deepseek-r1", "messages": [{"role": "user", "content": "Hi"}], "tags": ["code"], "type": "reasoning"}


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as up:
        up.on(lambda request: json_answer(completion()))
        yield up


def written(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    return folder


def start_line(gw: Process) -> str:
    return next(line for line in gw.lines if "listens on" in line)


async def environment_line(gw: Process) -> str:
    """The second line of the start."""
    await until(lambda: any(line.startswith("Environment: ") for line in gw.lines), "the second line")
    return next(line for line in gw.lines if line.startswith("Environment: "))


async def test_files_and_environment_of_the_router_run_unchanged(tmp_path: Path, up: Upstream) -> None:
    config = CONFIG.replace("https://openrouter.ai/api/v1", up.url)
    folder = written(tmp_path, config__yaml=config, models__yaml=MODELS, __env=ROUTER_ENV)
    async with Process(["serve", "--port", "0"], environ={"LISTEN_INSECURE": "true"}, folder=folder) as gw:
        await until(lambda: any(line.startswith("INSECURE: ") for line in gw.lines), "the warning")
        line = await environment_line(gw)
        assert line == (
            "Environment: in force: LISTEN_HOST, LISTEN_PORT, LISTEN_INSECURE, API_BASE_PATH, LOG_LEVEL, OPENROUTER_API_KEY,"
            " DEEPSEEK_API_KEY; not understood: NODE_ENV, TZ."
        )
        client = await gw.client()
        for base in ("/api/v1", "/v1"):
            listed = await client.fetch("GET", f"{base}/models")
            assert [model["name"] for model in listed.json["models"]] == ["deepseek-r1"]
            answer = await client.fetch("POST", f"{base}/chat/completions", json=ASK)
            assert (answer.status, answer.header("x-router-model")) == (200, "deepseek-r1")
        assert (await up.request()).header("authorization") == "Bearer sk-or-1"


async def test_an_environment_with_an_open_address_names_the_variable_to_set(tmp_path: Path) -> None:
    folder = written(tmp_path, config__yaml=CONFIG, models__yaml=MODELS, __env=ROUTER_ENV)
    gw = Process(["serve", "--port", "0"], folder=folder)
    with pytest.raises(AssertionError, match="LISTEN_INSECURE=true"):
        await gw.start()


async def test_environment_of_the_fastapi_gateway_runs_without_a_file(tmp_path: Path) -> None:
    text = GATEWAY_ENV.replace("HOST=127.0.0.1", "HOST=0.0.0.0", 1).replace(
        "RATE_LIMIT_STORAGE=redis", "RATE_LIMIT_STORAGE=memory"
    )
    folder = written(tmp_path, __env=text.replace("PORT=8000", "PORT=0", 1))
    async with Process(["serve"], folder=folder) as gw:
        assert "Providers: openai." in start_line(gw)
        assert not any("INSECURE" in line for line in gw.lines)
        client = await gw.client()
        assert (await client.fetch("GET", "/ready")).json == {"status": "ready"}
        assert (await client.fetch("GET", "/v1/models")).status == 401
        token = jwt.encode({"sub": "alice", "exp": time.time() + 60}, SECRET, "HS256")
        bearer = ("Authorization", f"Bearer {token}")
        answer = await client.fetch("GET", "/v1/models/none", headers=[bearer, ("Origin", "http://localhost:3000")])
        assert answer.status == 404
        assert answer.header("access-control-allow-origin") == "http://localhost:3000"
        assert (await client.fetch("GET", "/metrics")).status == 200


async def test_the_unchanged_example_environment_streams_from_the_demo(tmp_path: Path) -> None:
    (tmp_path / "config").symlink_to(ROOT / "config")
    folder = written(tmp_path, __env=(ROOT / ".env.example").read_text())
    async with Process(["serve", "--port", "0"], folder=folder) as gw:
        assert "Providers: demo." in start_line(gw)
        assert not any("placeholders" in line for line in gw.lines)
        client = await gw.client()
        body = {"model": "demo-instant", "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
        answer = await client.fetch("POST", "/v1/chat/completions", json=body)
        assert answer.status == 200
        assert answer.body.endswith(b"data: [DONE]\n\n")


async def test_the_shipped_configuration_serves_every_provider_with_a_key(tmp_path: Path) -> None:
    (tmp_path / "config").symlink_to(ROOT / "config")
    environ = {"GROQ_API_KEY": "k", "RETRY_MAX_ATTEMPTS": "5", "CIRCUIT_BREAKER_FAILURE_THRESHOLD": "5", "PORT": "0",
               "RATE_LIMIT_REQUESTS_PER_MINUTE": "9"}  # fmt: skip
    async with Process(["serve"], environ=environ, folder=tmp_path) as gw:
        assert "Providers: groq." in start_line(gw)
        line = await environment_line(gw)
        assert set(line.removeprefix("Environment: in force: ").rstrip(".").split(", ")) == set(environ)
