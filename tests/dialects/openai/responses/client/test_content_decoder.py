"""Content parts of input items in neutral terms."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.dialects.translation.conversation import (
    Audio,
    CacheMark,
    Citation,
    ContentSource,
    Conversation,
    Document,
    Image,
    Refused,
    Text,
    ToolResult,
)
from proxy.errors import ClientFault, Untranslatable
from tests.support.responses import Json, decoded

PNG = "data:image/png;base64,aGk="


def with_part(part: Json, role: str = "user", **members: Any) -> Conversation:
    return decoded({"type": "message", "role": role, "content": [part]}, **members)


def content_of(part: Json, role: str = "user", **members: Any) -> Any:
    (message,) = with_part(part, role, **members).messages
    (found,) = message.content
    return found


@pytest.mark.parametrize("kind", ["input_text", "output_text", "text"])
def test_texts(kind: str) -> None:
    assert content_of({"type": kind, "text": "Hi"}) == Text("Hi")


def test_an_empty_text_is_no_message() -> None:
    assert (
        decoded({"role": "user", "content": ""}, {"role": "user", "content": [{"type": "input_text"}]}).messages == []
    )


def test_images_by_data_address_and_file() -> None:
    part = {"type": "input_image", "detail": "low"}
    inline, by_address = ContentSource(data="aGk=", media_type="image/png"), ContentSource(url="https://a.example/a")
    assert content_of(part | {"image_url": PNG}) == Image(inline, "low")
    assert content_of(part | {"image_url": "https://a.example/a"}) == Image(by_address, "low")
    by_id = ContentSource(file_id="file-1", owner="openai.responses")
    assert content_of(part | {"file_id": "file-1", "image_url": None}) == Image(by_id, "low")


def test_files_by_data_address_and_id() -> None:
    part = {"type": "input_file", "filename": "a.pdf"}
    inline = ContentSource(data="JVBERiA=", media_type="application/pdf")
    assert content_of(part | {"file_data": "data:application/pdf;base64,JVBERiA="}) == Document(inline, "a.pdf")
    assert content_of(part | {"file_data": "JVBERiA="}) == Document(inline, "a.pdf")
    assert content_of(part | {"file_url": "https://a.example/a"}) == Document(
        ContentSource(url="https://a.example/a"), "a.pdf"
    )
    by_id = ContentSource(file_id="file-1", owner="openai.responses")
    assert content_of(part | {"file_id": "file-1"}) == Document(by_id, "a.pdf")


def test_the_detail_of_a_file_is_told_unless_it_is_the_usual_one() -> None:
    part = {"type": "input_file", "file_data": "aGk="}
    assert with_part(part | {"detail": "auto"}).dropped == []
    assert with_part(part | {"detail": "high"}).dropped == ["input[].content[].detail"]


@pytest.mark.parametrize(
    "part", [{"type": "input_image"}, {"type": "input_file"}, {"type": "input_file", "file_id": ""}]
)
def test_content_without_a_source_is_refused(part: Json) -> None:
    with pytest.raises(ClientFault) as caught:
        content_of(part)
    assert str(caught.value.param).startswith("input[0].content[0].")


def test_audio() -> None:
    part = {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "mp3"}}
    assert content_of(part) == Audio(ContentSource(data="aGk=", media_type="audio/mpeg"), "mp3")


def test_refusals_and_citations_of_earlier_answers() -> None:
    assert content_of({"type": "refusal", "refusal": "No."}, "assistant") == Refused("No.")
    url = {"type": "url_citation", "url": "u", "title": "t", "start_index": 1, "end_index": 2}
    file = {"type": "file_citation", "file_id": "f", "filename": "n", "index": 3}
    part = {"type": "output_text", "text": "Hi", "annotations": [url, file, {"type": "odd"}]}
    cited = (Citation("u", "t", start=1, end=2), Citation(title="n", file_id="f"))
    found = with_part(part, "assistant")
    assert found.messages[0].content == [Text("Hi", citations=cited)]
    assert found.dropped == ["input[].content[].annotations[].index", "input[].content[].annotations[]"]


@pytest.mark.parametrize(
    ("mark", "ttl", "expected"),
    [
        ({"prompt_cache_breakpoint": {"mode": "explicit", "ttl": "30m"}}, None, CacheMark("30m")),
        ({"prompt_cache_breakpoint": {"mode": "explicit"}}, "12h", CacheMark("12h")),
        ({"cache_control": {"type": "ephemeral", "ttl": "1h"}}, "12h", CacheMark("1h")),
        ({"cache_control": {"type": "ephemeral"}}, "12h", CacheMark()),
        ({"prompt_cache_breakpoint": None}, None, None),
    ],
)
def test_cache_marks(mark: Json, ttl: str | None, expected: CacheMark | None) -> None:
    options = {"prompt_cache_options": {"mode": "explicit", "ttl": ttl}} if ttl else {}
    assert content_of({"type": "input_text", "text": "Hi"} | mark, **options).cache == expected


def test_log_probabilities_and_unknown_members_are_told() -> None:
    part = {"type": "output_text", "text": "Hi", "logprobs": [{}], "odd": 1, "cache_control": {"scope": 1}}
    assert with_part(part, "assistant").dropped == [
        "input[].content[].odd",
        "input[].content[].logprobs",
        "input[].content[].cache_control.scope",
    ]


@pytest.mark.parametrize("kind", ["computer_screenshot", "input_video", ""])
def test_content_that_nobody_knows_is_refused(kind: str) -> None:
    with pytest.raises(Untranslatable) as caught:
        content_of({"type": kind})
    assert caught.value.param == "input[0].content[0].type"


def test_the_output_of_a_tool_is_a_text_or_has_parts() -> None:
    call = {"type": "function_call_output", "call_id": "c"}
    parts = [{"type": "input_text", "text": "Hi"}, {"type": "input_image", "image_url": PNG}]
    image = Image(ContentSource(data="aGk=", media_type="image/png"))
    for output, expected in (("Hi", [Text("Hi")]), ("", []), (parts, [Text("Hi"), image])):
        assert decoded(call | {"output": output}).messages[0].content == [ToolResult("c", expected)]
    for wrong, path in ((None, "output"), ([{"type": "refusal"}], "output[0].type"), (1, "output")):
        with pytest.raises(ClientFault) as caught:
            decoded(call | {"output": wrong})
        assert caught.value.param == f"input[0].{path}"
