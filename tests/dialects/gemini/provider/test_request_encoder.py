"""Requests of the Gemini API made of any conversation: the API would take them, and nothing said is lost."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from proxy.dialects.translation.conversation import CacheMark, Conversation, JsonFormat, Text, ToolDefinition
from proxy.dialects.translation.model_facts import ModelFacts
from proxy.errors import Untranslatable
from proxy.providers.models.gemini import GEMINI
from tests.support.conversations import SIGNATURE, Said, conversations
from tests.support.gemini_encoding import NEW, OLD, OLDEST, asking, encode, message
from tests.translation.gemini_rules import of_body

MODELS = ("gemini-2.0-flash", "gemini-2.5-flash", "gemini-2.5-pro", "gemini-3.1-pro", "gemini-3.8-flash")


@settings(max_examples=400)
@given(conversations(), st.sampled_from(MODELS))
def test_the_api_takes_any_conversation(made: tuple[Conversation, Said], model: str) -> None:
    conversation, said = made
    before = copy.deepcopy(conversation)
    refused = refusable(conversation, model)
    if refused:
        with pytest.raises(Untranslatable) as caught:
            encode(conversation, GEMINI[model])
        assert caught.value.param in refused
        return
    body, _ = encode(conversation, GEMINI[model])
    assert conversation == before
    assert list(of_body(body, model, [SIGNATURE])) == []
    check_said(body, said)


def refusable(conversation: Conversation, model: str) -> list[str]:
    found = []
    if conversation.output_format and conversation.tools and not GEMINI[model].format_with_tools:
        found.append("response_format")
    if not conversation.tools and conversation.tool_choice.mode in ("any", "one"):
        found.append("tool_choice")
    return found


def check_said(body: dict[str, Any], said: Said) -> None:
    """All texts in their order, and each call with its own result."""
    system = body.get("systemInstruction", {"parts": []})["parts"]
    parts = [*system, *(part for content in body["contents"] for part in content["parts"])]
    texts = json.dumps([part["text"] for part in parts if "text" in part])
    assert all(json.dumps(text)[1:-1] in texts for text in said.texts)
    calls = [part["functionCall"]["args"] for part in parts if "functionCall" in part]
    results = [part["functionResponse"]["response"] for part in parts if "functionResponse" in part]
    assert sorted(call.get("n") or json.loads(call["input"])["n"] for call in calls) == [*range(1, said.calls + 1)]
    found = [each.get("output") or each["error"] for each in results]
    assert found == [f"result of {json.dumps(call, separators=(',', ':'))}" for call in calls]


def test_the_path_has_the_model_and_whether_it_is_a_stream() -> None:
    assert encode(asking(stream=True)).body == {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}


def test_several_answers_are_requested_where_the_model_gives_them() -> None:
    assert encode(asking(choices=8), OLD).config == {"candidateCount": 8}


@pytest.mark.parametrize(
    ("facts", "conversation", "member"),
    [
        (OLD, asking(choices=9), "n"),
        (NEW, asking(choices=2), "n"),
        (NEW, asking(choices=2, source="gemini.generate"), "generationConfig.candidateCount"),
    ],
)
def test_more_answers_than_the_model_gives_are_refused(
    facts: ModelFacts, conversation: Conversation, member: str
) -> None:
    with pytest.raises(Untranslatable) as caught:
        encode(conversation, facts)
    assert caught.value.param == member


def test_several_answers_are_not_streamed_where_the_server_does_not() -> None:
    facts = replace(OLD, streams_candidates=False)
    assert encode(asking(choices=2), facts).config == {"candidateCount": 2}
    with pytest.raises(Untranslatable, match="streams one answer"):
        encode(asking(choices=2, stream=True), facts)


def test_what_the_api_lacks_is_told_by_the_client_s_names() -> None:
    members: dict[str, Any] = {
        "end_user": "u",
        "verbosity": "low",
        "tags": {"a": "b"},
        "cache_key": "k",
        "cache": CacheMark(),
        "store": True,
        "service_tier": "scale",
        "include": frozenset({"reasoning.encrypted_content", "file_search_call.results"}),
    }
    found = encode(asking(**members))
    assert found.body == encode(asking()).body
    assert set(found.dropped) == {
        *("user", "verbosity", "metadata", "prompt_cache_key", "prompt_cache_options", "store", "service_tier"),
        "include[file_search_call.results]",
    }
    found = encode(asking(source="anthropic.messages", end_user="u", service_tier="fast"))
    assert set(found.dropped) == {"metadata.user_id", "speed"}


def test_nothing_may_be_lost_in_strict_mode() -> None:
    with pytest.raises(Untranslatable):
        encode(asking(end_user="u"), strict=True)


def test_a_form_of_the_output_beside_tools_is_refused_where_the_model_lacks_it() -> None:
    conversation = asking(tools=[ToolDefinition("f")], output_format=JsonFormat({"type": "object"}))
    assert encode(conversation, NEW).config["responseMimeType"] == "application/json"
    with pytest.raises(Untranslatable) as caught:
        encode(conversation, OLDEST)
    assert caught.value.param == "response_format"


def test_half_a_surrogate_pair_is_kept() -> None:
    body, _ = encode(asking(message("user", Text("\ud83d"))))
    assert body["contents"][0]["parts"] == [{"text": "\ud83d"}]
