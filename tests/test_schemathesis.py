"""Every endpoint of the API description, tested by schemathesis: no 5xx and no undocumented response.

Bounded and seeded, so that each run sends the same requests.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from proxy.routing.endpoints import ENDPOINTS
from tests.support.gateway import ADMIN, Process

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
EXAMPLES = 6
LIMITS = {"enabled": True, "perClient": {"requestsPerMinute": 1_000_000, "concurrent": 100}}
SECS = 600  # it takes some 15 of them
BEARER = f"Authorization: Bearer {ADMIN}"
BALANCES = r"^(/admin)?/billing/(balance|transaction|accounts)"  # need clients with an account
DEAD_EVENTS = r"^/admin/dead-events"  # need a receiver
DEAD_LETTERS = r"^/admin/dead-letters"  # need a broker, and a process for each request: tests/control/events has them
STATE = r"^/admin/state/"  # opens the circuit breakers of models that other requests are sent to
# Wrong tokens lock out the right one as well, so this gateway is not shared.
LOGIN = "/admin/login"
ENDLESS = "/admin/events"


# The models of the description's examples, as the demo's that answer at once.
MODELS = {
    "gpt-4.1-mini": "demo-instant",
    "text-embedding-3-small": "demo-embedding",
    "omni-moderation-latest": "demo-moderation",
    "gpt-image-1": "demo-image",
    "gpt-4o-mini-tts": "demo-speech",
    "gpt-4o-transcribe": "demo-transcribe",
    "whisper-1": "demo-transcribe",
    "claude-sonnet-4-5": "demo-instant",
    "gemini-2.5-flash": "demo-instant",
    "gemini-embedding-001": "demo-instant",  # the description tries it with generateContent as well
}


@asynccontextmanager
async def gateway(folder: Path, **sections: object) -> AsyncIterator[Process]:
    """A gateway with the demo provider, a database, and a file to reload. ``sections`` add to its configuration."""
    async with Process(["demo", "--port", "0"]) as demo:
        path = folder / "config.yaml"
        settings = {
            "admin": {"token": ADMIN},
            "dataDir": str(folder / "data"),
            "observe": {"keepRequests": 10_000},
            "rateLimiting": LIMITS,
            "modelsFile": "models.yaml",
            "providers": {
                "demo": {
                    "baseUrl": f"{demo.url}/v1",
                    "dialects": {"messages": {}, "gemini": {"baseUrl": f"{demo.url}/v1beta"}},
                }
            },
            **sections,
        }
        path.write_bytes(msgspec.yaml.encode(settings))
        models = [{"name": name, "provider": "demo", "model": model} for name, model in MODELS.items()]
        (folder / "models.yaml").write_bytes(msgspec.yaml.encode({"models": models}))
        async with Process(["serve", "--config", str(path), "--port", "0"]) as gateway:
            yield gateway


async def schemathesis(gateway: Process, folder: Path, *options: str) -> None:
    """Run it; an AssertionError with its report if anything is wrong."""
    fixed = {
        "--checks": ",".join(CHECKS),
        "--max-examples": str(EXAMPLES),
        "--phases": "examples,coverage,fuzzing",
        "--seed": "5",
        "--request-timeout": "20",
        "--suppress-health-check": "all",
        "--warnings": "off",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "schemathesis.cli", "run", f"{gateway.url}/openapi.json", "--no-color"),
        *(word for option in fixed.items() for word in option),
        *("--generation-deterministic", "--continue-on-failure", *options),
        cwd=folder,  # it keeps what it found, and a configuration it would take up
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), SECS)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, output.decode(errors="replace")[-20_000:]


async def answered(gateway: Process) -> set[str]:
    """The endpoints that gave an answer which is no error: where a model is unknown, not much is proven."""
    client = await gateway.client()
    found: set[str] = set()
    following: int | None = 0
    while following is not None:
        target = f"/admin/requests?outcome=ok&limit=1000&before={following}"
        page = (await client.fetch("GET", target, headers=[("Authorization", f"Bearer {ADMIN}")])).json
        found |= {request["endpoint"] for request in page["requests"]}
        following = page["next"]
    return found - {"models"}


async def test_every_endpoint_matches_the_description(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gw:
        needy = "|".join((BALANCES, DEAD_EVENTS, DEAD_LETTERS, STATE))
        left_out = ("--exclude-path", LOGIN, "--exclude-path", ENDLESS, "--exclude-path-regex", needy)
        await schemathesis(gw, tmp_path, "--header", BEARER, *left_out)
        assert await answered(gw) == {each.alias or each.path for each in ENDPOINTS}


async def test_requests_without_the_token_are_rejected(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gw:
        await schemathesis(
            gw, tmp_path, "--exclude-tag", "api", "--exclude-path", LOGIN, "--exclude-path-regex", BALANCES
        )


async def test_balances_match_the_description(tmp_path: Path) -> None:
    async with gateway(tmp_path, auth={"mode": "keys"}, billing={"enabled": True}) as gw:
        await schemathesis(gw, tmp_path, "--header", BEARER, "--include-path-regex", BALANCES)


async def test_balances_without_a_credential_are_rejected(tmp_path: Path) -> None:
    async with gateway(tmp_path, auth={"mode": "keys"}, billing={"enabled": True}) as gw:
        await schemathesis(gw, tmp_path, "--include-path-regex", BALANCES)


async def test_changes_of_deployments_match_the_description(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gw:
        await schemathesis(gw, tmp_path, "--header", BEARER, "--include-path-regex", STATE)


async def test_dead_events_match_the_description(tmp_path: Path) -> None:
    async with gateway(tmp_path, events={"webhooks": [{"url": "http://127.0.0.1:1/", "types": ["key_created"]}]}) as gw:
        await schemathesis(gw, tmp_path, "--header", BEARER, "--include-path-regex", DEAD_EVENTS)


async def test_login_matches_the_description(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gw:
        await schemathesis(gw, tmp_path, "--include-path", LOGIN, "--max-redirects", "0")


async def test_the_event_stream_matches_the_description(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gw:
        client = await gw.client()
        described = (await client.fetch("GET", "/openapi.json")).json["paths"][ENDLESS]["get"]["responses"]["200"]
        await client.request("GET", ENDLESS, headers=[("Authorization", f"Bearer {ADMIN}")])
        head = await client.read_head()
        assert head.status == 200
        assert [head.header("content-type")] == list(described["content"])
        assert described["x-events"].keys() == {"hello", "counters", "state", "request", "reload", "budget"}
