"""Claude Code, Codex and Gemini CLI over providers of chat, and each over the others' native providers."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from proxy.demo.server import Demo
from tests.clients.chat_api import ChatApi
from tests.clients.gemini_api import GeminiApi
from tests.clients.headless import ASSISTANTS, Desk, Run, claude, codex, codex_calls, gemini
from tests.clients.messages_api import MessagesApi
from tests.clients.native import SIGNATURE, Asked, Provider
from tests.clients.responses_api import ResponsesApi
from tests.support import Upstream, error_json, json_answer, until
from tests.support.gateway import GatewayProcess
from tests.support.steps import Script
from tests.support.upstream import Request
from tests.translation import gemini_rules, messages_rules, responses_rules
from tests.translation.chat_rules import KEY, of_body, of_head

MODEL = "glm-5.3"  # of the provider
# Codex has three shapes of requests: functions and a namespace; also a custom tool; and all tools within the input.
# It does not know the names of the first two models.
CODEX = ("mine", "gpt-6.1", "gpt-5.5", "gpt-6.1-sol")
# Client and the name of the model that it is told.
RUNS = [("claude", "claude-mine"), *(("codex", name) for name in CODEX), ("gemini", "gemini-mine")]
EACH_RUN = pytest.mark.parametrize(("client", "model"), RUNS)
NOTE, OTHER = "note.txt", "other.txt"
NAMES = sorted({model for _, model in RUNS})


class StrictChat(Provider):
    """Refuses what any of the known providers of this API does."""

    def __call__(self, request: Request) -> Script:
        reasons = [*of_head(request), *of_body(request.json)]
        if reasons:
            self.refused += reasons
            return json_answer(error_json(reasons[0], kind="invalid_request_error"), 400)
        return super().__call__(request)


class StrictMessages(Provider):
    """Refuses what Claude does."""

    def __call__(self, request: Request) -> Script:
        reasons = [*messages_rules.of_head(request), *messages_rules.of_body(request.json, {SIGNATURE})]
        if reasons:
            self.refused += reasons
            return json_answer(self.apis["/messages"].error(400, reasons[0]), 400)
        return super().__call__(request)


class StrictGemini(Provider):
    """Refuses what Google's newer models do: among others a step of the turn whose first call has no signature."""

    def __call__(self, request: Request) -> Script:
        model = gemini_rules.model_of(request)
        reasons = [*gemini_rules.of_head(request), *gemini_rules.of_body(request.json, model, {SIGNATURE})]
        if reasons:
            self.refused += reasons
            return json_answer(self.apis[""].error(400, reasons[0]), 400)
        return super().__call__(request)


class StrictResponses(Provider):
    """Refuses what servers of the Responses API do."""

    def __call__(self, request: Request) -> Script:
        reasons = [*responses_rules.of_head(request), *responses_rules.of_body(request.json, "", {SIGNATURE})]
        if reasons:
            self.refused += reasons
            return json_answer(self.apis["/responses"].error(400, reasons[0]), 400)
        return super().__call__(request)


class ParallelGemini(GeminiApi):
    """Calls the tool for another file at the same time. Google signs the first call only."""

    def calls(self, asked: Asked, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        answer = super().calls(asked, name, arguments)
        other = json.loads(json.dumps(arguments).replace(NOTE, OTHER))
        answer["candidates"][0]["content"]["parts"].append({"functionCall": {"name": name, "args": other}})
        return answer


@pytest.fixture
async def outside() -> AsyncIterator[Upstream]:
    """The proxy of the clients, which refuses every address: no byte leaves this machine."""
    async with Upstream() as up:
        up.on_head(lambda request: json_answer(error_json("No such address"), 403))
        yield up


def config(base_url: str, **models: Any) -> dict[str, Any]:
    provider = {"baseUrl": base_url, "apiKey": KEY, "dialects": {"responses": {"enabled": False}}}
    return {
        "providers": {"chat": provider},
        "models": [{"name": name, "provider": "chat", **models} for name in NAMES],
    }


def desk_of(gateway: GatewayProcess, outside: Upstream, home: Path) -> tuple[Desk, str]:
    """A home folder with a note, and the secret in the note."""
    desk = Desk(home, gateway.url, outside.origin, "any")
    desk.note.parent.mkdir()
    secret = f"secret-{secrets.token_hex(8)}"
    desk.note.write_text(f"{secret}\n")
    return desk, secret


async def exchanges(gateway: GatewayProcess, count: int) -> list[dict[str, Any]]:
    """What the gateway logged of that many exchanges."""

    def found() -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in gateway.lines if line.startswith("{")]
        return [line for line in lines if line["event"] == "exchange"]

    await until(lambda: len(found()) >= count, f"{count} exchanges in the log")
    return found()


