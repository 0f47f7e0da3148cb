from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from proxy.dialects.translation.absent import ContentAbsent, wanted_of
from proxy.dialects.translation.conversation import (
    Audio,
    CacheMark,
    Citation,
    ContentSource,
    Document,
    Image,
    Part,
    Text,
)
from proxy.dialects.translation.model_facts import ModelFacts
from proxy.errors import Untranslatable
from tests.support.chat_encoding import asking, message
from tests.support.responses_encoding import OPENAI, OTHER, encode, items

PDF = ContentSource(data="QQ==", media_type="application/pdf")


def content(*parts: Part, facts: ModelFacts = OPENAI) -> Any:
    return items(message("user", *parts), facts=facts)[0]["content"]


def test_texts_alone_are_one_string() -> None:
    assert content(Text("a"), Text(""), Text("b")) == "a\n\nb"


def test_an_image_has_an_address_or_data() -> None:
    assert content(Image(ContentSource(url="https://a.example/x"), "low"), Image(ContentSource(data="QQ=="))) == [
        {"type": "input_image", "detail": "low", "image_url": "https://a.example/x"},
        {"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64,QQ=="},
    ]


def test_a_file_has_data_or_an_address() -> None:
    assert content(Document(PDF, "a.pdf"), Document(ContentSource(url="https://a.example/b.pdf"))) == [
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,QQ=="},
        {"type": "input_file", "file_url": "https://a.example/b.pdf"},
    ]


def test_a_server_that_takes_no_addresses_lacks_their_content() -> None:
    image, file = (
        Image(ContentSource(url="https://a.example/x")),
        Document(ContentSource(url="https://a.example/b.pdf")),
    )
    with pytest.raises(ContentAbsent) as raised:
        content(image, file, Document(PDF), facts=structs.replace(OTHER, fetches=False))
    assert [each.wanted for each in raised.value.absent] == [wanted_of(image), wanted_of(file)]


def test_a_text_file_is_text() -> None:
    assert content(Document(ContentSource(text="x"), "a.txt")) == '<document name="a.txt">\nx\n</document>'


def test_what_the_client_says_of_a_file_stands_before_it() -> None:
    assert content(Document(PDF, context="Old."))[0]["text"] == "About the file document.pdf: Old."


@pytest.mark.parametrize("kind", [Image, Document])
def test_a_file_of_openais_is_sent_by_its_id_to_openai_alone(kind: Any) -> None:
    part = kind(ContentSource(file_id="file_1", owner="openai.chat"))
    assert content(part)[0]["file_id"] == "file_1"
    for given, facts in ((part, OTHER), (kind(ContentSource(file_id="f", owner="anthropic.messages")), OPENAI)):
        with pytest.raises(Untranslatable, match="another provider"):
            content(given, facts=facts)


@pytest.mark.parametrize("part", [Audio(ContentSource(data="QQ=="), "wav"), Image(ContentSource(text="x"))])
def test_what_the_api_lacks_is_refused(part: Part) -> None:
    with pytest.raises(Untranslatable):
        content(part)


def test_marks_and_citations_are_carried_or_told() -> None:
    part = Text("a", CacheMark("12h"), (Citation("https://a.example"),))
    body = encode(asking(message("user", part)), ModelFacts(openai=True, cache_marks="breakpoint")).body
    assert body["input"][0]["content"][0]["prompt_cache_breakpoint"] == {"mode": "explicit", "ttl": "12h"}
    assert encode(asking(message("user", part, Document(PDF, cited=True)))).dropped == (
        "messages[].content[].citations",
        "messages[].content[].cache_control",
    )
