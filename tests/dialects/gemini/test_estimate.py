from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from proxy.dialects.gemini.call import GEMINI_OTHER_REQUESTS, GEMINI_REQUESTS

IMAGE, AUDIO = 10_000, 5_000


def prompt(body: Any) -> int:
    return GEMINI_REQUESTS.prompt_tokens(GEMINI_REQUESTS.read(json.dumps(body).encode()), IMAGE, AUDIO)


def embedded(body: Any) -> int:
    return GEMINI_OTHER_REQUESTS.prompt_tokens(GEMINI_REQUESTS.read(json.dumps(body).encode()), IMAGE, AUDIO)


def output(body: Any, most: int = 0) -> int:
    return GEMINI_REQUESTS.output_tokens(GEMINI_REQUESTS.read(json.dumps(body).encode()), most, 500)


def contents(*parts: Any) -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": list(parts)}]}


TEXT = {"text": "x" * 400}


def test_texts_count_by_their_bytes() -> None:
    assert prompt(contents(TEXT)) == 100
    assert prompt(contents({"text": "ä" * 400})) == 200
    assert prompt(contents(TEXT, TEXT)) == 200


@pytest.mark.parametrize("name", ["systemInstruction", "system_instruction"])
def test_a_single_content_counts_too(name: str) -> None:
    assert prompt({name: {"parts": [TEXT]}}) == 100


def test_tools_count_by_their_json() -> None:
    tools = [{"functionDeclarations": [{"name": "f", "description": "x" * 400}]}]
    assert prompt({"tools": tools}) == -(-len(json.dumps(tools)) // 4)


def test_contents_to_embed_count() -> None:
    assert embedded({"model": "m", "content": {"parts": [TEXT]}}) == 100
    assert embedded({"requests": [{"model": "m", "content": {"parts": [TEXT]}}] * 3}) == 300
    assert embedded({"requests": [{"content": {"parts": [{"inlineData": {"mimeType": "image/png"}}]}}]}) == IMAGE


def test_counting_tokens_takes_none() -> None:
    assert embedded(contents(TEXT)) == embedded({"generateContentRequest": contents(TEXT)}) == 0


@pytest.mark.parametrize(
    ("mime", "tokens"),
    [
        ("image/png", IMAGE),
        ("application/pdf", IMAGE),
        ("video/mp4", IMAGE),
        ("audio/wav", AUDIO),
        ("Audio/MP3", AUDIO),
        ("", IMAGE),
    ],
)
def test_data_counts_by_its_media_type(mime: str, tokens: int) -> None:
    for data in ({"inlineData": {"mimeType": mime, "data": "QUJD"}}, {"inline_data": {"mime_type": mime, "data": "QUJD"}},
                 {"fileData": {"mimeType": mime, "fileUri": "x"}}, {"file_data": {"mime_type": mime, "file_uri": "x"}}):  # fmt: skip
        assert prompt(contents(data)) == tokens


def test_a_text_file_counts_by_its_size() -> None:
    data = base64.b64encode(b"x" * 600).decode()
    assert prompt(contents({"inlineData": {"mimeType": "text/plain", "data": data}})) == 150


@pytest.mark.parametrize("name", ["systemInstruction", "generationConfig", "tools", "contents", "requests", "content"])
@pytest.mark.parametrize(
    "value", [None, 5, "text", [], {}, [5], [[]], {"parts": 5}, [{"parts": "x"}], [{"parts": [5]}], [{}]]
)
def test_members_of_unknown_shape_never_raise(name: str, value: Any) -> None:
    for count in (prompt, embedded):
        assert 0 <= count({name: value}) <= len(json.dumps({name: value}))
    assert output({name: value}) == 500


def test_a_part_of_tomorrow_counts_by_its_bytes() -> None:
    assert prompt(contents({"partOfTomorrow": "x" * 400})) > 100


def test_a_large_member_counts_by_its_bytes_without_images_and_signatures() -> None:
    image = {"inlineData": {"mimeType": "image/png", "data": "A" * 2_000_000}}
    signed = {"text": "x", "thoughtSignature": "A" * 50_000}
    assert IMAGE <= prompt(contents(image, signed)) < IMAGE + 100


def test_as_many_small_parts_as_a_body_holds_count_by_their_bytes() -> None:
    assert prompt(contents(*[{"text": ""}] * 20_000)) > 20_000


# The answer


@pytest.mark.parametrize(
    ("config", "most", "tokens"),
    [
        ({"maxOutputTokens": 20}, 0, 20),
        ({"max_output_tokens": 20}, 900, 20),
        ({"maxOutputTokens": "20"}, 0, 20),
        ({"maxOutputTokens": 20, "candidateCount": 3}, 0, 60),
        ({}, 900, 900),
        ({"candidateCount": 2}, 900, 1800),
        ({}, 0, 500),
        ({"maxOutputTokens": -1}, 0, 500),
        ({"maxOutputTokens": None}, 0, 500),
        ({"maxOutputTokens": 10**20}, 0, 10**12),
        ({"maxOutputTokens": 20.0}, 0, 20),
        ({"maxOutputTokens": 0}, 900, 900),
        ({"maxOutputTokens": 20, "max_output_tokens": 30}, 0, 30),
    ],
)
def test_the_limit_of_the_answer(config: dict[str, Any], most: int, tokens: int) -> None:
    assert output({"generationConfig": config}, most) == tokens


def test_of_two_spellings_of_the_config_the_higher_limit_counts() -> None:
    both = {"generationConfig": {"maxOutputTokens": 20}, "generation_config": {"maxOutputTokens": 30}}
    assert output(both, 0) == 30
    assert output({"generationConfig": {}, "generation_config": {"candidateCount": 2}}, 900) == 1800