def tools_of(client: str, desk: Desk) -> dict[str, dict[str, Any]]:
    """What the provider calls to read the note, by the names that it gets. Those of namespaces are flattened."""
    calls = ASSISTANTS[client].calls(desk.note)
    return calls | {f"functions__{name}": arguments for name, arguments in calls.items()}


async def run(client: str, desk: Desk, model: str, **options: Any) -> Run:
    found: Run = await ASSISTANTS[client].run(desk, model, **options)
    return found


@EACH_RUN
async def test_an_assistant_reads_a_file(client: str, model: str, outside: Upstream, tmp_path: Path) -> None:
    async with Upstream() as up, GatewayProcess(config(up.url, model=MODEL)) as gateway:
        desk, secret = desk_of(gateway, outside, tmp_path)
        up.on(provider := StrictChat(KEY, {"/chat/completions": ChatApi()}, tools_of(client, desk)))
        ran = await run(client, desk, model)
        assert provider.refused == []
        assert (ran.status, f"It says {secret} in there." in ran.out) == (0, True), ran
        # A call of the tool, then its result; nothing was sent twice.
        assert [(asked.model, asked.streamed, secret in asked.results) for asked in provider.asked] == [
            (MODEL, True, False),
            (MODEL, True, True),
        ]
        for line in await exchanges(gateway, 2):
            assert (line["outcome"], line["error"], line["attempts"], line["stream"]) == ("ok", "", 1, True)
            assert line["tokens"] == ChatApi.usage
        assert b"x-anthropic-billing-header" not in b"".join(request.body for request in up)


@EACH_RUN
async def test_an_assistant_reads_a_file_for_the_demo(
    client: str, model: str, outside: Upstream, tmp_path: Path
) -> None:
    """The demo calls the tool that the prompt names, with what stands between backticks as its argument."""
    demo = Demo()
    port = await demo.start("127.0.0.1", 0)
    try:
        # Claude Code's system message in the middle would be a user's text, which the demo takes for the prompt.
        models = {"model": "demo-instant", "capabilities": {"lateSystem": True}}
        async with GatewayProcess(config(f"http://127.0.0.1:{port}/v1", **models)) as gateway:
            desk, secret = desk_of(gateway, outside, tmp_path)
            if client == "claude":
                ran = await claude(desk, model, prompt=f"Use Read on `{desk.note}`.")
            elif client == "gemini":
                ran = await gemini(desk, model, prompt=f"Use read_file on `{desk.note}`.")
            elif model == "gpt-6.1-sol":
                program = codex_calls(desk.note)["exec"]["input"]
                ran = await codex(desk, model, prompt=f"Use exec on `{program}`.")
            else:
                ran = await codex(desk, model, prompt=f"Use exec_command on `cat '{desk.note}'`.")
            assert ran.status == 0, ran
            assert "The tool says" in ran.out
            assert secret in ran.out
            assert [line["outcome"] for line in await exchanges(gateway, 2)] == ["ok", "ok"]
    finally:
        await demo.stop()


@pytest.mark.parametrize(("client", "model"), [RUNS[0], RUNS[-1]])
async def test_a_cut_answer_is_not_taken_for_a_whole_one(
    client: str, model: str, outside: Upstream, tmp_path: Path
) -> None:
    """Claude Code repeats the request without streaming, Gemini CLI as it was."""
    async with Upstream() as up, GatewayProcess(config(up.url, model=MODEL)) as gateway:
        desk, secret = desk_of(gateway, outside, tmp_path)
        tools = tools_of(client, desk)
        up.on(provider := StrictChat(KEY, {"/chat/completions": ChatApi()}, tools, cuts=1))
        ran = await run(client, desk, model)
        assert (ran.status, provider.refused) == (0, []), ran
        assert f"It says {secret} in there." in ran.out
        assert [line["outcome"] for line in await exchanges(gateway, 3)] == ["ok", "broken", "ok"]


@pytest.mark.parametrize("model", CODEX)
async def test_codex_shows_why_an_answer_was_cut_and_does_not_pay_for_it_again(
    model: str, outside: Upstream, tmp_path: Path
) -> None:
    async with Upstream() as up, GatewayProcess(config(up.url, model=MODEL)) as gateway:
        desk, _ = desk_of(gateway, outside, tmp_path)
        tools = tools_of("codex", desk)
        up.on(provider := StrictChat(KEY, {"/chat/completions": ChatApi()}, tools, cuts=1))
        ran = await run("codex", desk, model)
        assert (ran.status, provider.refused) == (1, []), ran
        assert "The provider closed the connection early." in ran.err
        assert [line["outcome"] for line in await exchanges(gateway, 2)] == ["ok", "broken"]


