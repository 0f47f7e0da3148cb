"""Clients of npm against the gateway and providers that speak their APIs.

Claude Code, Codex and Gemini CLI run as a user starts them. The SDKs are those of Anthropic, Google and OpenAI.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from proxy.auth.apikey import digest_of, hash_from
from tests.clients.chat_api import ChatApi
from tests.clients.gemini_api import GeminiApi
from tests.clients.headless import ASSISTANTS, Desk, codex, codex_of_openai
from tests.clients.messages_api import MessagesApi
from tests.clients.native import BROKEN, NOTHING, Api, Provider
from tests.clients.responses_api import ResponsesApi
from tests.clients.sdks import Sdks
from tests.support import Upstream, Wait, error_json, json_answer, until
from tests.support.gateway import Gateway, GatewayProcess
from tests.support.steps import Script
from tests.support.upstream import Request

OURS = "the-providers-key"
KEY = "sk-sluice-" + "c" * 40
BILLING = b"x-anthropic-billing-header:"  # the beginning of a text that defeats the prompt caches of other providers

# Model, its name at the provider, endpoint, provider.
CALLS = {
    "claude": ("claude-mine", "claude-up", "messages", "claude"),
    "codex": ("gpt-mine", "up", "responses", "open"),
    "gemini": ("gemini-mine", "gemini-up", "streamGenerateContent", "google"),
}
# Prompts that let the demo call a tool: it names the tool, and what stands between backticks is the argument.
DEMO_PROMPTS = {
    "claude": "Use Read on `{note}`.",
    "codex": "Use exec_command on `cat '{note}'`.",
    "gemini": "Use read_file on `{note}`.",
}
# Models for which Codex sends other tools: a custom one beside functions; all in namespaces, within the input.
CODEX_TOOLS = {"gpt-5.5": {"exec_command", "apply_patch"}, "gpt-6.1-sol": {"exec", "spawn_agent"}}


def config(origin: str) -> dict[str, Any]:
    calls = [{"name": name, "provider": provider, "model": model} for name, model, _, provider in CALLS.values()]
    claude = {"baseUrl": f"{origin}/anthropic/v1", "apiKey": OURS}
    itself = {"name": "claude-itself", "provider": "itself", "model": "claude-up"}
    return {
        "auth": {"mode": "keys", "keys": [{"name": "one", "hash": hash_from(digest_of(KEY))}]},
        "providers": {
            "claude": {"kind": "anthropic"} | claude,
            "itself": {"kind": "anthropic", "dialects": {"messages": {"patches": []}}} | claude,
            "google": {"kind": "gemini", "baseUrl": f"{origin}/v1beta", "apiKey": OURS},
            "open": {"baseUrl": f"{origin}/openai/v1", "apiKey": OURS},
        },
        "models": [*calls, itself, *({"name": name, "provider": "open"} for name in CODEX_TOOLS)],
    }


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as up:
        yield up


@pytest.fixture
async def provider(up: Upstream) -> Provider:
    gemini = GeminiApi()
    apis: dict[str, Api] = {":streamGenerateContent": gemini, ":generateContent": gemini}
    apis |= {"/messages": MessagesApi(), "/responses": ResponsesApi(), "/chat/completions": ChatApi()}
    made = Provider(OURS, apis)
    up.on(made)
    return made


@pytest.fixture
async def outside() -> AsyncIterator[Upstream]:
    """The proxy of the clients, which refuses every address: no byte leaves this machine."""
    async with Upstream() as up:
        up.on_head(lambda request: json_answer(error_json("No such address"), 403))
        yield up


@pytest.fixture
async def gateway(up: Upstream) -> AsyncIterator[GatewayProcess]:
    async with GatewayProcess(config(up.origin)) as gw:
        yield gw


@pytest.fixture
def desk(gateway: GatewayProcess, outside: Upstream, tmp_path: Path) -> Desk:
    (tmp_path / "work").mkdir()
    return Desk(tmp_path, gateway.url, outside.origin, KEY)


@pytest.fixture
def secret(desk: Desk, provider: Provider) -> str:
    """What the note says. The provider calls the tool that reads it."""
    said = f"secret-{secrets.token_hex(8)}"
    desk.note.write_text(f"{said}\n")
    for assistant in ASSISTANTS.values():
        provider.tools |= assistant.calls(desk.note)
    return said


async def exchanges(gateway: GatewayProcess, count: int) -> list[dict[str, Any]]:
    """What the gateway logged of that many exchanges."""

    def found() -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in gateway.lines if line.startswith("{")]
        return [line for line in lines if line["event"] == "exchange"]

    await until(lambda: len(found()) >= count, f"{count} exchanges in the log")
    return found()


@pytest.mark.parametrize("name", ASSISTANTS)
async def test_an_assistant_reads_a_file(
    name: str, secret: str, desk: Desk, up: Upstream, provider: Provider, gateway: GatewayProcess
) -> None:
    model, upstream_model, endpoint, providers_name = CALLS[name]
    ran = await ASSISTANTS[name].run(desk, model)
    assert ran.status == 0, ran
    assert f"It says {secret} in there." in ran.out

    # A call of the tool, then its result; nothing else was sent, and nothing twice.
    assert provider.refused == []
    assert [(asked.model, asked.streamed, secret in asked.results) for asked in provider.asked] == [
        (upstream_model, True, False),
        (upstream_model, True, True),
    ]
    assert len(up.requests) == 2
    assert not any(KEY.encode() in request.raw_head for request in up.requests)

    api = next(api for end, api in provider.apis.items() if up.requests[0].target.partition("?")[0].endswith(end))
    lines = await exchanges(gateway, 2)
    for line, request in zip(lines, up.requests, strict=True):
        assert (line["endpoint"], line["provider"], line["model"]) == (endpoint, providers_name, model)
        assert (line["outcome"], line["error"], line["attempts"], line["stream"]) == ("ok", "", 1, True)
        assert line["tokens"] == api.usage
        # The body went on as it came, but for the name of the model, and Claude Code's billing header.
        assert BILLING not in request.body
        if name != "claude":
            renamed = 0 if name == "gemini" else len(upstream_model) - len(model)
            assert len(request.body) == line["bytes_in"] + renamed


async def test_anthropic_itself_gets_claude_codes_request_as_it_came(
    secret: str, desk: Desk, up: Upstream, provider: Provider, gateway: GatewayProcess
) -> None:
    """A provider without patches, as Anthropic's is by its address."""
    ran = await ASSISTANTS["claude"].run(desk, "claude-itself")
    assert (ran.status, provider.refused) == (0, []), ran
    for line, request in zip(await exchanges(gateway, 2), up.requests, strict=True):
        assert BILLING in request.body
        assert len(request.body) == line["bytes_in"] + len("claude-up") - len("claude-itself")


