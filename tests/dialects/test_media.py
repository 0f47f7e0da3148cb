from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.anthropic.call import REQUESTS as MESSAGES
from proxy.dialects.base import RequestReader
from proxy.dialects.gemini.call import GEMINI_REQUESTS as GEMINI
from proxy.dialects.media import MOST_SEARCHED, MediaCount, MediaMarks, without_escapes
from proxy.dialects.openai.call import REQUESTS as OPENAI
from proxy.dialects.payloads import SHORTEST
from proxy.dialects.table import DIALECTS

LONG = "QUJD" * (SHORTEST // 4)
URL = "https://example.com/a"
JSON = ({}, {"indent": 2}, {"separators": (",", ":")}, {"separators": (" , ", " : ")})


def body_of(parts: Any, **dumps: Any) -> bytes:
    return json.dumps({"messages": [{"role": "user", "content": parts}]}, **dumps).encode()


def counted(marks: MediaMarks, body: bytes) -> tuple[int, int, int]:
    """Images, sounds, and the bytes that count as payloads."""
    found = marks.count(body)
    return found.images, found.audio, len(body) - found.text


OPENAI_PARTS = (
    ({"type": "image_url", "image_url": {"url": URL}}, (1, 0), 0),
    ({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{LONG}"}}, (1, 0), len(LONG)),
    ({"type": "input_image", "image_url": f"data:image/png;base64,{LONG}"}, (1, 0), len(LONG)),
    ({"type": "input_image", "file_id": "file-1"}, (1, 0), 0),
    (
        {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{LONG}", "filename": "a.pdf"}},
        (1, 0),
        len(LONG),
    ),
    ({"type": "file", "file": {"file_id": "file-1"}}, (1, 0), 0),
    ({"type": "input_file", "file_url": URL}, (1, 0), 0),
    ({"type": "video_url", "video_url": {"url": URL}}, (1, 0), 0),
    ({"type": "computer_call_output", "output": {"type": "computer_screenshot", "image_url": URL}}, (1, 0), 0),
    ({"type": "image_generation_call", "id": "ig_1", "result": LONG}, (1, 0), len(LONG)),
    ({"type": "input_audio", "input_audio": {"data": LONG, "format": "wav"}}, (0, 1), len(LONG)),
    ({"type": "input_audio", "input_audio": {"data": "QUJD", "format": "wav"}}, (0, 1), 0),
    ({"type": "audio_url", "audio_url": {"url": URL}}, (0, 1), 0),
    ({"role": "assistant", "audio": {"id": "audio_1"}}, (0, 1), 0),
)
MESSAGES_PARTS = (
    ({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": LONG}}, (1, 0), len(LONG)),
    ({"type": "image", "source": {"type": "url", "url": URL}}, (1, 0), 0),
    ({"type": "document", "source": {"type": "file", "file_id": "file_1"}}, (1, 0), 0),
    (
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": LONG}},
        (1, 0),
        len(LONG),
    ),
    ({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": LONG}}, (1, 0), 0),
)
GEMINI_PARTS = (
    ({"inlineData": {"mimeType": "image/png", "data": LONG}}, (1, 0), len(LONG)),
    ({"inline_data": {"mime_type": "image/png", "data": LONG}}, (1, 0), len(LONG)),
    ({"fileData": {"mimeType": "video/mp4", "fileUri": URL}}, (1, 0), 0),
    ({"file_data": {"file_uri": URL}}, (1, 0), 0),
    ({"inlineData": {"mimeType": "audio/wav", "data": LONG}}, (1, 1), len(LONG)),
    ({"inlineData": {"mimeType": "text/plain", "data": LONG}}, (1, 0), 0),
)
PARTS = [
    *((OPENAI, *each) for each in OPENAI_PARTS),
    *((MESSAGES, *each) for each in MESSAGES_PARTS),
    *((GEMINI, *each) for each in GEMINI_PARTS),
]


@pytest.mark.parametrize(("requests", "part", "parts", "size"), PARTS)
@pytest.mark.parametrize("dumps", JSON)
def test_each_part_is_found_and_counted_once(
    requests: RequestReader, part: Any, parts: tuple[int, int], size: int, dumps: Any
) -> None:
    marks = requests.media
    for count in (1, 3):
        body = body_of([{"type": "text", "text": "Look:"}, *[part] * count], **dumps)
        assert marks.may_be_in(body)
        assert marks.may_be_in(body, nested=True)
        images, audio, payload = counted(marks, body)
        assert (images, audio) == (parts[0] * count, parts[1] * count)
        assert size * count <= payload <= (size + 40) * count


@pytest.mark.parametrize("requests", [OPENAI, MESSAGES, GEMINI])
def test_a_text_about_media_is_a_text(requests: RequestReader) -> None:
    text = json.dumps({"type": "image_url", "image_url": {"url": URL}, "source": {"type": "image"}, "inlineData": {}})
    body = body_of(text)
    assert not requests.media.may_be_in(body, nested=True)
    assert requests.media.count(body) == MediaCount(0, 0, len(body))
    assert requests.media.count(body_of([{"type": "text", "text": text}])).images == 0


@pytest.mark.parametrize("name", sorted(DIALECTS))
def test_every_dialect_has_marks(name: str) -> None:
    assert isinstance(DIALECTS[name].requests.media, MediaMarks)


def test_a_text_of_a_tool_is_no_payload_whatever_its_name() -> None:
    prose = "word " * SHORTEST
    image = MESSAGES_PARTS[1][0]
    body = body_of([image, {"type": "tool_use", "id": "a", "name": "f", "input": {"data": prose}}])
    assert counted(MESSAGES.media, body) == (1, 0, 0)


def test_a_text_among_the_payloads_makes_all_of_them_text() -> None:
    text = {"type": "file", "file": {"file_data": f"data:text/csv;base64,{LONG}"}}
    assert counted(OPENAI.media, body_of([OPENAI_PARTS[1][0], text])) == (2, 0, 0)


def test_sealed_reasoning_is_text() -> None:
    body = body_of([OPENAI_PARTS[0][0], {"type": "reasoning", "encrypted_content": LONG}])
    assert counted(OPENAI.media, body) == (1, 0, 0)


def test_a_large_body_is_searched_beyond_its_payloads() -> None:
    large = {"type": "input_image", "image_url": f"data:image/png;base64,{LONG * 2_000}"}
    body = body_of([large, OPENAI_PARTS[0][0]])
    assert len(body) > MOST_SEARCHED
    assert counted(OPENAI.media, body)[:2] == (2, 0)
    prose = {"type": "text", "text": "a b " * (MOST_SEARCHED // 4)}
    body = body_of([prose, OPENAI_PARTS[0][0]])
    assert OPENAI.media.may_be_in(body)
    assert OPENAI.media.count(body) == MediaCount(0, 0, len(body))  # as many tokens as few models read


@given(
    st.lists(
        st.sampled_from([part for part, *_ in OPENAI_PARTS])
        | st.text().map(lambda text: {"type": "text", "text": text})
    )
)
def test_a_body_is_never_more_than_its_bytes(parts: list[Any]) -> None:
    body = body_of(parts)
    found = OPENAI.media.count(body)
    assert 0 <= found.text <= len(body)
    assert found.images + found.audio == sum(part["type"] != "text" if "type" in part else True for part in parts)
    if found.images or found.audio:
        assert OPENAI.media.may_be_in(body)


@given(st.text(st.characters(exclude_characters="\\")))
def test_names_are_found_in_spite_of_escapes(text: str) -> None:
    body = json.dumps({"a": text}).encode()
    assert without_escapes(body) is body  # no encoder escapes letters
    escaped = "".join(f"\\u{ord(each):04x}" if each.isascii() and each.isalpha() else each for each in "image_url")
    found = without_escapes(b'{"%b":%b}' % (escaped.encode(), body))
    assert found == b'{"image_url":%b}' % body


def test_escapes_in_capitals_and_of_other_characters() -> None:
    assert (
        without_escapes(rb'"\u006D\u005F\u004a\u005a\u0022\u005c\u0040\u007b\u00e9"')
        == rb'"m_JZ\u0022\u005c\u0040\u007b\u00e9"'
    )
