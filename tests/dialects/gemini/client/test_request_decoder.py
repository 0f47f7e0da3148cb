"""Whole requests of the Gemini API in neutral terms."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.gemini.client.request_decoder import GeminiRequestDecoder
from proxy.dialects.translation.conversation import (
    Conversation,
    ConversationMessage,
    JsonFormat,
    SamplingSettings,
    Text,
    ThinkingSettings,
    ToolChoice,
)
from proxy.errors import ClientFault
from tests.support.gemini_requests import call, decoded, dropped, model, refused, result, user
from tests.support.recorded import MISSING, Case, cases

SCHEMA = {"type": "OBJECT", "properties": {"cityName": {"type": "STRING", "maxLength": "9"}}, "required": ["cityName"]}
WHOLE: dict[str, Any] = {
    "systemInstruction": {"parts": [{"text": "Be brief."}]},
    "contents": [
        user("Hi", {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}),
        model(call("weather", "c1", cityName="Rome")),
        user(result("weather", "c1", output="sun")),
    ],
    "tools": [{"functionDeclarations": [{"name": "weather", "parameters": SCHEMA}]}],
    "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["weather", "news"]}},
    "generationConfig": {
        "maxOutputTokens": 50,
        "stopSequences": ["END"],
        "topP": 0.5,
        "topK": 4,
        "responseMimeType": "application/json",
        "responseSchema": SCHEMA,
        "thinkingConfig": {"thinkingBudget": 2048, "includeThoughts": True},
    },
    "safetySettings": [],
    "serviceTier": "standard",
    "labels": {"team": "a"},
}
# What has no names of the API in it.
OPAQUE = ("args", "response", "properties", "labels")

RECORDED = [case for case in cases("gemini") if case.request and b'"contents"' in case.request]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
NAMES = [
    *("contents", "parts", "role", "text", "thought", "thoughtSignature", "inlineData", "fileData", "functionCall"),
    *("functionResponse", "executableCode", "name", "id", "args", "response", "mimeType", "data", "fileUri", "tools"),
    *("functionDeclarations", "parameters", "parametersJsonSchema", "toolConfig", "functionCallingConfig", "mode"),
    *("generationConfig", "thinkingConfig", "responseSchema", "systemInstruction", "topK", "stopSequences"),
]
requests = st.recursive(
    json_values | st.sampled_from(("user", "model", "ANY", "application/json", "image/png")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=20,
)


def snake(value: Any) -> Any:
    """The same JSON with the API's names in snake_case."""
    if isinstance(value, list):
        return [snake(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        re.sub("[A-Z]", lambda letter: "_" + letter[0].lower(), name): (
            {key: snake(each) for key, each in inner.items()} if name in OPAQUE else snake(inner)
        )
        for name, inner in value.items()
    }


def taken(body: bytes) -> Conversation | None:
    """``None``: the request is refused as wrong."""
    try:
        return GeminiRequestDecoder().decode(body)
    except ClientFault:
        return None


def test_a_small_request_says_no_more_than_it_does() -> None:
    assert decoded() == Conversation("gemini.generate", [ConversationMessage("user", [Text("Hi")])], wants_usage=True)


def test_a_whole_request() -> None:
    found = decoded(**WHOLE)
    assert [message.role for message in found.messages] == ["system", "user", "assistant", "tool"]
    schema = {
        "type": "object",
        "properties": {"cityName": {"type": "string", "maxLength": 9}},
        "required": ["cityName"],
    }
    assert found.tools[0].parameters == schema
    assert found.tool_choice == ToolChoice("any", allowed=("weather", "news"))
    assert (found.output_tokens, found.stop) == (50, ["END"])
    assert found.sampling == SamplingSettings(top_p=0.5, top_k=4)
    assert found.output_format == JsonFormat(schema | {"additionalProperties": False}, strict=True)
    assert found.thinking == ThinkingSettings("on", 2048, shown="summary")
    assert (found.service_tier, found.tags, found.dropped) == ("default", {"team": "a"}, ["safetySettings"])


def test_all_names_may_be_in_snake_case() -> None:
    one, other = decoded(**WHOLE), decoded(**snake(WHOLE))
    one.dropped.clear()
    assert other.dropped == ["safety_settings"]
    other.dropped.clear()
    assert one == other


@pytest.mark.parametrize("name", ["cachedContent", "cached_content", "continuationToken"])
def test_state_at_google_is_refused(name: str) -> None:
    assert refused(**{name: "x"}) == ("continuationToken" if "Token" in name else "cachedContent")


def test_unknown_members_are_told() -> None:
    assert dropped(newMember={}, generationConfig={"new_member": 1}) == ["newMember", "generationConfig.new_member"]


def test_a_member_in_both_spellings_is_told_once() -> None:
    found = decoded(generationConfig={"topK": 4, "top_k": 5})
    assert (found.sampling.top_k, found.dropped) == (4, ["generationConfig.top_k"])


@pytest.mark.parametrize(
    ("tier", "neutral"), [("standard", "default"), ("FLEX", "flex"), ("priority", "priority"), ("unspecified", "")]
)
def test_the_service_tier_is_in_openais_words(tier: str, neutral: str) -> None:
    assert decoded(serviceTier=tier).service_tier == neutral


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"", None),
        (b"[]", None),
        (b"{}", "contents"),
        (b'{"contents": 5}', "contents"),
        (b'{"contents": [5]}', "contents[0]"),
        (b'{"contents": [{"parts": 5}]}', "contents[0].parts"),
        (b'{"contents": {"parts": {"text": 5}}}', "contents.parts.text"),
        (b'{"contents": [], "generationConfig": []}', "generationConfig"),
        (b'{"contents": [], "generationConfig": {"topK": "x"}}', "generationConfig.topK"),
    ],
)
def test_an_error_names_the_member(body: bytes, param: str | None) -> None:
    with pytest.raises(ClientFault) as caught:
        GeminiRequestDecoder().decode(body)
    assert (caught.value.status, caught.value.param) == (400, param)


@pytest.mark.parametrize("depth", [*range(700, 1000, 20), 100_000])
def test_a_schema_may_be_nested_too_deeply(depth: int) -> None:
    schema = '{"type":"ARRAY","items":' * depth + "{}" + "}" * depth
    body = '{"contents":[],"tools":[{"functionDeclarations":[{"name":"f","parameters":' + schema + "}]}]}"
    assert taken(body.encode()) is None or depth < 1000


@given(st.dictionaries(st.sampled_from(NAMES), requests, max_size=5) | requests)
def test_any_json_is_read_or_refused(body: Any) -> None:
    found = taken(json.dumps(body).encode())
    assert found is None or all(message.content for message in found.messages)


@pytest.mark.skipif(not RECORDED, reason=MISSING)
@pytest.mark.parametrize("case", RECORDED, ids=str)
def test_recorded_requests_lose_nothing_but_hosted_tools(case: Case) -> None:
    found = GeminiRequestDecoder().decode(case.request)
    assert len(found.messages) == len(json.loads(case.request)["contents"]) + (b"systemInstruction" in case.request)
    assert set(found.dropped) <= {"tools[google_search]"}
