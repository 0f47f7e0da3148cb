"""``generationConfig`` in neutral terms."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.dialects.translation.conversation import JsonFormat, SamplingSettings, ThinkingSettings
from tests.support.gemini_requests import decoded, dropped, refused

OWN = {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}, "required": ["a"]}
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
CLOSED = SCHEMA | {"additionalProperties": False}
JSON = "application/json"


def config(**members: Any) -> Any:
    return decoded(generationConfig=members)


def lost(**members: Any) -> list[str]:
    return [name.removeprefix("generationConfig.") for name in dropped(generationConfig=members)]


def wrong(**members: Any) -> str:
    return (refused(generationConfig=members) or "").removeprefix("generationConfig.")


def test_sampling() -> None:
    members = {
        "temperature": 0.5,
        "topP": 1,
        "topK": 40.0,
        "seed": 7,
        "presencePenalty": 0.1,
        "frequencyPenalty": 0.2,
        "responseLogprobs": True,
        "logprobs": 3,
    }
    assert config(**members).sampling == SamplingSettings(0.5, 1, 40, 7, 0.1, 0.2, None, True, 3)
    assert lost(**members) == []


def test_numbers_may_be_strings() -> None:
    found = config(maxOutputTokens="50", temperature="0.5", thinkingConfig={"thinkingBudget": "-1"})
    assert (found.output_tokens, found.sampling.temperature, found.thinking.mode) == (50, 0.5, "adaptive")
    assert wrong(maxOutputTokens="many") == "maxOutputTokens"
    assert wrong(topK="1" * 400) == "topK"


@pytest.mark.parametrize(
    ("thinking", "expected"),
    [
        ({"thinkingBudget": 0}, ThinkingSettings("off", shown="omitted")),
        ({"thinkingBudget": -1}, ThinkingSettings("adaptive", shown="omitted")),
        ({"thinking_budget": 2048}, ThinkingSettings("on", 2048, shown="omitted")),
        ({"thinkingLevel": "HIGH"}, ThinkingSettings(effort="high", shown="omitted")),
        ({"thinkingLevel": "xhigh"}, ThinkingSettings(effort="xhigh", shown="omitted")),
        ({"thinkingLevel": "THINKING_LEVEL_UNSPECIFIED"}, ThinkingSettings(shown="omitted")),
        ({"include_thoughts": True}, ThinkingSettings(shown="summary")),
        ({"includeThoughts": False, "thinkingLevel": "MINIMAL"}, ThinkingSettings(effort="minimal", shown="omitted")),
    ],
)
def test_thinking(thinking: dict[str, Any], expected: ThinkingSettings) -> None:
    assert config(thinkingConfig=thinking).thinking == expected


def test_an_unknown_level_of_thinking_is_told() -> None:
    assert lost(thinkingConfig={"thinkingLevel": "COSMIC", "new": 1}) == [
        "thinkingConfig.new",
        "thinkingConfig.thinkingLevel",
    ]


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, None),
        ({"responseMimeType": "text/plain"}, None),
        ({"responseMimeType": JSON}, JsonFormat()),
        ({"responseMimeType": JSON, "responseSchema": OWN}, JsonFormat(CLOSED, strict=True)),
        ({"response_schema": OWN | {"title": "Place"}}, JsonFormat(CLOSED | {"title": "Place"}, "Place", strict=True)),
        ({"responseJsonSchema": SCHEMA}, JsonFormat(SCHEMA)),
        ({"response_json_schema": CLOSED}, JsonFormat(CLOSED, strict=True)),
        ({"_responseJsonSchema": SCHEMA}, JsonFormat(SCHEMA)),
        ({"_response_json_schema": SCHEMA}, JsonFormat(SCHEMA)),
        ({"responseFormat": [{"text": {"mimeType": JSON, "jsonSchema": SCHEMA}}]}, JsonFormat(SCHEMA)),
        ({"responseFormat": [{"text": {"mime_type": "text/plain"}}]}, None),
    ],
)
def test_the_form_of_the_answer(members: dict[str, Any], expected: JsonFormat | None) -> None:
    found = config(**members)
    assert (found.output_format, found.dropped) == (expected, [])


@pytest.mark.parametrize(("members", "choices"), [({}, 1), ({"candidateCount": 8}, 8), ({"candidateCount": "2"}, 2)])
def test_several_candidates(members: dict[str, Any], choices: int) -> None:
    found = config(**members)
    assert (found.choices, found.dropped) == (choices, [])


def test_one_schema_counts() -> None:
    found = config(responseSchema=OWN, responseJsonSchema=SCHEMA)
    assert found.output_format == JsonFormat(SCHEMA)
    assert found.dropped == ["generationConfig.responseSchema"]


@pytest.mark.parametrize(
    ("members", "member"),
    [
        ({"responseMimeType": "text/x.enum", "responseSchema": {"type": "STRING"}}, "responseMimeType"),
        ({"responseFormat": [{"audio": {}}]}, "responseFormat[0].audio"),
        ({"responseFormat": [{"text": {"mimeType": "text/html"}}]}, "responseFormat[0].text.mimeType"),
        ({"responseModalities": ["TEXT", "IMAGE"]}, "responseModalities"),
        ({"responseModalities": ["Audio"]}, "responseModalities"),
        ({"candidateCount": 9}, "candidateCount"),
        ({"candidateCount": 0}, "candidateCount"),
        ({"stopSequences": "END"}, "stopSequences"),
        ({"thinkingConfig": {"thinkingBudget": "x"}}, "thinkingConfig.thinkingBudget"),
    ],
)
def test_what_others_lack_and_what_is_wrong_is_refused(members: dict[str, Any], member: str) -> None:
    assert wrong(**members) == member


def test_what_says_the_usual_is_no_loss() -> None:
    assert lost(candidateCount=1, responseModalities=["Text", "MODALITY_UNSPECIFIED"], stopSequences=[]) == []


def test_settings_for_other_answers_are_told() -> None:
    assert lost(speechConfig={}, mediaResolution="MEDIA_RESOLUTION_LOW", imageConfig={}) == [
        *("speechConfig", "mediaResolution", "imageConfig"),
    ]
