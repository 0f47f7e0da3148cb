from __future__ import annotations

import base64
from typing import Any

import pytest

from proxy.dialects.openai.chat.provider.content_encoder import ChatContentEncoder, compact
from proxy.dialects.translation.absent import ContentAbsent
from proxy.dialects.translation.conversation import (
    Audio,
    CacheMark,
    Citation,
    ContentSource,
    Document,
    Image,
    Part,
    Text,
    ToolCall,
)
from proxy.dialects.translation.model_facts import ModelFacts
from proxy.errors import Untranslatable
from tests.support.chat_encoding import FACTS, OPENAI, encoding

PNG = ContentSource(data="iVBORw0K", media_type="image/png")
PDF = ContentSource(data="JVBERi0x", media_type="application/pdf")
LINK = ContentSource(url="https://a.example/cat.png")


def encoded(*parts: Part, facts: ModelFacts = FACTS, source: str = "anthropic.messages") -> tuple[Any, tuple[str, ...]]:
    """The parts, and what is told."""
    context = encoding(facts, source)
    found = list(ChatContentEncoder(context, context.client.content).parts(parts))
    context.losses.require_content()
    return found, context.losses.names


def only(part: Part, **options: Any) -> Any:
    [found], dropped = encoded(part, **options)
    assert dropped == ()
    return found


def test_an_empty_text_is_left_out() -> None:
    assert encoded(Text(""), Text("Hi")) == ([{"type": "text", "text": "Hi"}], ())


def test_an_image_is_data_or_an_address() -> None:
    assert only(Image(PNG)) == {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0K"}}
    found = only(Image(LINK, detail="low"))
    assert found == {"type": "image_url", "image_url": {"url": "https://a.example/cat.png", "detail": "low"}}


def test_a_server_that_takes_no_addresses_lacks_their_content() -> None:
    pdf = Document(ContentSource(url="https://a.example/a.pdf"))
    with pytest.raises(ContentAbsent) as raised:
        encoded(Image(LINK), pdf, Image(PNG), Audio(LINK), facts=ModelFacts(fetches=False))
    assert [(each.wanted.kind, each.wanted.address, each.name) for each in raised.value.absent] == [
        ("image", "https://a.example/cat.png", "messages[].content[].source"),
        ("file", "https://a.example/a.pdf", "messages[].content[].source"),
        ("audio", "https://a.example/cat.png", "messages[].content[]"),
    ]


def test_a_pdf_is_a_file_with_a_name() -> None:
    data = "data:application/pdf;base64,JVBERi0x"
    assert only(Document(PDF, "a.pdf")) == {"type": "file", "file": {"filename": "a.pdf", "file_data": data}}
    assert only(Document(PDF, "A paper")) == {"type": "file", "file": {"filename": "A paper.pdf", "file_data": data}}
    assert only(Document(PDF)) == {"type": "file", "file": {"filename": "document.pdf", "file_data": data}}


def test_another_file_keeps_its_type() -> None:
    sheet = ContentSource(data="UEsDBA==", media_type="application/vnd.ms-excel")
    found = only(Document(sheet, "a.xls"))
    assert found["file"] == {"filename": "a.xls", "file_data": "data:application/vnd.ms-excel;base64,UEsDBA=="}


def test_what_the_client_says_of_a_file_stands_before_it() -> None:
    [about, file], _ = encoded(Document(PDF, "a.pdf", context="From 2026."))
    assert about == {"type": "text", "text": "About the file a.pdf: From 2026."}
    assert file["type"] == "file"


@pytest.mark.parametrize(
    "source",
    [
        ContentSource(text="A note.", media_type="text/plain"),
        ContentSource(data=base64.b64encode(b"A note.").decode(), media_type="text/plain; charset=utf-8"),
        ContentSource(data=base64.b64encode(b"A note.").decode().rstrip("="), media_type="application/json"),
    ],
)
def test_a_text_file_is_text(source: ContentSource) -> None:
    assert only(Document(source)) == {"type": "text", "text": "<document>\nA note.\n</document>"}
    found = only(Document(source, "a.txt", "From 2026."))
    assert found["text"] == '<document name="a.txt">\nFrom 2026.\n\nA note.\n</document>'


def test_a_file_that_is_no_text_after_all_stays_a_file() -> None:
    latin = ContentSource(data=base64.b64encode(b"\xe4\xf6").decode(), media_type="text/plain")
    assert only(Document(latin, "a.txt"))["type"] == "file"


def test_sound_has_its_format() -> None:
    found = only(Audio(ContentSource(data="UklGRg=="), "mp3"))
    assert found == {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "mp3"}}
    assert only(Audio(ContentSource(data="UklGRg==", media_type="audio/mp3")))["input_audio"]["format"] == "mp3"


def test_a_file_of_an_account_at_openai_stays_there() -> None:
    own = Document(ContentSource(file_id="file-1", owner="openai.responses"))
    assert only(own, facts=OPENAI) == {"type": "file", "file": {"file_id": "file-1"}}
    with pytest.raises(Untranslatable):
        encoded(own)


@pytest.mark.parametrize(
    ("part", "source", "member"),
    [
        (Image(ContentSource(file_id="file_1")), "anthropic.messages", "messages[].content[].source"),
        (Image(ContentSource(file_id="file-1")), "openai.responses", "input[].content[].file_id"),
        (Image(ContentSource(text="x")), "openai.responses", "input[].content[].image_url"),
        (Document(ContentSource(file_id="file_1")), "anthropic.messages", "messages[].content[].source"),
        (Document(ContentSource(url="https://a.example/a.pdf")), "anthropic.messages", "messages[].content[].source"),
        (Document(ContentSource(url="https://a.example/a.pdf")), "openai.responses", "input[].content[].file_url"),
        (Audio(LINK, "wav"), "openai.responses", "input[].content[].input_audio"),
        (ToolCall("a", "f"), "openai.responses", "input[].content"),
    ],
)
def test_what_chat_lacks_is_refused_by_the_name_of_the_member(part: Part, source: str, member: str) -> None:
    with pytest.raises(Untranslatable) as refused:
        encoded(part, source=source)
    assert refused.value.param == member


def test_citations_are_told() -> None:
    assert encoded(Text("a", citations=(Citation("https://a.example"),)))[1] == ("messages[].content[].citations",)
    assert encoded(Document(PDF, cited=True))[1] == ("messages[].content[].citations",)


@pytest.mark.parametrize(
    "part", [Text("a", CacheMark()), Image(PNG, cache=CacheMark()), Document(PDF, cache=CacheMark())]
)
def test_any_part_may_have_a_cache_mark(part: Part) -> None:
    [found], _ = encoded(part, facts=ModelFacts(cache_marks="cache_control"))
    assert found["cache_control"] == {"type": "ephemeral"}
    assert encoded(part)[1] == ("messages[].content[].cache_control",)


def test_content_with_nothing_but_texts_is_a_string() -> None:
    texts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert compact(texts) == "a\n\nb"
    marked = [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]
    assert compact(marked) == marked
    assert compact([]) == ""