@pytest.mark.parametrize("name", ASSISTANTS)
async def test_an_assistant_reads_a_file_for_the_demo(name: str, outside: Upstream, tmp_path: Path) -> None:
    async with GatewayProcess({"demo": "auto"}) as gateway:
        desk = Desk(tmp_path, gateway.url, outside.origin, "any")
        desk.note.parent.mkdir()
        secret = f"secret-{secrets.token_hex(8)}"
        desk.note.write_text(f"{secret}\n")
        ran = await ASSISTANTS[name].run(desk, "demo-instant", prompt=DEMO_PROMPTS[name].format(note=desk.note))
        assert ran.status == 0, ran
        assert "The tool says" in ran.out
        assert secret in ran.out
        lines = await exchanges(gateway, 2)
        assert [(line["provider"], line["outcome"]) for line in lines] == [("demo", "ok")] * 2


@pytest.mark.parametrize("model", CODEX_TOOLS)
async def test_codex_sends_the_tools_of_each_model(model: str, secret: str, desk: Desk, provider: Provider) -> None:
    ran = await codex(desk, model)
    assert (ran.status, provider.refused) == (0, []), ran
    assert f"It says {secret} in there." in ran.out
    assert all(set(asked.tools) >= CODEX_TOOLS[model] for asked in provider.asked)


