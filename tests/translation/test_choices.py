"""Several answers to one request, which chat and the Gemini API have, for each other's clients."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.genai.errors import ClientError
from openai import APIError

from tests.support import Chunk, Headers, LastChunk
from tests.support.answers import DONE, SSE_HEADERS, sse
from tests.support.openai_sdk import read_stream
from tests.translation import chat_provider, google_sdk
from tests.translation.cases.tools import ROOM, ROOM_TEXT, tools
from tests.translation.cells import CALLS, GEMINI, Json, Pair, Word
from tests.translation.gemini_provider import answer, call, events, several, text, thought
from tests.translation.grammar import check_chat
from tests.translation.rig import StrictProvider, served
from tests.translation.sdks import ask, refusal, sdk_of

# Cells of the table that this file proves.
PROVEN: dict[str, dict[Pair, Word]] = {
    "`n` above 1": {Pair("chat", "gemini"): "400", Pair("gemini", "chat"): "yes"},
    "`n` above 1, for a Gemini model that gives several answers": {Pair("chat", "gemini"): "yes"},
}

MODEL = "gemini-2.5-flash"  # newer ones give one answer
SIGNATURE = "b2YgdGhlIGNhbGw="
STREAM = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


async def several_said(provider: StrictProvider, *, stream: bool, **more: Any) -> list[Json]:
    """The choices as the SDK reads them."""
    members = CALLS["chat"] | {"n": 2, "stream_options": {"include_usage": True}} | more
    async with served(provider, model=MODEL) as gw, sdk_of("chat", gw) as sdk:
        if stream:
            chunks = [chunk.to_dict() async for chunk in await sdk.chat.completions.create(**members, stream=True)]
            for index in (0, 1):
                check_chat([only(index, chunk) for chunk in chunks if holds(index, chunk)])
            found: Json = read_stream(b"".join(sse(chunk) for chunk in chunks) + DONE).to_dict()
        else:
            del members["stream_options"]
            found = (await sdk.chat.completions.create(**members)).to_dict()
        assert (await gw.settled())["outcome"] == "ok"
    assert provider.refused == []
    assert (found["usage"]["prompt_tokens"], found["usage"]["completion_tokens"]) == (90, 30)
    choices: list[Json] = found["choices"]
    assert [choice["index"] for choice in choices] == [0, 1]
    return choices


def only(index: int, chunk: Json) -> Json:
    return chunk | {"choices": [choice for choice in chunk["choices"] if choice["index"] == index]}


def holds(index: int, chunk: Json) -> bool:
    """Whether a chunk is of this choice, or of all."""
    return not chunk["choices"] or chunk["choices"][0]["index"] == index


@STREAM
async def test_each_choice_has_its_own_text_calls_and_finish(stream: bool) -> None:
    provider = StrictProvider("gemini")
    called = call("weather", {"city": "Bonn"}, thoughtSignature=SIGNATURE)
    cut = answer(thought("Hm."), text("A long text. "), text("Over."), finish="MAX_TOKENS")
    provider.answers.append(several(cut, answer(text("So:"), called)))
    first, second = await several_said(provider, stream=stream, reasoning_effort="low", **tools()["chat"])
    assert provider.asked[0]["generationConfig"]["candidateCount"] == 2
    assert (first["message"]["content"], first["finish_reason"]) == ("A long text. Over.", "length")
    assert (first["message"]["reasoning_content"], first["message"].get("tool_calls")) == ("Hm.", None)
    assert (second["message"]["content"], second["finish_reason"]) == ("So:", "tool_calls")
    (made,) = second["message"]["tool_calls"]
    assert (made["function"]["name"], json.loads(made["function"]["arguments"])) == ("weather", {"city": "Bonn"})
    assert "reasoning_content" not in second["message"]


@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_choices_are_told_apart_however_the_stream_is_cut(size: int) -> None:
    provider = StrictProvider("gemini")
    stream = b"".join(events(several(answer(text("One and two.")), answer(text("Three."), finish="SAFETY"))))
    cut = [Chunk(stream[at : at + size]) for at in range(0, len(stream), size)]
    provider.scripts.append([Headers(200, SSE_HEADERS), *cut, LastChunk()])
    choices = await several_said(provider, stream=True)
    found = [(choice["message"]["content"], choice["finish_reason"]) for choice in choices]
    assert found == [("One and two.", "stop"), ("Three.", "content_filter")]


@STREAM
async def test_fewer_choices_than_the_client_wants_are_told(stream: bool) -> None:
    provider = StrictProvider("gemini")
    async with served(provider, model=MODEL) as gw, sdk_of("chat", gw) as sdk:
        found = await ask("chat", sdk, CALLS["chat"] | {"n": 3}, stream=stream)
        report = await gw.settled()
    assert [choice["index"] for choice in found.answer["choices"]] == [0]
    assert report["dropped"] == ["n"]


@pytest.mark.parametrize(("model", "count"), [(GEMINI, 2), (MODEL, 9)])
async def test_more_choices_than_the_model_gives_are_refused_by_name(model: str, count: int) -> None:
    async with served(StrictProvider("gemini"), model=model) as gw, sdk_of("chat", gw) as sdk:
        with pytest.raises(APIError) as caught:
            await ask("chat", sdk, CALLS["chat"] | {"n": count}, stream=False)
    assert caught.value.param == "n"


# Clients of the Gemini API


@STREAM
async def test_each_candidate_has_its_own_text_calls_and_finish(stream: bool) -> None:
    provider = StrictProvider("chat")
    calls = [chat_provider.call(each, "weather", ROOM_TEXT) for each in ("a", "b")]
    called = chat_provider.answer("tool_calls", tool_calls=calls)
    cut = chat_provider.answer("length", content="A long text.", reasoning_content="Hm.")
    provider.answers.append(chat_provider.several(called, cut))
    config = {"candidateCount": 2, "thinkingConfig": {"includeThoughts": True}}
    async with served(provider) as gw, sdk_of("gemini", gw) as sdk:
        call_ = CALLS["gemini"] | tools()["gemini"] | {"generationConfig": config}
        found, _, chunks = await google_sdk.generate(sdk, call_, streamed=stream)
        assert (await gw.settled())["outcome"] == "ok"
    assert provider.refused == []
    assert provider.asked[0]["n"] == 2
    first, second = sorted(found["candidates"], key=lambda each: int(each.get("index", 0)))
    made = [part["functionCall"] for part in first["content"]["parts"]]
    assert made == [{"id": each, "name": "weather", "args": ROOM} for each in ("a", "b")]
    assert [part["text"] for part in second["content"]["parts"] if not part.get("thought")] == ["A long text."]
    assert [part["text"] for part in second["content"]["parts"] if part.get("thought")] == ["Hm."]
    assert [each["finishReason"] for each in (first, second)] == ["STOP", "MAX_TOKENS"]
    assert (found["usageMetadata"]["promptTokenCount"], found["usageMetadata"]["totalTokenCount"]) == (100, 130)
    assert ["usageMetadata" in chunk for chunk in chunks] == [False] * (len(chunks) - 1) + [True] * stream


@pytest.mark.parametrize(("server", "count"), [("", 9), ("groq", 2)])
async def test_more_candidates_than_the_server_gives_are_refused_by_name(server: str, count: int) -> None:
    provider = StrictProvider("chat", server=server)
    async with served(provider, at=server) as gw, sdk_of("gemini", gw) as sdk:
        with pytest.raises(ClientError) as caught:
            await ask("gemini", sdk, CALLS["gemini"] | {"generationConfig": {"candidateCount": count}}, stream=False)
    assert refusal(caught.value).member == "generationConfig.candidateCount"
    assert provider.asked == []
