"""Content of requests by its address."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.openai.content_source import file_source, source_of
from proxy.dialects.translation.conversation import ContentSource


@pytest.mark.parametrize(
    ("url", "data", "media_type"),
    [
        ("data:image/png;base64,AAAA", "AAAA", "image/png"),
        ("DATA:Image/PNG;charset=x;BASE64,AAAA", "AAAA", "image/png"),
        ("data:,a%20b", base64.b64encode(b"a b").decode(), ""),
        ("data:image/svg+xml,%3Csvg/%3E", base64.b64encode(b"<svg/>").decode(), "image/svg+xml"),
        ("data:image/png;base64", "", "image/png"),
    ],
)
def test_data_urls_of_all_shapes_are_read(url: str, data: str, media_type: str) -> None:
    assert source_of(url) == ContentSource(data=data, media_type=media_type)


@given(st.binary(max_size=50))
def test_the_data_of_a_data_url_is_kept(data: bytes) -> None:
    encoded = base64.b64encode(data).decode()
    assert source_of(f"data:a/b;base64,{encoded}").data == encoded


@pytest.mark.parametrize(
    ("data", "source"),
    [
        ("data:application/pdf;base64,aGk=", ContentSource(data="aGk=", media_type="application/pdf")),
        ("JVBERi0=", ContentSource(data="JVBERi0=", media_type="application/pdf")),
        ("aGk=", ContentSource(data="aGk=")),
        ("https://a.example/a", ContentSource(url="https://a.example/a")),
    ],
)
def test_a_file_is_a_data_url_plain_base64_or_an_address(data: str, source: ContentSource) -> None:
    assert file_source(data) == source