async def test_codex_falls_back_from_a_websocket_with_its_own_provider(
    secret: str, desk: Desk, gateway: GatewayProcess
) -> None:
    ran = await codex_of_openai(desk, "gpt-mine")
    assert ran.status == 0, ran
    assert f"It says {secret} in there." in ran.out
    assert [(line["status"], line["error"]) for line in await exchanges(gateway, 3)] == [
        (426, "no_websocket"),
        (200, ""),
        (200, ""),
    ]


@pytest.mark.parametrize("name", ["claude", "gemini"])
async def test_an_assistant_does_not_take_a_cut_answer_for_a_whole_one(
    name: str, secret: str, desk: Desk, provider: Provider, gateway: GatewayProcess
) -> None:
    """Each repeats the request, Claude Code without streaming."""
    provider.cuts = 1
    ran = await ASSISTANTS[name].run(desk, CALLS[name][0])
    assert ran.status == 0, ran
    assert f"It says {secret} in there." in ran.out
    assert [line["outcome"] for line in await exchanges(gateway, 3)] == ["ok", "broken", "ok"]


async def test_codex_shows_why_an_answer_was_cut_and_does_not_pay_for_it_again(
    desk: Desk, provider: Provider, gateway: GatewayProcess
) -> None:
    provider.cuts = 1
    ran = await codex(desk, CALLS["codex"][0])
    assert ran.status == 1, ran
    assert "The provider closed the connection early." in ran.err
    assert [line["outcome"] for line in await exchanges(gateway, 1)] == ["broken"]


@pytest.mark.parametrize(("name", "status"), [("claude", 529), ("codex", 503), ("gemini", 503)])
async def test_an_assistant_does_not_notice_an_overloaded_provider(
    name: str, status: int, secret: str, desk: Desk, provider: Provider, gateway: GatewayProcess
) -> None:
    provider.faults = [status]
    ran = await ASSISTANTS[name].run(desk, CALLS[name][0])
    assert ran.status == 0, ran
    assert f"It says {secret} in there." in ran.out
    assert [(line["outcome"], line["attempts"]) for line in await exchanges(gateway, 2)] == [("ok", 2), ("ok", 1)]


@pytest.mark.parametrize("name", ASSISTANTS)
async def test_an_assistant_ends_at_once_if_its_key_is_wrong(
    name: str, desk: Desk, up: Upstream, gateway: GatewayProcess
) -> None:
    desk.note.write_text("nothing")
    ran = await ASSISTANTS[name].run(desk._replace(key="sk-sluice-" + "d" * 40), CALLS[name][0])
    assert ran.status != 0
    assert "The credential is missing or not valid." in ran.out + ran.err
    # Codex repeats a 401, as often as stream_max_retries says.
    assert {line["status"] for line in await exchanges(gateway, 2 if name == "codex" else 1)} == {401}
    assert not up.requests


# A call of each costs little more than 0.01 USD, and may cost up to 0.015: its bytes, and the 32,000 tokens that Claude
# Code asks for.
PRICES = {"request": 0.01, "input": 0.05, "output": 0.05}
CAP = 0.05
# How a user caps a run at CAP: Gemini CLI names none itself.
CAPS = {
    "claude": {"ANTHROPIC_CUSTOM_HEADERS": f"x-router-budget-usd: {CAP}"},
    "codex": {},
    "gemini": {"GEMINI_CLI_CUSTOM_HEADERS": f"x-router-run: mine, x-router-budget-usd: {CAP}"},
}
CODEX_CAP = f'model_providers.sluice.http_headers={{"x-router-budget-usd"="{CAP}"}}'


