"""The content of chat messages."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from proxy.dialects.translation.conversation import (
    Audio,
    CacheMark,
    ContentSource,
    Document,
    Image,
    Part,
    Reasoning,
    Refused,
    Text,
)
from proxy.errors import Untranslatable, WrongMember
from tests.dialects.openai.chat.requests import assistant, decoded, messages

PDF = base64.b64encode(b"%PDF-1.7").decode()


def part(given: dict[str, Any]) -> Part:
    return messages({"role": "user", "content": [given]})[0].content[0]


def lost(given: dict[str, Any]) -> list[str]:
    return decoded(messages=[{"role": "user", "content": [given]}]).dropped


def file_of(**members: str) -> Part:
    return part({"type": "file", "file": members})


@pytest.mark.parametrize("content", ["", None, []])
def test_no_content_is_no_part(content: object) -> None:
    assert messages({"role": "user", "content": content})[0].content == []


def test_a_text_and_an_array_of_one_are_the_same() -> None:
    assert messages({"role": "user", "content": "Hi"}) == messages(
        {"role": "user", "content": [{"type": "text", "text": "Hi"}]}
    )


def test_an_image_has_its_address_or_its_data() -> None:
    image = {"type": "image_url", "image_url": {"url": "https://x.example/a.png", "detail": "low"}}
    assert part(image) == Image(ContentSource(url="https://x.example/a.png"), "low")
    inline = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    assert part(inline) == Image(ContentSource(data="AAAA", media_type="image/png"))
    assert part({"type": "image_url", "image_url": "data:image/png;base64,AAAA"}) == part(inline)


def test_audio_has_a_format_and_a_media_type() -> None:
    audio = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}}
    assert part(audio) == Audio(ContentSource(data="AAAA", media_type="audio/mpeg"), "mp3")
    audio["input_audio"] = {"data": "AAAA", "format": "wav"}
    assert part(audio) == Audio(ContentSource(data="AAAA", media_type="audio/wav"), "wav")


def test_a_file_is_data_an_address_or_the_id_of_an_account() -> None:
    data = file_of(file_data=f"data:application/pdf;base64,{PDF}", filename="a.pdf")
    assert data == Document(ContentSource(data=PDF, media_type="application/pdf"), "a.pdf")
    assert file_of(file_data=PDF, filename="a.pdf") == data
    assert file_of(file_data="AAAA") == Document(ContentSource(data="AAAA"))
    assert file_of(file_data="https://x.example/a.pdf") == Document(ContentSource(url="https://x.example/a.pdf"))
    assert file_of(file_id="file-1") == Document(ContentSource(file_id="file-1", owner="openai.chat"))


def test_the_id_of_a_file_beside_its_data_is_told() -> None:
    assert lost({"type": "file", "file": {"file_data": PDF, "file_id": "x"}}) == ["messages[].content[].file.file_id"]


def test_a_file_without_content_is_refused() -> None:
    with pytest.raises(Untranslatable) as caught:
        file_of(filename="a.pdf")
    assert caught.value.param == "messages[0].content[0].file"


@pytest.mark.parametrize(
    "mark",
    [
        {"prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}},
        {"cache_control": {"type": "ephemeral", "ttl": "12h"}},
    ],
)
@pytest.mark.parametrize(
    "given_",
    [
        {"type": "text", "text": "a"},
        {"type": "image_url", "image_url": {"url": "https://x.example"}},
        {"type": "image_url", "image_url": "https://x.example"},
        {"type": "file", "file": {"file_data": PDF}},
    ],
)
def test_a_part_may_end_what_is_cached(given_: dict[str, Any], mark: dict[str, Any]) -> None:
    found = part(given_ | mark)
    assert isinstance(found, Text | Image | Document)
    assert found.cache == CacheMark("12h")
    assert lost(given_ | mark) == []


def test_the_mark_of_audio_is_told() -> None:
    audio = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
    mark = {"prompt_cache_breakpoint": {"mode": "explicit"}}
    assert lost(audio | mark) == ["messages[].content[].prompt_cache_breakpoint"]


@pytest.mark.parametrize(
    ("given_", "path"),
    [
        ({"type": "text", "text": "a", "x": 1}, "x"),
        ({"type": "image_url", "image_url": {"url": "u", "x": 1}}, "image_url.x"),
        ({"type": "input_audio", "input_audio": {"data": "d", "format": "f", "x": 1}}, "input_audio.x"),
        ({"type": "file", "file": {"file_data": "d", "x": 1}}, "file.x"),
        ({"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "x": 1}}, "cache_control.x"),
        ({"type": "text", "text": "a", "prompt_cache_breakpoint": {"x": 1}}, "prompt_cache_breakpoint.x"),
    ],
)
def test_unknown_members_of_parts_are_told(given_: dict[str, Any], path: str) -> None:
    assert lost(given_) == [f"messages[].content[].{path}"]


def test_answers_may_have_refusals_and_reasoning() -> None:
    found = assistant(
        content=[
            {"type": "thinking", "thinking": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
            {"type": "text", "text": "c"},
            {"type": "refusal", "refusal": "d"},
        ]
    )
    assert found.content == [Reasoning("ab"), Text("c"), Refused("d")]


@pytest.mark.parametrize("kind", ["", "video_url", "refusal", "thinking", "input_text", "x"])
def test_unknown_content_is_refused(kind: str) -> None:
    with pytest.raises(Untranslatable) as caught:
        messages({"role": "user", "content": [{"type": "text", "text": ""}, {"type": kind}]})
    assert caught.value.param == "messages[0].content[1].type"


@pytest.mark.parametrize(
    ("content", "path"),
    [
        (1, "content"),
        ({}, "content"),
        (["a"], "content[0]"),
        ([{"type": 1}], "content[0].type"),
        ([{"type": "text"}], "content[0].text"),
        ([{"type": "image_url"}], "content[0].image_url"),
        ([{"type": "image_url", "image_url": {}}], "content[0].image_url.url"),
        ([{"type": "input_audio", "input_audio": {"data": ""}}], "content[0].input_audio.format"),
        ([{"type": "file", "file": {"file_id": 1}}], "content[0].file.file_id"),
        ([{"type": "text", "text": "", "cache_control": 1}], "content[0].cache_control"),
        ([{"type": "text", "text": "", "cache_control": {"ttl": 1}}], "content[0].cache_control.ttl"),
    ],
)
def test_a_wrong_member_is_named(content: object, path: str) -> None:
    with pytest.raises(WrongMember) as caught:
        messages({"role": "user", "content": content})
    assert caught.value.param == f"messages[0].{path}"
