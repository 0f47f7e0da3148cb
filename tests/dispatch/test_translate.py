"""Calls whose provider does not speak the client's dialect, among other candidates."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from proxy.dialects.translation.conversation import Conversation, ConversationMessage, Text, ToolDefinition
from proxy.dispatch.translate import kept
from tests.support import (
    Answer,
    Stall,
    Upstream,
    Wait,
    chat_events,
    completion,
    error_json,
    json_answer,
    sse_answer,
    until,
)
from tests.support.gateway import Gateway

AUDIO = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "content": [{"type": "text", "text": "from Claude"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 1, "output_tokens": 2},
}


def ask(*content: Any, **more: Any) -> dict[str, Any]:
    return {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": list(content) or "hi"}]} | more


@asynccontextmanager
async def gateway(*kinds: str, **sections: Any) -> AsyncIterator[tuple[Gateway, list[Upstream]]]:
    """One model at providers of these kinds, which are tried in order."""
    async with AsyncExitStack() as stack:
        ups = [await stack.enter_async_context(Upstream()) for _ in kinds]
        providers = {
            f"p{n}": {"kind": kind, "baseUrl": up.url, "apiKey": "secret-key"}
            for n, (kind, up) in enumerate(zip(kinds, ups, strict=True))
        }
        models = [{"name": "m", "provider": name, "model": f"up-{name}"} for name in providers]
        routing = {"retryDelay": 0, "maxRetries": 3, "rateLimitRetries": 0} | sections.pop("routing", {})
        config = {"providers": providers, "models": models, "routing": routing}
        yield await stack.enter_async_context(Gateway(config | sections)), ups


async def post(gw: Gateway, path: str, body: Any, **request: Any) -> Answer:
    client = await gw.client()
    return await client.fetch("POST", path, json=body, **request)


async def test_an_audio_goes_to_the_candidate_that_takes_it() -> None:
    async with gateway("anthropic", "openai") as (gw, (claude, gpt)):
        gpt.queue(json_answer(completion("heard")))
        answer = await post(gw, "/v1/chat/completions", ask(AUDIO))
        assert answer.json["choices"][0]["message"]["content"] == "heard"
        assert not list(claude)
        assert answer.json["_router"]["errors"][0]["error"] == "untranslatable"


async def test_what_no_candidate_takes_is_refused_with_the_member_s_name() -> None:
    async with gateway("anthropic") as (gw, (claude,)):
        answer = await post(gw, "/v1/chat/completions", ask(AUDIO))
        assert answer.status == 400
        assert answer.json["error"]["code"] == "untranslatable"
        assert answer.json["error"]["param"].startswith("messages[].content[]")
        assert not list(claude)


async def test_a_wrong_member_is_refused_in_the_client_s_own_format() -> None:
    async with gateway("openai") as (gw, (gpt,)):
        answer = await post(gw, "/v1/messages", ask({"type": "text", "text": 5}))
        assert answer.status == 400
        assert answer.json["type"] == "error"
        assert "messages[0].content[0].text" in answer.json["error"]["message"]
        assert not list(gpt)


async def test_an_outage_counts_more_than_a_candidate_that_cannot_take_the_request() -> None:
    async with gateway("openai", "anthropic") as (gw, (gpt, _)):
        gpt.queue(*[json_answer(error_json("broken"), 500)] * 3)
        answer = await post(gw, "/v1/chat/completions", ask(AUDIO))
        assert answer.status == 502


async def test_a_call_nested_as_deeply_as_can_be_is_translated_or_refused() -> None:
    async with gateway("openai") as (gw, (gpt,)):
        gpt.on(lambda request: json_answer(completion()))
        client = await gw.client()
        before, after = json.dumps(
            {
                "model": "m",
                "max_tokens": 9,
                "messages": [
                    {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": "HERE"}]},
                    {"role": "user", "content": "go on"},
                ],
            }
        ).split('"HERE"')
        statuses = []
        for depth in range(900, 1001):
            body = before + '{"a":' * depth + "1" + "}" * depth + after
            answer = await client.fetch("POST", "/v1/messages", body=body.encode())
            statuses.append(answer.status)
        assert statuses == sorted(statuses)
        assert set(statuses) == {200, 400}


async def test_an_answer_that_is_too_large_to_be_translated_is_never_passed_as_it_is() -> None:
    async with gateway("openai", server={"maxAnswerMb": 0.01}) as (gw, (gpt,)):
        gpt.on(lambda request: json_answer(completion("x" * 20_000)))
        answer = await post(gw, "/v1/messages", ask())
        assert (answer.status, answer.json["error"]["type"]) == (502, "api_error")
        assert "limit 10485 bytes" in answer.json["error"]["message"]


async def test_a_provider_s_error_has_the_client_s_form() -> None:
    async with gateway("anthropic") as (gw, (claude,)):
        claude.queue(
            json_answer({"type": "error", "error": {"type": "invalid_request_error", "message": "too long"}}, 400)
        )
        answer = await post(gw, "/v1/chat/completions", ask())
        assert answer.status == 400
        assert answer.json["error"]["message"] == "too long"
        assert "type" not in answer.json


async def test_the_log_says_how_to_translate_for_a_provider_that_lacks_the_endpoint() -> None:
    async with gateway("openai") as (gw, (gpt,)):
        gpt.queue(json_answer(error_json("Not Found"), 404))
        await post(gw, "/v1/responses", {"model": "m", "input": "hi"})
        assert "providers.p0.dialects.responses; if it has no such endpoint" in (await gw.settled())["detail"]


async def test_the_log_names_the_address_that_a_translated_request_went_to() -> None:
    async with gateway("openai") as (gw, (gpt,)):
        gpt.queue(json_answer(error_json("Not Found"), 404))
        await post(gw, "/v1/messages", ask())
        assert f"{gpt.url}/chat/completions: check providers.p0)" in (await gw.settled())["detail"]


async def test_refused_stream_options_are_left_out_the_second_time() -> None:
    async with gateway("openai") as (gw, (gpt,)):
        gpt.queue(json_answer(error_json("unknown member stream_options"), 400), sse_answer(*chat_events("a")))
        await post(gw, "/v1/messages", ask(stream=True))
        first, second = await gpt.request(0), await gpt.request(1)
        assert first.json["stream_options"] == {"include_usage": True}
        assert "stream_options" not in second.json


async def test_the_client_s_options_of_its_own_api_are_not_sent() -> None:
    async with gateway("openai") as (gw, (gpt,)):
        gpt.queue(json_answer(completion()))
        headers = [("anthropic-version", "2023-06-01"), ("anthropic-beta", "x"), ("x-stainless-lang", "python")]
        await post(gw, "/v1/messages?beta=true", ask(), headers=headers)
        request = await gpt.request()
        names = {name.lower() for name, _ in request.headers}
        assert request.target == "/v1/chat/completions"
        assert not names & {"anthropic-version", "anthropic-beta", "x-stainless-lang"}


async def test_a_messages_provider_gets_a_version() -> None:
    async with gateway("anthropic") as (gw, (claude,)):
        claude.queue(json_answer(MESSAGE))
        answer = await post(gw, "/v1/chat/completions", ask())
        request = await claude.request()
        assert request.target == "/v1/messages"
        assert request.header("anthropic-version") == "2023-06-01"
        assert request.header("x-api-key") == "secret-key"
        assert answer.json["choices"][0]["message"]["content"] == "from Claude"


async def test_what_is_dropped_is_told_in_the_header_the_answer_and_the_log() -> None:
    async with gateway("anthropic") as (gw, (claude,)):
        claude.queue(json_answer(MESSAGE))
        answer = await post(gw, "/v1/chat/completions", ask(logit_bias={"1": 1}, brand_new=True))
        assert answer.header("x-router-dropped") == "brand_new, logit_bias"
        assert answer.json["_router"]["dropped"] == ["brand_new", "logit_bias"]
        assert (await gw.settled())["dropped"] == ["brand_new", "logit_bias"]


async def test_what_a_failed_translation_lost_is_not_told_of_another_candidate_s_answer() -> None:
    async with gateway("anthropic", "openai") as (gw, (claude, gpt)):
        claude.queue(*[json_answer(error_json("broken"), 500)] * 2)
        gpt.queue(json_answer(completion()))
        answer = await post(gw, "/v1/chat/completions", ask(logit_bias={"1": 1}))
        assert answer.status == 200
        assert answer.header("x-router-dropped") is None
        assert "dropped" not in answer.json["_router"]


async def test_a_hedged_answer_tells_what_its_own_translation_lost() -> None:
    async with gateway("openai", "anthropic", routing={"hedgeAfterMs": 1}) as (gw, (gpt, claude)):
        gpt.queue([Stall()])
        claude.queue(json_answer(MESSAGE))
        answer = await post(gw, "/v1/chat/completions", ask(logit_bias={"1": 1}))
        assert answer.json["_router"]["dropped"] == ["logit_bias"]


async def test_nothing_is_dropped_with_on_loss_refuse() -> None:
    async with gateway("anthropic", translate={"onLoss": "refuse"}) as (gw, (claude,)):
        answer = await post(gw, "/v1/chat/completions", ask(logit_bias={"1": 1}))
        assert (answer.status, answer.json["error"]["param"]) == (400, "logit_bias")
        assert not list(claude)


async def test_half_a_surrogate_pair_in_arguments_is_replaced() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": r'{"a":"\ud83d"}'}}
    body = ask(tools=[{"type": "function", "function": {"name": "f"}}])
    body["messages"] += [
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "ok"},
    ]
    async with gateway("anthropic") as (gw, (claude,)):
        claude.queue(json_answer(MESSAGE))
        assert (await post(gw, "/v1/chat/completions", body)).status == 200
        assert (await claude.request()).json["messages"][1]["content"][0]["input"] == {"a": "\ufffd"}


async def test_an_alias_names_the_translated_answer() -> None:
    async with gateway("anthropic", aliases={"best": "m"}) as (gw, (claude,)):
        claude.queue(json_answer(MESSAGE))
        answer = await post(gw, "/v1/chat/completions", ask(model="best"))
        assert answer.json["model"] == "best"


@pytest.mark.parametrize("recovery", ["fail", "hold"])
async def test_a_stream_is_translated_with_and_without_hold(recovery: str) -> None:
    async with gateway("openai", routing={"streamRecovery": recovery}) as (gw, (gpt,)):
        gpt.queue(sse_answer(*chat_events("Hello", " there")))
        answer = await post(gw, "/v1/messages", ask(stream=True))
        assert answer.body.count(b"event: message_start") == answer.body.count(b"event: message_stop") == 1
        assert b'"Hello"' in answer.body
        assert (await gw.settled())["outcome"] == "ok"


async def test_a_whole_answer_to_a_request_for_a_stream_becomes_one() -> None:
    async with gateway("anthropic") as (gw, (claude,)):
        claude.queue(json_answer(MESSAGE))
        wanted = ask(stream=True, stream_options={"include_usage": True})
        answer = await post(gw, "/v1/chat/completions", wanted, headers=[("x-router-metadata", "true")])
        line = await gw.settled()
    assert answer.header("content-type") == "text/event-stream; charset=utf-8"
    assert answer.body.startswith(b": _router {")
    assert answer.body.endswith(b"data: [DONE]\n\n")
    chunks = [json.loads(each.removeprefix("data: ")) for each in answer.body.decode().splitlines()[2:-2:2]]
    assert "".join(each["choices"][0]["delta"].get("content", "") for each in chunks[:-1]) == "from Claude"
    assert chunks[-1]["usage"]["completion_tokens"] == 2
    assert (line["outcome"], line["tokens"]["output"]) == ("ok", 2)


async def test_a_whole_answer_to_a_request_for_an_array_of_chunks_becomes_one() -> None:
    async with gateway("openai") as (gw, (gpt,)):
        gpt.queue(json_answer(completion("from GPT")))
        body = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
        answer = await post(gw, "/v1beta/models/m:streamGenerateContent", body)
    assert answer.json[0]["candidates"][0]["content"]["parts"] == [{"text": "from GPT"}]
    assert answer.json[-1]["candidates"][0]["finishReason"] == "STOP"


async def test_a_whole_answer_after_a_ping_is_the_rest_of_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.relay.context.PING_EVERY", 0.05)
    pinged = asyncio.Event()
    async with gateway("openai", server={"pingAfter": 0.05}) as (gw, (gpt,)):
        gpt.queue([Wait(pinged), *json_answer(completion("from GPT"))])
        call = asyncio.ensure_future(post(gw, "/v1/messages", ask(stream=True)))
        await until(lambda: gw.bytes_sent > 0, "a ping")
        pinged.set()
        answer = await call
    assert answer.body.startswith(b"event: ping")
    assert answer.body.count(b"event: message_stop") == 1


async def test_a_stream_that_breaks_ends_with_the_client_s_own_error() -> None:
    async with gateway("openai") as (gw, (gpt,)):
        gpt.queue(sse_answer(*chat_events("Hello", " there")[:2]))
        answer = await post(gw, "/v1/messages", ask(stream=True))
        assert answer.body.endswith(b"}\n\n")
        assert answer.body.count(b"event: error") == 1
        assert b"message_stop" not in answer.body
        assert (await gw.settled())["outcome"] == "broken"


async def test_a_count_of_tokens_is_refused_so_that_the_client_estimates() -> None:
    async with gateway("openai") as (gw, (gpt,)):
        answer = await post(gw, "/v1/messages/count_tokens", ask())
        assert (answer.status, answer.json["error"]["type"]) == (501, "not_supported")
        assert answer.header("x-should-retry") == "false"
        assert not list(gpt)


async def test_without_translation_the_endpoint_is_not_supported() -> None:
    async with gateway("openai", translate={"enabled": False}) as (gw, _):
        answer = await post(gw, "/v1/messages", ask())
        assert answer.status == 400
        assert "does not serve messages" in answer.json["error"]["message"]


def test_an_answer_keeps_nothing_large_of_its_request() -> None:
    shell = ToolDefinition("shell", call_type="shell_call")
    found = kept(
        Conversation(
            "openai.responses",
            [ConversationMessage("system", [Text("Be brief.")])],
            [ToolDefinition("read", parameters={"type": "object"}), shell],
            end_user="u",
        )
    )
    assert found == Conversation("openai.responses", [], [shell], end_user="u")
