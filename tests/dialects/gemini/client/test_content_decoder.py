"""Images, documents and sound of requests."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.gemini.client.content_decoder import GeminiContentPart
from proxy.dialects.translation.conversation import Audio, ContentSource, Document, Image
from tests.support.gemini_requests import dropped, messages, refused, user

GOOGLES = "https://generativelanguage.googleapis.com/v1beta/files/abc"


def inline(kind: str, data: str = "AAAA", **members: str) -> dict[str, dict[str, str]]:
    return {"inlineData": {"mimeType": kind, "data": data} | members}


def file(uri: str, kind: str = "", **members: str) -> dict[str, dict[str, str]]:
    return {"fileData": {"fileUri": uri} | ({"mimeType": kind} if kind else {}) | members}


def content(part: object) -> GeminiContentPart:
    (message,) = messages(user(part))
    (found,) = message.content
    assert isinstance(found, Image | Document | Audio)
    return found


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("image/png", Image(ContentSource(data="AAAA", media_type="image/png"))),
        ("IMAGE/PNG; x=y", Image(ContentSource(data="AAAA", media_type="image/png"))),
        ("application/pdf", Document(ContentSource(data="AAAA", media_type="application/pdf"))),
        ("text/csv", Document(ContentSource(data="AAAA", media_type="text/csv"))),
        ("audio/mp3", Audio(ContentSource(data="AAAA", media_type="audio/mp3"), "mp3")),
        ("audio/mpeg", Audio(ContentSource(data="AAAA", media_type="audio/mpeg"), "mp3")),
        ("audio/x-wav", Audio(ContentSource(data="AAAA", media_type="audio/x-wav"), "wav")),
        ("audio/ogg", Audio(ContentSource(data="AAAA", media_type="audio/ogg"), "ogg")),
    ],
)
def test_inline_data_by_its_type(kind: str, expected: GeminiContentPart) -> None:
    assert content(inline(kind)) == expected


@given(st.binary(max_size=40), st.booleans())
def test_data_is_in_the_base64_that_all_apis_take(data: bytes, padded: bool) -> None:
    """Google's SDK for Python sends the alphabet for URLs."""
    sent = base64.urlsafe_b64encode(data).decode()
    found = content(inline("image/png", sent if padded else sent.rstrip("=")))
    assert found.source.data == base64.b64encode(data).decode()


def test_the_name_of_a_document_stays() -> None:
    assert content(inline("application/pdf", displayName="a.pdf")) == Document(
        ContentSource(data="AAAA", media_type="application/pdf"), "a.pdf"
    )
    assert dropped(
        user(inline("image/png", displayName="a.png"), file("https://a.example/a.png", displayName="a"))
    ) == [
        "contents[].parts[].inlineData.displayName",
        "contents[].parts[].fileData.displayName",
    ]


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (file("https://a.example/a", "image/png"), Image(ContentSource(url="https://a.example/a", media_type="image/png"))),
        (file("https://a.example/a.JPG?x=1"), Image(ContentSource(url="https://a.example/a.JPG?x=1", media_type="image/jpeg"))),
        (file("https://a.example/a.pdf"), Document(ContentSource(url="https://a.example/a.pdf", media_type="application/pdf"))),
        (file("http://a.example/a.mp3"), Audio(ContentSource(url="http://a.example/a.mp3", media_type="audio/mp3"), "mp3")),
        (file("https://a.example/a"), Document(ContentSource(url="https://a.example/a"))),
        (file(GOOGLES, "image/png"), Image(ContentSource(file_id=GOOGLES, media_type="image/png", owner="gemini.generate"))),
        (file("gs://bucket/a.pdf"), Document(ContentSource(file_id="gs://bucket/a.pdf", media_type="application/pdf", owner="gemini.generate"))),
        (file("files/abc"), Document(ContentSource(file_id="files/abc", owner="gemini.generate"))),
    ],
)  # fmt: skip
def test_files_by_address_or_at_google(part: object, expected: GeminiContentPart) -> None:
    assert content(part) == expected


@pytest.mark.parametrize(
    ("part", "member"),
    [
        (inline("video/mp4"), "inlineData.mimeType"),
        (file("https://a.example/a", "video/webm"), "fileData.mimeType"),
        (file("https://a.example/a.mp4"), "fileData.mimeType"),
        (file("https://www.youtube.com/watch?v=x"), "fileData.fileUri"),
        (file("https://youtu.be/x", "image/png"), "fileData.fileUri"),
        ({"inlineData": {"data": "AAAA"}}, "inlineData.mimeType"),
        ({"inlineData": {"mimeType": "image/png"}}, "inlineData.data"),
        ({"fileData": {"mimeType": "image/png"}}, "fileData.fileUri"),
        ({"fileData": []}, "fileData"),
    ],
)
def test_video_and_what_is_incomplete_are_refused(part: object, member: str) -> None:
    assert refused(user(part)) == f"contents[0].parts[0].{member}"
