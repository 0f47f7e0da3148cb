"""The example of deploy/fleet: its configuration and its registration, with the fake agent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from proxy.config.loader import load
from tests.support import Upstream
from tests.support.client import RawClient
from tests.support.consul import FakeConsul
from tests.support.gateway import Gateway
from tests.support.model_fleet import CHAT, HI, LlamaServer
from tests.support.patience import until, within
from tests.support.service_gateway import plain

FLEET = Path(__file__).resolve().parents[2] / "deploy" / "fleet"
KEY = "sk-a-key-of-your-choice"
BEARER = ("Authorization", f"Bearer {KEY}")


def registration(port: int) -> dict[str, Any]:
    """``vllm.json`` for a server at this port."""
    found: dict[str, Any] = json.loads((FLEET / "vllm.json").read_text().replace("8000", str(port)))
    return found


async def put(agent: FakeConsul, path: str, body: object = None) -> None:
    async with RawClient(agent.port) as client:
        assert (await client.fetch("PUT", path, json=body)).status == 200


def test_the_configuration_is_valid_and_the_readme_names_what_there_is() -> None:
    loaded = load(FLEET / "config.yaml", {"SLUICE_API_KEYS": KEY, "REGION": "eu"})
    assert loaded.notices == []
    config = loaded.config
    assert (config.auth.mode, config.discovery.region, config.discovery.store) == ("keys", "eu", "consul")
    readme = (FLEET / "README.md").read_text()
    assert all(f"({each.name})" in readme for each in FLEET.iterdir() if each.name != "README.md")
    consul = config.services["llm"].consul
    assert consul is not None
    assert registration(8000)["Name"] == consul.service


async def test_a_model_server_joins_serves_and_leaves_and_a_service_is_routed() -> None:
    async with Upstream() as vllm, Upstream() as documents, FakeConsul() as agent:
        server = LlamaServer(vllm, "qwen")
        documents.on(lambda request: plain(request.target.encode()))
        environ = {"SLUICE_API_KEYS": KEY, "CONSUL_HTTP_ADDR": agent.url, "LISTEN_HOST": "127.0.0.1"}
        given = yaml.safe_load((FLEET / "config.yaml").read_text())
        async with Gateway(given, environ=environ) as gw:
            client = await gw.client()

            async def models() -> list[str]:
                answer = await client.fetch("GET", "/v1/models", headers=[BEARER])
                return [each["id"] for each in answer.json["data"]]

            async def listed(*wanted: str) -> None:
                while await models() != [*wanted]:
                    pass

            await put(agent, "/v1/agent/service/register", registration(vllm.port))
            agent.check("vllm-1", "passing")
            agent.register("documents", port=documents.port)
            await within(listed(server.model), "the model of the server")
            call = {"model": "auto", "messages": HI, "stream": True}
            answer = await client.fetch("POST", CHAT, headers=[BEARER], json=call)
            assert (answer.status, server.calls) == (200, 1)
            await until(lambda: gw.app.services.live.services["documents"].group.addresses, "the other service")
            assert (await client.fetch("GET", "/documents/7", headers=[BEARER])).body == b"/7"
            await until(lambda: "sluice" in str(agent.api.local.services()), "the gateway's own registration")
            await put(agent, "/v1/agent/service/maintenance/vllm-1?enable=true")
            await within(listed(), "the list without it")
            refused = await client.fetch("POST", CHAT, headers=[BEARER], json=call)
            assert refused.status in (404, 503)
        assert "sluice" not in str(agent.api.local.services())
