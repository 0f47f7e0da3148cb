from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.openai.estimate import PAYLOADS
from proxy.dialects.payloads import SHORTEST, payloads

LONG = "QUJD" * (SHORTEST // 4)


def found(document: Any, **dumps: Any) -> list[tuple[str, int]]:
    body = json.dumps(document, **dumps).encode()
    return list(payloads(body, 0, len(body), PAYLOADS))


@pytest.mark.parametrize(
    ("document", "kind"),
    [
        ({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{LONG}"}}, "image"),
        ({"type": "input_image", "image_url": f"data:image/png;base64,{LONG}"}, "image"),
        ({"type": "file", "file": {"file_data": f"data:application/pdf;base64,{LONG}"}}, "image"),
        ({"type": "image_generation_call", "result": LONG}, "image"),
        ({"type": "input_audio", "input_audio": {"data": LONG, "format": "wav"}}, "audio"),
        ({"type": "audio_url", "audio_url": {"url": f"data:audio/wav;base64,{LONG}"}}, "audio"),
        ({"source": {"data": f"data:image/png;base64,{LONG}"}}, "image"),
        ({"type": "reasoning", "encrypted_content": LONG}, "sealed"),
    ],
)
@pytest.mark.parametrize("dumps", [{}, {"indent": 2}, {"separators": (",", ":")}, {"separators": (",", " : ")}])
def test_a_payload_is_known_by_its_key(document: Any, kind: str, dumps: Any) -> None:
    ((seen, size),) = found(document, **dumps)
    assert seen == kind
    assert 0 <= size - len(LONG) < 40


@pytest.mark.parametrize(
    "document",
    [
        {"text": LONG},
        {"url": LONG[1:]},
        {"url": "a " + '"' * 10_000},
        [LONG],
        LONG,
        {LONG: "url"},
        {"text": f'"url": "{LONG}'},
        {"data_": LONG},
    ],
)
def test_short_strings_and_those_of_other_keys_are_text(document: Any) -> None:
    assert found(document) == []


def test_only_the_given_range_is_searched() -> None:
    body = json.dumps({"url": LONG}).encode()
    begin = body.index(b"QUJD")
    assert list(payloads(body, begin, len(body), PAYLOADS)) == []
    assert list(payloads(body, 0, begin, PAYLOADS)) == []
    assert list(payloads(body, 0, len(body) - 2, PAYLOADS)) == []  # no quote ends it
    assert list(payloads(body, 0, 0, PAYLOADS)) == []


pieces = st.one_of(
    st.sampled_from([{"url": LONG}, {"data": LONG * 2}, {"url": "short"}]),
    st.builds(lambda text, times: {"text": text * times}, st.text(), st.integers(0, 2000)),
)


@given(st.lists(pieces, max_size=8))
def test_payloads_are_found_among_other_parts(parts: list[dict[str, str]]) -> None:
    wanted = [
        ("audio" if key == "data" else "image", len(text))
        for part in parts
        for key, text in part.items()
        if key != "text" and len(text) >= SHORTEST
    ]
    assert found(parts) == wanted
    assert found(parts, ensure_ascii=False) == wanted