@pytest.mark.parametrize("by", ["configuration", "header"])
@pytest.mark.parametrize("name", ASSISTANTS)
async def test_a_run_of_an_assistant_ends_with_its_budget_and_says_so(
    name: str, by: str, outside: Upstream, up: Upstream, provider: Provider, tmp_path: Path
) -> None:
    """It goes on as long as the budget covers the next call. The refused one is not repeated."""
    sections = config(up.origin)
    for model in sections["models"]:
        model["prices"] = PRICES
    if by == "configuration":
        sections["budgets"] = [{"name": "runs", "per": "run", "usd": CAP}]
    options = ("-c", CODEX_CAP) if name == "codex" and by == "header" else ()
    environ = CAPS[name] if by == "header" else {"GEMINI_CLI_CUSTOM_HEADERS": "x-router-run: mine"}
    async with GatewayProcess(sections) as gateway:
        desk = Desk(tmp_path, gateway.url, outside.origin, KEY)
        desk.note.parent.mkdir()
        desk.note.write_text("Read me again.\n")
        provider.tools |= ASSISTANTS[name].calls(desk.note)
        provider.loops = True
        ran = await ASSISTANTS[name].run(desk, CALLS[name][0], *options, **environ)
        *answered, refused = await exchanges(gateway, 5)
    assert ran.status != 0, ran
    assert [line["status"] for line in answered] == [200] * len(up.requests)
    assert (refused["status"], refused["error"], refused["attempts"]) == (429, "insufficient_quota", 0)
    assert len(answered) == 4  # the fifth might pass the cap
    budget = "runs" if by == "configuration" else "run"
    text = " ".join((ran.out + ran.err).split())
    assert f"The budget '{budget}' of this run does not cover this call: $0.0" in text
    assert f"of ${CAP:.2f} are spent" in text
    assert "It is not renewed" in text


async def test_a_sub_agent_of_codex_counts_for_the_run_of_its_parent(
    desk: Desk, up: Upstream, provider: Provider, gateway: GatewayProcess
) -> None:
    """Its calls name the session of its parent, and itself in a header of its own."""
    desk.note.write_text("nothing")
    provider.tools = {"spawn_agent": {"task_name": "reader", "message": "Say something."}}
    both = asyncio.Event()

    def answer(request: Request) -> Script:
        """The parent would end before its sub-agent has begun, so it has to wait for that."""
        if len(up.requests) == 3:
            both.set()
        return [Wait(both), *provider(request)] if len(up.requests) == 2 else provider(request)

    up.on(answer)
    ran = await codex(desk, "gpt-6.1-sol")
    assert (ran.status, provider.refused) == (0, []), ran
    runs = {line["run"] for line in await exchanges(gateway, 3)}
    assert len(runs) == 1
    assert runs != {""}


# -- SDKs

# Model, path, how a text ends, tokens of one answer as the SDK counts them: input, output.
SDKS = {
    "anthropic": ("claude-mine", "/messages", "end_turn", [100, 30]),
    "google": ("gemini-mine", ":streamGenerateContent", "STOP", [160, 50]),
    "responses": ("gpt-mine", "/responses", "completed", [140, 40]),
    "chat": ("gpt-mine", "/chat/completions", "stop", [90, 30]),
}


@pytest.fixture(scope="module")
def sdks() -> Iterator[Sdks]:
    with Sdks() as made:
        yield made


@pytest.fixture
async def gw(up: Upstream, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Gateway]:
    """A gateway in this process, without keys and retries, that pings often."""
    monkeypatch.setattr("proxy.relay.context.PING_EVERY", 0.1)
    routing = {"maxRetries": 0, "rateLimitRetries": 0}
    sections = {"auth": {"mode": "none"}, "routing": routing, "server": {"pingAfter": 0.1}}
    async with Gateway(config(up.origin) | sections) as made:
        yield made