@pytest.mark.parametrize(("client", "model"), RUNS[1:])
async def test_an_assistant_reads_a_file_with_claude(
    client: str, model: str, outside: Upstream, tmp_path: Path
) -> None:
    """Its signed reasoning comes back unchanged, or the provider refuses the tool's result.

    Gemini CLI forgets the thoughts, so they are in the signature of the call.
    """
    async with Upstream() as up:
        provider = {"baseUrl": up.url, "apiKey": messages_rules.KEY, "kind": "anthropic"}
        names = [{"name": model, "provider": "claude", "model": "claude-opus-4-8"}]
        async with GatewayProcess({"providers": {"claude": provider}, "models": names}) as gateway:
            desk, secret = desk_of(gateway, outside, tmp_path)
            up.on(
                claude_api := StrictMessages(messages_rules.KEY, {"/messages": MessagesApi()}, tools_of(client, desk))
            )
            ran = await run(client, desk, model)
            assert claude_api.refused == []
            assert (ran.status, f"It says {secret} in there." in ran.out) == (0, True), ran
            assert [secret in asked.results for asked in claude_api.asked] == [False, True]
            assert (claude_api.asked[1].reasons, claude_api.asked[1].signed) == (True, True)
            for line in await exchanges(gateway, 2):
                assert (line["outcome"], line["tokens"]) == ("ok", MessagesApi.usage)


@pytest.mark.parametrize(("client", "model"), RUNS[:-1])
async def test_an_assistant_reads_two_files_with_gemini(
    client: str, model: str, outside: Upstream, tmp_path: Path
) -> None:
    """The signature of the first of two parallel calls comes back, or the provider refuses their results."""
    async with Upstream() as up:
        provider = {"baseUrl": f"{up.origin}/v1beta", "apiKey": gemini_rules.KEY, "kind": "gemini"}
        names = [{"name": model, "provider": "google", "model": gemini_rules.MODEL}]
        async with GatewayProcess({"providers": {"google": provider}, "models": names}) as gateway:
            desk, secret = desk_of(gateway, outside, tmp_path)
            desk.note.with_name(OTHER).write_text("The other one.\n")
            up.on(google := StrictGemini(gemini_rules.KEY, {"": ParallelGemini()}, tools_of(client, desk)))
            ran = await run(client, desk, model)
            assert google.refused == []
            assert (ran.status, f"It says {secret} in there." in ran.out) == (0, True), ran
            assert [
                (asked.model, asked.streamed, secret in asked.results, "The other one." in asked.results, asked.signed)
                for asked in google.asked
            ] == [(gemini_rules.MODEL, True, False, False, False), (gemini_rules.MODEL, True, True, True, True)]
            for line in await exchanges(gateway, 2):
                assert (line["outcome"], line["error"], line["tokens"]) == ("ok", "", GeminiApi.usage)
            assert b"x-anthropic-billing-header" not in b"".join(request.body for request in up)


@pytest.mark.parametrize(("client", "model"), [RUNS[0], RUNS[-1]])
async def test_an_assistant_reads_a_file_with_the_responses_api(
    client: str, model: str, outside: Upstream, tmp_path: Path
) -> None:
    """Its encrypted reasoning comes back unchanged, or the provider refuses the tool's result."""
    async with Upstream() as up:
        dialects = {"chat": {"enabled": False}}
        provider = {"baseUrl": up.url, "apiKey": responses_rules.KEY, "dialects": dialects}
        names = [{"name": model, "provider": "gpt", "model": MODEL}]
        async with GatewayProcess({"providers": {"gpt": provider}, "models": names}) as gateway:
            desk, secret = desk_of(gateway, outside, tmp_path)
            up.on(gpt := StrictResponses(responses_rules.KEY, {"/responses": ResponsesApi()}, tools_of(client, desk)))
            ran = await run(client, desk, model)
            assert gpt.refused == []
            assert (ran.status, f"It says {secret} in there." in ran.out) == (0, True), ran
            assert [secret in asked.results for asked in gpt.asked] == [False, True]
            assert (gpt.asked[1].reasons, gpt.asked[1].signed) == (True, True)
            for line in await exchanges(gateway, 2):
                assert (line["outcome"], line["tokens"]) == ("ok", ResponsesApi.usage)
