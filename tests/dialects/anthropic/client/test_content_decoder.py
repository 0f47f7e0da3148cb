"""Texts, images, documents and search results of requests in neutral terms."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.dialects.translation.conversation import (
    CacheMark,
    Citation,
    ContentSource,
    Conversation,
    Document,
    Image,
    Part,
    Text,
)
from proxy.errors import Untranslatable, WrongMember
from tests.support.messages import conversation

PNG = {"type": "base64", "media_type": "image/png", "data": "aGk="}
IMAGE = {"type": "image", "source": PNG}
QUOTED = {"type": "web_search_result_location", "url": "u", "document_index": 0}
MARK = {"type": "ephemeral", "ttl": "5m"}


def user(*blocks: Any) -> Conversation:
    return conversation({"role": "user", "content": list(blocks)})


def contents(*blocks: Any) -> list[Part]:
    found = user(*blocks)
    assert found.dropped == []
    return found.messages[0].content


def text(content: str, **members: Any) -> dict[str, Any]:
    return {"type": "text", "text": content} | members


def document(**members: Any) -> dict[str, Any]:
    return {"type": "document"} | members


def test_texts_are_carried_with_their_cache_marks_but_for_empty_ones() -> None:
    assert contents(text("a", cache_control=MARK), text("", cache_control=None), text(" ")) == [
        Text("a", CacheMark("5m")),
        Text(" "),
    ]


@pytest.mark.parametrize(
    ("location", "citation"),
    [
        ({"type": "web_search_result_location", "url": "u", "title": "t", "encrypted_index": ""}, Citation("u", "t")),
        ({"type": "search_result_location", "source": "u", "title": None, "cited_text": "q"}, Citation("u", "", "q")),
        ({"type": "page_location", "document_title": "t", "cited_text": "q"}, Citation("", "t", "q")),
        ({"type": "char_location", "file_id": "f", "cited_text": "q"}, Citation("", "", "q", "f")),
    ],
)
def test_the_citations_of_an_earlier_answer_are_carried(location: Any, citation: Citation) -> None:
    assert contents(text("a", citations=[location])) == [Text("a", citations=(citation,))]
    assert contents(text("a", citations=None)) == [Text("a")]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (PNG, ContentSource(data="aGk=", media_type="image/png")),
        ({"type": "url", "url": "https://a.example/x.png"}, ContentSource(url="https://a.example/x.png")),
        ({"type": "file", "file_id": "file_1"}, ContentSource(file_id="file_1", owner="anthropic.messages")),
    ],
)
def test_images_are_carried_from_all_sources(source: Any, expected: ContentSource) -> None:
    block = {"type": "image", "source": source, "cache_control": MARK}
    assert contents(block) == [Image(expected, cache=CacheMark("5m"))]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="}, ContentSource(data="JVBERg==", media_type="application/pdf")),
        ({"type": "text", "media_type": "text/plain", "data": "hello"}, ContentSource(text="hello", media_type="text/plain")),
        ({"type": "url", "url": "https://a.example/x.pdf"}, ContentSource(url="https://a.example/x.pdf", media_type="application/pdf")),
        ({"type": "file", "file_id": "file_1"}, ContentSource(file_id="file_1", owner="anthropic.messages")),
        ({"type": "content", "content": "hello"}, ContentSource(text="hello", media_type="text/plain")),
        ({"type": "content", "content": [text("a"), text("b")]}, ContentSource(text="a\nb", media_type="text/plain")),
        ({"type": "content", "content": []}, ContentSource(text="", media_type="text/plain")),
    ],
)  # fmt: skip
def test_documents_are_carried_from_all_sources(source: Any, expected: ContentSource) -> None:
    block = document(source=source, title="t", context="c", citations={"enabled": True}, cache_control=MARK)
    assert contents(block) == [Document(expected, "t", "c", cited=True, cache=CacheMark("5m"))]
    assert contents(document(source=source, citations=None)) == [Document(expected)]


def test_a_document_with_images_becomes_its_blocks() -> None:
    source = {"type": "content", "content": [text("a"), IMAGE]}
    assert contents(document(source=source, title="t", context="c", cache_control=MARK)) == [
        Text("t\nc"),
        Text("a"),
        Image(ContentSource(data="aGk=", media_type="image/png"), cache=CacheMark("5m")),
    ]
    assert len(contents(document(source=source))) == 2


def test_a_search_result_becomes_a_text_file() -> None:
    block = {"type": "search_result", "source": "https://a.example", "title": "t", "content": [text("a"), text("b")]}
    assert contents(block | {"citations": {"enabled": True}}) == [
        Document(ContentSource(text="a\nb", media_type="text/plain"), "t", "https://a.example", cited=True)
    ]


def test_a_found_tool_is_named() -> None:
    assert contents({"type": "tool_reference", "tool_name": "grep"}) == [Text("Found the tool grep.")]


@pytest.mark.parametrize(
    ("block", "dropped"),
    [
        (text("a", odd=1), "messages[].content[].odd"),
        (text("a", cache_control=MARK | {"scope": "global"}), "messages[].content[].cache_control.scope"),
        (text("a", citations=[QUOTED | {"encrypted_index": "x"}]), "messages[].content[].citations[].encrypted_index"),
        (text("a", citations=[{"type": "of_next_month", "url": "u"}]), "messages[].content[].citations[]"),
        (
            document(source={"type": "content", "content": [text("a", citations=[QUOTED])]}),
            "messages[].content[].source.content[].citations",
        ),
        (IMAGE | {"transformations": {"oversized_image": "error"}}, "messages[].content[].transformations"),
        (document(source={"type": "url", "url": "u", "odd": 1}), "messages[].content[].source.odd"),
        (document(source={"type": "url", "url": "u"}, citations={"odd": 1}), "messages[].content[].citations.odd"),
        (
            document(source={"type": "content", "content": [text("a", cache_control=MARK)]}),
            "messages[].content[].source.content[].cache_control",
        ),
        (
            document(source={"type": "content", "content": [IMAGE]}, citations={"enabled": True}),
            "messages[].content[].citations",
        ),
    ],
)
def test_what_has_no_neutral_term_is_told(block: Any, dropped: str) -> None:
    assert user(block).dropped == [dropped]


@pytest.mark.parametrize(
    ("block", "param"),
    [
        ({"type": "video"}, "type"),
        ({"type": "browser_state", "tabs": []}, "type"),
        ({"type": "image", "source": {"type": "text", "data": "x"}}, "source.type"),
        (document(source={"type": "repository"}), "source.type"),
        (document(source={"type": "content", "content": [{"type": "video"}]}), "source.content[0].type"),
    ],
)
def test_unknown_blocks_and_sources_are_refused(block: Any, param: str) -> None:
    with pytest.raises(Untranslatable) as caught:
        user(text("a"), block)
    assert caught.value.param == f"messages[0].content[1].{param}"


@pytest.mark.parametrize(
    ("block", "param"),
    [
        ({}, "type"),
        (text("a") | {"text": 1}, "text"),
        (text("a", cache_control="yes"), "cache_control"),
        (text("a", cache_control={"ttl": 1}), "cache_control.ttl"),
        ({"type": "image"}, "source"),
        ({"type": "image", "source": {"type": "base64", "data": 1}}, "source.data"),
        ({"type": "image", "source": {"type": "base64", "data": "x"}}, "source.media_type"),
        ({"type": "image", "source": {"type": "url"}}, "source.url"),
        (document(source={"type": "file"}), "source.file_id"),
        (document(source={}), "source.type"),
        (document(source={"type": "url", "url": "u"}, citations={"enabled": 1}), "citations.enabled"),
        ({"type": "search_result", "content": [{"text": 1}]}, "content[0].text"),
    ],
)
def test_a_member_of_the_wrong_type_is_named(block: Any, param: str) -> None:
    with pytest.raises(WrongMember) as caught:
        user(block)
    assert caught.value.param == f"messages[0].content[0].{param}"
