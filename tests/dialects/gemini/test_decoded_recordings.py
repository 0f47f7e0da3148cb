"""Recorded answers in neutral parts: the text, thoughts, calls, sources, finish and usage that Google's SDK reads."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from google.genai.types import GenerateContentResponse, Part

from proxy.dialects.gemini.provider.answer_decoder import GeminiAnswerDecoder
from proxy.dialects.translation.gathered import CallBlock, GatheredAnswer, ReasoningBlock, TextBlock, gather
from proxy.dialects.translation.parts import AnswerPart
from tests.support.decoded import decoded
from tests.support.gemini import FIXTURES, answer_of, calls_of, needs_recordings, recordings, stream_of
from tests.support.pump import split
from tests.support.recorded import SHARED, cases

pytestmark = needs_recordings

STREAMS = recordings()
ANSWERS = sorted(
    path
    for path in [
        *FIXTURES.glob("*.json"),
        *(SHARED / "translate/kong/spec/fixtures/ai-proxy").rglob("gemini/**/*.json"),
    ]
    if b'"candidates"' in path.read_bytes()
)
FINISH = {"STOP": "stop", "MAX_TOKENS": "length", "SAFETY": "content_filter"}


def parts_of(body: bytes, *cuts: int) -> list[AnswerPart]:
    return decoded(GeminiAnswerDecoder(), split(body, cuts))


def facts(answer: GatheredAnswer) -> dict[str, Any]:
    usage = answer.usage
    assert usage is not None
    assert answer.finish is not None
    thoughts = [each for each in answer.blocks if isinstance(each, ReasoningBlock)]
    calls = [each for each in answer.blocks if isinstance(each, CallBlock)]
    texts = [each for each in answer.blocks if isinstance(each, TextBlock)]
    return {
        "id": answer.start.id,
        "model": answer.start.model,
        "text": answer.text,
        "thoughts": "".join(each.text for each in thoughts),
        "signatures": [each.blob.data for each in (*thoughts, *calls) if each.blob is not None],
        "calls": [(each.name, each.id, json.loads(each.arguments or "{}")) for each in calls],
        "sources": {each.url for text in texts for each in text.citations},
        "finish": answer.finish.reason,
        "tokens": (usage.total_input, usage.total_output or 0, usage.reasoning),
    }


def facts_of_sdk(chunks: list[GenerateContentResponse]) -> dict[str, Any]:
    """What the SDK reads. It has no joined form of a call that comes in pieces."""
    candidates = [chunk.candidates[0] for chunk in chunks if chunk.candidates]
    parts = [part for each in candidates if each.content for part in each.content.parts or ()]
    usage = next(chunk.usage_metadata for chunk in reversed(chunks) if has_counts(chunk))
    assert usage is not None
    calls = calls_of(parts)
    reason = FINISH[next(each.finish_reason.value for each in reversed(candidates) if each.finish_reason)]
    grounding = [each.grounding_metadata for each in candidates if each.grounding_metadata]
    chunks_of_sources = grounding[-1].grounding_chunks or [] if grounding else []
    return {
        "id": chunks[0].response_id or "",
        "model": chunks[0].model_version or "",
        "text": "".join(part.text or "" for part in parts if not part.thought),
        "thoughts": "".join(part.text or "" for part in parts if part.thought),
        "signatures": sorted_signatures(parts),
        "calls": calls,
        "sources": {each.web.uri for each in chunks_of_sources if each.web},
        "finish": "tool_calls" if calls and reason == "stop" else reason,
        "tokens": (
            (usage.prompt_token_count or 0) + (usage.tool_use_prompt_token_count or 0),
            (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0),
            usage.thoughts_token_count,
        ),
    }


def has_counts(chunk: GenerateContentResponse) -> bool:
    return chunk.usage_metadata is not None and chunk.usage_metadata.prompt_token_count is not None


def sorted_signatures(parts: list[Part]) -> list[str]:
    """Those of texts before those of calls, as ``facts`` has them."""
    raw = [(bool(part.function_call), part.model_dump(mode="json")["thought_signature"]) for part in parts]
    return [plain_base64(signature) for _, signature in sorted(raw, key=lambda each: each[0]) if signature]


def plain_base64(signature: str) -> str:
    """The SDK writes the alphabet for addresses."""
    return signature.replace("-", "+").replace("_", "/")


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_is_what_the_sdk_reads(name: str) -> None:
    found = facts(gather(parts_of(STREAMS[name])))
    assert found == facts_of_sdk(list(stream_of([STREAMS[name]])))
    assert found["text"] or found["calls"]


@pytest.mark.parametrize("path", ANSWERS, ids=lambda path: path.name)
def test_an_answer_is_what_the_sdk_reads(path: Path) -> None:
    body = path.read_bytes()
    assert facts(gather(GeminiAnswerDecoder().whole(body))) == facts_of_sdk([answer_of(body)])


def test_a_stream_as_one_array_is_what_the_sdk_reads_of_its_events() -> None:
    (case,) = cases("gemini", "vertex-stream-jsonarray-framed")
    found = facts(gather(GeminiAnswerDecoder().whole(case.response)))
    assert found == facts_of_sdk([GenerateContentResponse.model_validate(each) for each in json.loads(case.response)])
    assert found["text"]


@pytest.mark.parametrize("name", STREAMS)
def test_no_split_changes_a_part(name: str) -> None:
    body = STREAMS[name]
    whole = parts_of(body)
    chance = random.Random(name)
    for _ in range(20):
        assert parts_of(body, *sorted(chance.sample(range(len(body)), 5))) == whole


@pytest.mark.parametrize("name", STREAMS)
def test_the_hot_path_changes_no_part(name: str) -> None:
    class Slow(GeminiAnswerDecoder):
        def plain(self, block: bytes) -> None:
            return None

    assert decoded(Slow(), [STREAMS[name]]) == parts_of(STREAMS[name])
