from __future__ import annotations

import msgspec
import pytest

from proxy.dialects.gemini import schema
from proxy.dialects.gemini.schema import (
    GeminiPart,
    GenerationLimits,
    UsageMetadata,
    decode_chunk,
    decode_limits,
    decode_usage,
)


def names(struct: type[msgspec.Struct]) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(struct)}


def test_names_are_those_of_googles_json() -> None:
    assert names(UsageMetadata) >= {"promptTokenCount", "toolUsePromptTokensDetails", "cachedContentTokenCount"}
    assert names(GenerationLimits) == {"candidateCount", "candidate_count", "maxOutputTokens", "max_output_tokens"}


@pytest.mark.parametrize("struct", [GeminiPart, GenerationLimits])
def test_requests_may_spell_each_name_in_both_ways(struct: type[msgspec.Struct]) -> None:
    camel = {name for name in names(struct) if name != name.lower()}
    assert {"".join(f"_{c.lower()}" if c.isupper() else c for c in name) for name in camel} <= names(struct)


def test_unknown_members_are_skipped() -> None:
    assert decode_usage(b'{"more":"standard","promptTokenCount":3}') == UsageMetadata(prompt_token_count=3)
    assert decode_chunk(b'{"x":{"y":[]}}').candidates == []
    assert decode_limits(b'{"responseJsonSchema":{"type":"object"}}') == GenerationLimits()


def test_an_absent_error_is_told_from_null() -> None:
    assert schema.decode_answer(b"{}").error is schema.NULL
    assert schema.decode_answer(b'{"error":null}').error == schema.NULL
    assert not decode_chunk(b"{}").error
