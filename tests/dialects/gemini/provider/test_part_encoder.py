from __future__ import annotations

from typing import Any

import pytest

from proxy.dialects.gemini.provider.part_encoder import GeminiPartEncoder
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
from proxy.errors import Untranslatable
from tests.support.gemini_encoding import NEW, OLDEST, encoding

PNG = ContentSource(data="iVBORw0KGgoAAAA")
PDF = ContentSource(data="JVBERi0x")


def parts(*content: Part, facts: Any = NEW) -> tuple[list[Any], tuple[str, ...]]:
    found = encoding(facts)
    encoded = list(GeminiPartEncoder(found, found.client.content).parts(content))
    found.losses.require_content()
    return encoded, found.losses.names


def test_an_empty_text_is_left_out() -> None:
    assert parts(Text("a"), Text("")) == ([{"text": "a"}], ())


def test_marks_and_citations_of_a_text_are_told() -> None:
    found, lost = parts(Text("a", CacheMark(), (Citation("https://a.example"),)))
    assert found == [{"text": "a"}]
    assert lost == ("messages[].content[].prompt_cache_breakpoint", "messages[].content[].annotations")


def test_an_image_is_sent_as_what_it_is() -> None:
    wrong = ContentSource(data=PNG.data, media_type="image/jpeg")
    assert parts(Image(wrong), Image(PNG, "auto")) == (
        [{"inlineData": {"mimeType": "image/png", "data": PNG.data}}] * 2,
        (),
    )
    assert parts(Image(PNG, "low"))[1] == ("messages[].content[].image_url.detail",)


@pytest.mark.parametrize(
    ("source", "file"),
    [
        (ContentSource(url="https://a.example/b.png"), {"mimeType": "image/png"}),
        (ContentSource(url="http://a.example/b", media_type="image/webp"), {"mimeType": "image/webp"}),
        (ContentSource(url="gs://bucket/b"), {}),
        (ContentSource(url="https://generativelanguage.googleapis.com/v1beta/files/x"), {}),
    ],
)
def test_an_address_is_fetched_by_the_provider(source: ContentSource, file: Any) -> None:
    assert parts(Image(source))[0] == [{"fileData": {"fileUri": source.url} | file}]


@pytest.mark.parametrize(
    "source",
    [
        ContentSource(url="https://a.example/b"),
        ContentSource(url="ftp://a.example/b.png"),
        ContentSource(url="http:[/b.png"),
        ContentSource(file_id="file-1", owner="openai.chat"),
        ContentSource(data="AAAA"),
        ContentSource(),
    ],
)
def test_an_image_that_cannot_be_sent_is_refused(source: ContentSource) -> None:
    with pytest.raises(Untranslatable):
        parts(Image(source))


def test_an_address_that_is_no_url_is_left_to_the_provider() -> None:
    (found,) = parts(Image(ContentSource(url="http://[/b.png", media_type="image/png")))[0]
    assert found == {"fileData": {"fileUri": "http://[/b.png", "mimeType": "image/png"}}


def test_content_whose_address_shows_no_type_is_lacking() -> None:
    with pytest.raises(ContentAbsent) as raised:
        parts(
            Image(ContentSource(url="https://a.example/b")), Image(PNG), Image(ContentSource(url="https://a.example/c"))
        )
    assert [each.wanted.address for each in raised.value.absent] == ["https://a.example/b", "https://a.example/c"]


def test_a_model_that_fetches_nothing_takes_files_at_google_only() -> None:
    assert parts(Image(ContentSource(url="gs://bucket/b.png")), facts=OLDEST)[0]
    with pytest.raises(Untranslatable, match="no addresses"):
        parts(Image(ContentSource(url="https://a.example/b.png")), facts=OLDEST)


def test_a_text_file_is_text_with_its_name() -> None:
    part = Document(ContentSource(data="SGk=", media_type="text/markdown"), "a.md", "About it.")
    assert parts(part)[0] == [{"text": '<document name="a.md">\nAbout it.\n\nHi\n</document>'}]


def test_another_file_stands_behind_its_name() -> None:
    inline = {"inlineData": {"mimeType": "application/pdf", "data": PDF.data}}
    assert parts(Document(PDF)) == ([inline], ())
    assert parts(Document(PDF, "a.pdf"))[0] == [{"text": "The file a.pdf:"}, inline]
    assert parts(Document(PDF, "", "Old."))[0] == [{"text": "A file: Old."}, inline]
    assert parts(Document(PDF, cited=True))[1] == ("messages[].content[].file.citations",)


def test_a_document_at_an_address_is_a_pdf_where_nothing_else_is_known() -> None:
    (found,) = parts(Document(ContentSource(url="https://a.example/b")))[0]
    assert found["fileData"]["mimeType"] == "application/pdf"


def test_a_document_that_cannot_be_sent_is_refused() -> None:
    for source in (ContentSource(file_id="file-1"), ContentSource(data="AAAA"), ContentSource()):
        with pytest.raises(Untranslatable):
            parts(Document(source))


def test_sound_has_the_type_of_its_format() -> None:
    wav, mp3 = Audio(ContentSource(data="AA==")), Audio(ContentSource(data="AA==", media_type="audio/x"), "mp3")
    types = [each["inlineData"]["mimeType"] for each in parts(wav, mp3)[0]]
    assert types == ["audio/wav", "audio/mp3"]


def test_a_call_is_no_content_of_a_user() -> None:
    with pytest.raises(Untranslatable):
        parts(ToolCall("a", "f"))
