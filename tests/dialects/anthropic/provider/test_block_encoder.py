"""Content blocks of a request."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from proxy.dialects.anthropic.provider.block_encoder import BlockEncoder, compact
from proxy.dialects.translation.absent import ContentAbsent
from proxy.dialects.translation.client_names import member_names
from proxy.dialects.translation.conversation import (
    Audio,
    CacheMark,
    Citation,
    ContentSource,
    Document,
    Image,
    Part,
    Text,
    ToolResult,
)
from proxy.dialects.translation.loss import Losses
from proxy.errors import Untranslatable

MARK = {"cache_control": {"type": "ephemeral"}}


def base(text: bytes) -> str:
    return base64.b64encode(text).decode()


def blocks(*parts: Part, fetches: bool = True) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    losses = Losses()
    found = BlockEncoder(losses, member_names("openai.responses").content, fetches=fetches).blocks(parts)
    losses.require_content()
    return found, losses.names


def block(part: Part) -> dict[str, Any]:
    (found,), told = blocks(part)
    assert told == ()
    return found


def source(part: Part) -> Any:
    return block(part)["source"]


def test_text_keeps_its_mark() -> None:
    assert block(Text(" a ", CacheMark())) == {"type": "text", "text": " a "} | MARK


@pytest.mark.parametrize("text", ["", " ", "\n\t\u3000"])
def test_white_space_is_left_out(text: str) -> None:
    assert blocks(Text(text)) == ([], ())
    assert blocks(Text(text, CacheMark())) == ([], ("input[].content[].prompt_cache_breakpoint",))


def test_citations_of_another_api_are_told() -> None:
    found = blocks(Text("a", citations=(Citation("u"),)))
    assert found == ([{"type": "text", "text": "a"}], ("input[].content[].annotations",))


# Images


@pytest.mark.parametrize(
    ("data", "named", "sent"),
    [
        ("/9j/4AAQ", "image/png", "image/jpeg"),
        ("iVBORw0KGgoAAA", "", "image/png"),
        ("R0lGODdh", "image/gif", "image/gif"),
        ("UklGRgAA", "image/jpeg", "image/webp"),
        ("AAAA", "image/jpg", "image/jpeg"),
        ("AAAA", "IMAGE/PNG; charset=x", "image/png"),
    ],
)
def test_the_type_of_an_image_is_what_it_is(data: str, named: str, sent: str) -> None:
    image = Image(ContentSource(data=data, media_type=named))
    assert source(image) == {"type": "base64", "media_type": sent, "data": data}


def test_an_image_by_its_address() -> None:
    image = Image(ContentSource(url="https://a.example/b.png"), cache=CacheMark("1h"))
    assert block(image) == {
        "type": "image",
        "source": {"type": "url", "url": "https://a.example/b.png"},
        "cache_control": {"type": "ephemeral", "ttl": "1h"},
    }


@pytest.mark.parametrize(("detail", "told"), [("", ()), ("auto", ()), ("high", ("input[].content[].detail",))])
def test_the_detail_of_an_image_is_lost(detail: str, told: tuple[str, ...]) -> None:
    assert blocks(Image(ContentSource(url="https://a.example"), detail))[1] == told


# Documents


def test_a_pdf_has_all_that_it_came_with() -> None:
    document = Document(ContentSource(data="JVBERi0x"), "a.pdf", "About b.", cited=True, cache=CacheMark())
    assert (
        block(document)
        == {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0x"},
            "title": "a.pdf",
            "context": "About b.",
            "citations": {"enabled": True},
        }
        | MARK
    )


@pytest.mark.parametrize(
    ("document", "sent"),
    [
        (Document(ContentSource(text="Hi")), {"type": "text", "media_type": "text/plain", "data": "Hi"}),
        (
            Document(ContentSource(data=base("ö,1".encode()), media_type="text/csv")),
            {"type": "text", "media_type": "text/plain", "data": "ö,1"},
        ),
        (
            Document(ContentSource(data=base(b"{}").rstrip("="), media_type="application/json")),
            {"type": "text", "media_type": "text/plain", "data": "{}"},
        ),
        (
            Document(ContentSource(data=base(b"# A")), "README.MD"),
            {"type": "text", "media_type": "text/plain", "data": "# A"},
        ),
        (Document(ContentSource(url="https://a.example/b.pdf")), {"type": "url", "url": "https://a.example/b.pdf"}),
    ],
)
def test_a_document_is_a_pdf_a_text_or_an_address(document: Document, sent: Any) -> None:
    assert source(document) == sent


@pytest.mark.parametrize(
    ("part", "fetches", "name"),
    [
        (Image(ContentSource(url="https://a.example/b.png")), False, "input[].content[].image_url"),
        (Document(ContentSource(url="https://a.example/b.pdf")), False, "input[].content[].file_url"),
        (Document(ContentSource(url="https://a.example/b.txt")), True, "input[].content[].file_url"),
        (Document(ContentSource(url="https://a.example/b", media_type="text/csv")), True, "input[].content[].file_url"),
    ],
)
def test_content_is_lacking_where_its_address_is_not_taken(part: Any, fetches: bool, name: str) -> None:
    with pytest.raises(ContentAbsent) as raised:
        blocks(part, fetches=fetches)
    (absent,) = raised.value.absent
    assert (absent.wanted.address, absent.name) == (part.source.url, name)


@pytest.mark.parametrize(
    ("part", "path"),
    [
        (Image(ContentSource(data="AAAA", media_type="image/bmp")), "input[].content[].image_url"),
        (Image(ContentSource(data="JVBERi0x", media_type="image/png")), "input[].content[].image_url"),
        (Image(ContentSource(file_id="f", owner="openai.responses")), "input[].content[].file_id"),
        (Document(ContentSource(file_id="f")), "input[].content[].file_id"),
        (Document(ContentSource(data="AAAA", media_type="application/zip"), "a.zip"), "input[].content[].file_url"),
        (Document(ContentSource(data=base(b"\xff"), media_type="text/plain")), "input[].content[].file_url"),
        (Document(ContentSource(data="%%%a", media_type="text/plain")), "input[].content[].file_url"),
        (Audio(ContentSource(data="AAAA"), "wav"), "input[].content[]"),
    ],
)
def test_what_the_api_does_not_take_is_refused(part: Part, path: str) -> None:
    with pytest.raises(Untranslatable) as caught:
        blocks(part)
    assert caught.value.param == path


# Results of tools


def result(*content: Any, **members: Any) -> dict[str, Any]:
    losses = Losses()
    encoder = BlockEncoder(losses, member_names("").result)
    return encoder.result(ToolResult("client's", list(content), **members), "call_1")


def test_a_result_of_text_is_a_string() -> None:
    assert result(Text("12")) == {"type": "tool_result", "tool_use_id": "call_1", "content": "12"}


def test_a_result_may_have_images_and_documents() -> None:
    content = result(Text("a"), Image(ContentSource(data="/9j/")), Document(ContentSource(text="b")))["content"]
    assert [each["type"] for each in content] == ["text", "image", "document"]


def test_a_mark_within_a_result_is_that_of_the_result() -> None:
    found = result(Text("a", CacheMark("1h")))
    assert found == {
        "type": "tool_result",
        "tool_use_id": "call_1",
        "cache_control": {"type": "ephemeral", "ttl": "1h"},
        "content": "a",
    }


def test_an_empty_result_has_no_content_but_an_error_says_something() -> None:
    assert result() == result(Text(" ")) == {"type": "tool_result", "tool_use_id": "call_1"}
    failed = result(is_error=True)
    assert (failed["is_error"], bool(failed["content"])) == (True, True)
    assert result(Text("Boom"), is_error=True)["content"] == "Boom"


def test_only_a_plain_text_is_a_string() -> None:
    text = {"type": "text", "text": "a"}
    assert (compact([text]), compact([text, text]), compact([text | MARK])) == ("a", [text, text], [text | MARK])