def members(gw: Gateway, sdk: str, *, streamed: bool = True, **more: Any) -> dict[str, Any]:
    return {"url": gw.url, "key": KEY, "model": SDKS[sdk][0], "streamed": streamed} | more


@pytest.mark.parametrize("sdk", SDKS)
async def test_a_text_is_the_same_whole_and_streamed(sdk: str, sdks: Sdks, gw: Gateway) -> None:
    _, _, finish, usage = SDKS[sdk]
    whole = await sdks.call(sdk, **members(gw, sdk, streamed=False))
    streamed = await sdks.call(sdk, **members(gw, sdk))
    assert whole == {"text": NOTHING, "finish": finish, "usage": [usage], "pieces": [], "calls": [], "error": None}
    assert streamed | {"pieces": []} == whole
    assert len(streamed["pieces"]) > 1
    assert "".join(streamed["pieces"]) == NOTHING
    await gw.settled(2)
    assert [(line["stream"], line["outcome"]) for line in gw.exchanges] == [(False, "ok"), (True, "ok")]


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("sdk", SDKS)
async def test_a_tool_is_called_and_its_result_goes_back(
    sdk: str, streamed: bool, sdks: Sdks, gw: Gateway, provider: Provider
) -> None:
    _, path, _, usage = SDKS[sdk]
    provider.tools = {"read_note": {"path": "note.txt"}}
    secret = f"secret-{secrets.token_hex(8)}"
    found = await sdks.call(sdk, **members(gw, sdk, streamed=streamed, tool="read_note", result=secret))
    assert found["error"] is None
    assert found["calls"] == [["read_note", {"path": "note.txt"}]]
    assert found["text"] == f"It says {secret} in there."
    assert found["usage"] == [usage, usage]
    assert provider.refused == []
    await gw.settled(2)
    assert all(line["tokens"] == provider.apis[path].usage for line in gw.exchanges)


@pytest.mark.parametrize("sdk", SDKS)
async def test_an_error_before_the_first_token_has_its_status(
    sdk: str, sdks: Sdks, gw: Gateway, provider: Provider
) -> None:
    for status, relayed in ((400, 400), (503, 502)):
        provider.faults = [status]
        error = (await sdks.call(sdk, **members(gw, sdk)))["error"]
        assert error["status"] == relayed
        assert BROKEN in error["message"]


@pytest.mark.parametrize("wrong", ["cuts", "breaks"])
@pytest.mark.parametrize("sdk", SDKS)
async def test_a_stream_that_breaks_raises_after_its_first_token(
    sdk: str, wrong: str, sdks: Sdks, gw: Gateway, provider: Provider
) -> None:
    setattr(provider, wrong, 1)
    found = await sdks.call(sdk, **members(gw, sdk))
    assert found["text"] is None
    assert NOTHING.startswith(found["pieces"][0])
    said = BROKEN if wrong == "breaks" else "The provider closed the connection early."
    assert said in found["error"]["message"]
    assert (await gw.settled())["outcome"] == "broken"


@pytest.mark.parametrize("sdk", SDKS)
async def test_silence_is_filled_with_pings(sdk: str, sdks: Sdks, gw: Gateway, provider: Provider) -> None:
    before, within = provider.pauses = asyncio.Event(), asyncio.Event()

    async def pings() -> None:
        for _ in range(3):
            seen = gw.bytes_sent
            await until(lambda: gw.bytes_sent > seen, "a ping")  # noqa: B023

    call = asyncio.ensure_future(sdks.call(sdk, **members(gw, sdk)))
    await pings()
    before.set()
    await provider.paused.wait()
    await pings()
    within.set()
    found = await call
    assert (found["text"], found["finish"], found["error"]) == (NOTHING, SDKS[sdk][2], None)
    assert "".join(found["pieces"]) == NOTHING
