from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.translation.conversation import ContentSource, Document
from proxy.dialects.translation.files import PDF, media_type_of, of_address, text_of


@pytest.mark.parametrize(
    ("source", "found"),
    [
        (ContentSource(data="iVBORw0KGgoAAAA", media_type="image/jpeg"), "image/png"),
        (ContentSource(data="JVBERi0x"), PDF),
        (ContentSource(data="AAAA", media_type="Image/JPG; q=1"), "image/jpeg"),
        (ContentSource(data="AAAA", media_type="text/csv;charset=utf-8"), "text/csv"),
        (ContentSource(url="https://a.example/x.PNG?y=.gif#z.pdf"), "image/png"),
        (ContentSource(url="https://a.example/x.png", media_type="image/webp"), "image/webp"),
        (ContentSource(data="AAAA"), ""),
    ],
)
def test_what_the_content_shows_counts_before_what_the_client_says(source: ContentSource, found: str) -> None:
    assert media_type_of(source) == found


@pytest.mark.parametrize(
    "address", ["", "https://a.example", "https://a.png/x", "https://a.example/png", "http://[x", "gs://b/c.d/e"]
)
def test_an_address_without_an_ending_shows_no_type(address: str) -> None:
    assert of_address(address) == ""


@given(st.text())
def test_no_address_raises(address: str) -> None:
    of_address(address)


@pytest.mark.parametrize(
    ("part", "text"),
    [
        (Document(ContentSource(text="Hi")), "Hi"),
        (Document(ContentSource(data="SGk=", media_type="text/markdown")), "Hi"),
        (Document(ContentSource(data="SGk", media_type="application/json")), "Hi"),
        (Document(ContentSource(data="SGk=", media_type="application/octet-stream"), "a.YAML"), "Hi"),
        (Document(ContentSource(data="/w==", media_type="text/plain")), None),
        (Document(ContentSource(data="JVBERi0x"), "a.txt"), None),
        (Document(ContentSource(data="SGk=")), None),
        (Document(ContentSource(url="https://a.example/a.txt")), None),
    ],
)
def test_only_text_files_have_a_text(part: Document, text: str | None) -> None:
    assert text_of(part) == text
