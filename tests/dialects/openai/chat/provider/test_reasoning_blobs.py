from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.openai.chat.provider.reasoning_blobs import (
    blob_of,
    details_of,
    entry_of,
    is_summary,
    plain_detail,
    text_of,
    thinking_chunk,
)
from proxy.dialects.translation.conversation import Blob, Reasoning


@pytest.mark.parametrize(
    ("entry", "text", "summary"),
    [
        ({"type": "reasoning.text", "text": "Hm."}, "Hm.", False),
        ({"type": "reasoning.summary", "summary": "Hm."}, "Hm.", True),
        ({"type": "reasoning.encrypted", "data": "x"}, "", False),
        ({"type": "reasoning.text", "text": None}, "", False),
        ({}, "", False),
    ],
)
def test_an_entry_has_a_text(entry: dict[str, Any], text: str, summary: bool) -> None:
    assert (text_of(entry), is_summary(entry)) == (text, summary)


@pytest.mark.parametrize("entry", [{}, {"signature": ""}, {"signature": None}, {"data": 1}, {"text": "Hm."}])
def test_an_entry_without_anything_opaque_has_no_blob(entry: dict[str, Any]) -> None:
    assert blob_of(entry) is None


def test_a_blob_says_whether_it_replaces_a_text() -> None:
    signed, sealed = (
        blob_of({"type": "reasoning.text", "signature": "s"}),
        blob_of({"type": "reasoning.encrypted", "data": "x"}),
    )
    assert signed is not None
    assert sealed is not None
    assert (signed.kind, sealed.kind) == ("signature", "encrypted")


OPAQUE = st.fixed_dictionaries(
    {"type": st.sampled_from(["reasoning.text", "reasoning.encrypted"]), "signature": st.text(min_size=1)},
    optional={"id": st.text(), "format": st.text(), "index": st.integers(0, 9)},
)


@given(OPAQUE)
def test_a_blob_is_the_entry_without_its_text(entry: dict[str, Any]) -> None:
    blob = blob_of(entry | {"text": "Hm.", "summary": None})
    assert blob is not None
    assert entry_of(blob) == entry


@pytest.mark.parametrize("data", ["", "c2ln", "{", "{}", "[]", '{"type":1}'])
def test_a_blob_of_another_dialect_is_no_entry(data: str) -> None:
    assert entry_of(Blob(data)) is None


def test_reasoning_beside_something_encrypted_is_an_entry_of_its_own() -> None:
    sealed = {"type": "reasoning.encrypted", "data": "x", "format": "google-gemini-v1", "index": 0}
    text = {"type": "reasoning.text", "text": "Hm.", "format": "google-gemini-v1", "index": 0}
    assert details_of(Reasoning("Hm."), sealed) == [text, sealed]
    assert details_of(Reasoning(""), sealed) == [sealed]


def test_reasoning_without_a_blob_is_an_entry_too() -> None:
    assert plain_detail(Reasoning("Hm.")) == {"type": "reasoning.text", "text": "Hm."}
    assert plain_detail(Reasoning("Hm.", summary=True)) == {"type": "reasoning.summary", "summary": "Hm."}


def test_a_chunk_of_thinking_has_what_its_blob_had() -> None:
    assert thinking_chunk("Hm.", {"type": "thinking", "signature": "s"}) == {
        "type": "thinking", "signature": "s", "thinking": [{"type": "text", "text": "Hm."}],
    }  # fmt: skip
    assert thinking_chunk("") == {"type": "thinking", "thinking": []}
