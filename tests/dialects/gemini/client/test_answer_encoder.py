"""Whole answers, read by Google's SDK."""

from __future__ import annotations

import json
from typing import Any

from google.genai.types import FinishReason

from proxy.dialects.gemini.client.answer_encoder import encode_generation
from proxy.dialects.translation.base import AnswerContext
from proxy.dialects.translation.conversation import Blob, Citation, Conversation, ThinkingSettings
from proxy.dialects.translation.parts import (
    AnswerPart,
    BlockEnd,
    CallDelta,
    CallEnd,
    CallStart,
    CitationPart,
    Finish,
    LogprobsPart,
    ReasoningBlob,
    ReasoningDelta,
    RefusalDelta,
    Start,
    TextDelta,
    UsagePart,
)
from proxy.dialects.usage import Usage
from tests.support.gemini import answer_of

TOKEN = {"token": "a", "logprob": -0.5}


def context(*, shows: bool = False, model: str = "") -> AnswerContext:
    thinking = ThinkingSettings(shown="summary" if shows else "")
    return AnswerContext(Conversation("gemini.generate", [], thinking=thinking), "0af1", 0, model, 7, "iss")


def encoded(*parts: AnswerPart, shows: bool = False, model: str = "") -> dict[str, Any]:
    body = encode_generation(context(shows=shows, model=model), parts)
    assert answer_of(body).response_id == "0af1"
    found: dict[str, Any] = json.loads(body)
    return found


def candidate(*parts: AnswerPart, shows: bool = False) -> dict[str, Any]:
    (found,) = encoded(*parts, shows=shows)["candidates"]
    return dict(found)


def test_a_whole_answer() -> None:
    found = answer_of(
        encode_generation(
            context(),
            [
                *(Start("x", "model-x"), TextDelta("Look"), TextDelta("ing."), CallStart(0, "call_1", "f")),
                *(CallDelta(0, '{"x":1}'), CallEnd(0), Finish("tool_calls"), UsagePart(Usage(10, None, 2))),
            ],
        )
    )
    assert (found.text, found.model_version) == ("Looking.", "model-x")
    (call,) = found.function_calls or ()
    assert (call.id, call.name, call.args) == ("call_1", "f", {"x": 1})
    assert found.usage_metadata is not None
    assert found.usage_metadata.total_token_count == 12
    assert (found.candidates or ())[0].finish_reason is FinishReason.STOP


def test_an_alias_names_the_model() -> None:
    assert encoded(Start("x", "model-x"), model="alias")["modelVersion"] == "alias"


def test_thoughts_are_shown_to_clients_that_ask_for_them() -> None:
    parts = [ReasoningDelta("Hm."), ReasoningBlob(Blob("SIG")), TextDelta("a")]
    shown, hidden = (candidate(*parts, shows=shows)["content"]["parts"] for shows in (True, False))
    assert shown[0] == {"text": "Hm.", "thought": True}
    assert shown[1:] == hidden
    assert (hidden[0]["text"], "thoughtSignature" in hidden[0]) == ("a", True)


def test_an_answer_without_a_word_has_an_empty_one() -> None:
    found = candidate(Finish("content_filter"))
    assert found == {
        "content": {"parts": [{"text": ""}], "role": "model"},
        "index": 0,
        "finishReason": "SAFETY",
    }


def test_a_refusal_is_text_and_the_finish_reason() -> None:
    found = candidate(RefusalDelta("No."), Finish("stop"))
    assert (found["content"]["parts"], found["finishReason"]) == ([{"text": "No."}], "SAFETY")
    found = candidate(Finish("refusal", detail="Weapons."))
    assert found["content"]["parts"] == [{"text": "Weapons."}]


def test_sources_name_the_part_and_the_bytes_of_their_text() -> None:
    web, file = Citation("https://a.example", "A", start=1, end=3), Citation(title="B", quote="words", file_id="file_1")
    found = candidate(
        *(TextDelta("abcd"), CitationPart(web), BlockEnd(), CallStart(0, "1", "f"), CallEnd(0)),
        *(TextDelta("ä"), CitationPart(web), CitationPart(file)),
    )["groundingMetadata"]
    assert found["groundingChunks"] == [
        {"web": {"uri": "https://a.example", "title": "A"}},
        {"retrievedContext": {"title": "B", "text": "words", "documentName": "file_1"}},
    ]
    assert found["groundingSupports"] == [
        {"segment": {"startIndex": 1, "endIndex": 3, "partIndex": 0}, "groundingChunkIndices": [0]},
        {"segment": {"startIndex": 0, "endIndex": 2, "partIndex": 2}, "groundingChunkIndices": [0, 1]},
    ]


def test_log_probabilities_of_all_texts() -> None:
    found = candidate(
        TextDelta("a"),
        LogprobsPart([TOKEN]),
        BlockEnd(),
        TextDelta("a"),
        LogprobsPart([TOKEN | {"top_logprobs": 1}, "odd"]),
    )
    assert found["logprobsResult"] == {"chosenCandidates": [{"token": "a", "logProbability": -0.5}] * 2}
