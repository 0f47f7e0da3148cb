"""Estimates of the input, by the bytes of a request, and of an answer that was not read, by time."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.budgets.ceiling import token_ceiling
from proxy.config.schema import TokenEstimate
from proxy.dialects.base import MOST_ROUGH
from proxy.routing.endpoints import ENDPOINTS, Endpoint
from proxy.routing.estimate import rough_input, unseen_output
from tests.support.catalogs import build

ESTIMATE = TokenEstimate(per_image=700, per_audio=800)
BY_PATH = {each.path: each for each in ENDPOINTS if not each.force_stream}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 40_000}}
SOUND = {"type": "input_audio", "input_audio": {"data": "A" * 40_000, "format": "wav"}}
CLAUDES = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A" * 40_000}}
GEMINIS = {"inlineData": {"mimeType": "image/png", "data": "A" * 40_000}}


def estimated(path: str, body: dict[str, Any]) -> tuple[int, int]:
    """The estimate, and the bytes of the body."""
    endpoint: Endpoint = BY_PATH[path]
    data = json.dumps(body).encode()
    return rough_input(endpoint, endpoint.dialect.requests.read(data), ESTIMATE), len(data)


def said(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": [{"type": "text", "text": "abcd"}, *parts]}]}


def test_text_counts_by_the_bytes_of_the_body() -> None:
    tokens, size = estimated("chat/completions", said())
    assert tokens == size // 4


@pytest.mark.parametrize(
    ("path", "body", "tokens"),
    [
        ("chat/completions", said(IMAGE), 701),
        ("chat/completions", said(SOUND), 801),
        ("messages", said(CLAUDES) | {"max_tokens": 1}, 701),
        ("generateContent", {"contents": [{"role": "user", "parts": [{"text": "abcd"}, GEMINIS]}]}, 701),
    ],
    ids=["image", "sound", "messages", "gemini"],
)
def test_images_and_sound_count_a_fixed_number(path: str, body: dict[str, Any], tokens: int) -> None:
    assert estimated(path, body)[0] == tokens


def test_a_word_that_looks_like_a_mark_costs_accuracy_nothing() -> None:
    tokens, size = estimated("chat/completions", said({"type": "text", "text": 'say "image_url" ' * 100}))
    assert abs(tokens - size // 4) < size / 20


def test_a_body_that_is_large_is_counted_by_its_members() -> None:
    tokens, _ = estimated("embeddings", {"model": "m", "input": "abcd" * MOST_ROUGH, "metadata": "A" * 4000})
    assert tokens == MOST_ROUGH


def test_a_form_counts_a_fixed_number() -> None:
    assert rough_input(BY_PATH["audio/transcriptions"], None, ESTIMATE) == 800
    assert rough_input(BY_PATH["images/edits"], None, ESTIMATE) == 700
    assert rough_input(BY_PATH["chat/completions"], None, ESTIMATE) == 0


# -- output -----------------------------------------------------------------------------------------------------------

LOCAL = {"baseUrl": "http://127.0.0.1:1/v1"}
CLAUDE = {"baseUrl": "https://api.anthropic.com/v1"}
MADE = {
    "unknown": build([{"name": "m", "provider": "p"}], {"p": LOCAL}),
    "limited": build([{"name": "m", "provider": "p", "maxOutputTokens": 300}], {"p": LOCAL}),
    "translated": build([{"name": "m", "provider": "p", "model": "claude-sonnet-4-5"}], {"p": CLAUDE}),
}


def written(path: str, seconds: float, at: str = "unknown", **body: Any) -> tuple[int, int]:
    """The estimate, and the most that a budget holds for it."""
    endpoint, (deployment,) = BY_PATH[path], MADE[at].deployments
    call = endpoint.dialect.requests.read(json.dumps(said() | body).encode())
    held = token_ceiling(endpoint, call, deployment, ESTIMATE).output
    return unseen_output(endpoint, call, deployment, ESTIMATE, seconds), held


def test_a_plain_answer_grows_by_50_tokens_a_second_up_to_its_limit() -> None:
    assert [written("chat/completions", each)[0] for each in (0.0, 0.5, 2.0, 20.0, 1000.0)] == [0, 25, 100, 1000, 1000]
    assert written("chat/completions", 1000.0, "limited") == (300, 300)
    assert written("chat/completions", 1000.0, max_tokens=70) == (70, 70)
    assert written("messages", 1.0, max_tokens=70) == (50, 70)
    assert written("chat/completions", 600.0, "translated") == (30_000, 64_000)


def test_all_choices_are_written_at_the_same_time() -> None:
    assert written("chat/completions", 1.0, n=3) == (150, 3000)


def test_nothing_is_estimated_of_streams_forms_and_what_is_no_text() -> None:
    assert written("chat/completions", 9.0, stream=True)[0] == 0
    assert written("embeddings", 9.0, input="a")[0] == 0
    assert written("images/generations", 9.0, prompt="a")[0] == 0
    (deployment,) = MADE["unknown"].deployments
    assert unseen_output(BY_PATH["audio/transcriptions"], None, deployment, ESTIMATE, 9.0) == 0


@given(
    st.sampled_from(["chat/completions", "messages", "responses"]),
    st.floats(-1.0, 1e6),
    st.sampled_from(sorted(MADE)),
    st.fixed_dictionaries({}, optional={"max_tokens": st.integers(-1, 10**6), "n": st.integers(1, 9)}),
)
def test_an_estimated_output_is_never_more_than_what_is_held(
    path: str, seconds: float, at: str, body: dict[str, Any]
) -> None:
    tokens, held = written(path, seconds, at, **body)
    assert 0 <= tokens <= held
