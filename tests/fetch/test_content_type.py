from __future__ import annotations

import pytest

from proxy.dialects.translation.absent import ContentKind
from proxy.fetch.content_type import ContentType, content_type_of
from proxy.fetch.unavailable import ContentUnavailable

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
JPEG = b"\xff\xd8\xff\xe0\0\x10JFIF"
WEBP = b"RIFF\x24\0\0\0WEBPVP8 "
WAV = b"RIFF\x24\0\0\0WAVEfmt "
PDF = b"%PDF-1.7\n"
HTML = b"<!doctype html>"


@pytest.mark.parametrize(
    ("kind", "header", "beginning", "expected"),
    [
        ("image", "image/png", PNG, "image/png"),
        ("image", "image/jpg", PNG, "image/png"),  # the content counts
        ("image", "IMAGE/JPEG; q=1", JPEG, "image/jpeg"),
        ("image", "", b"GIF89a\1\0", "image/gif"),
        ("image", "application/octet-stream", WEBP, "image/webp"),
        ("file", "binary/octet-stream", PDF, "application/pdf"),
        ("file", "application/x-pdf", PDF, "application/pdf"),
        ("audio", "audio/x-wav", WAV, "audio/wav"),
        ("audio", "audio/mpeg", b"ID3\4\0", "audio/mp3"),
        ("audio", "audio/mpeg", b"\xff\xfb\x90\0", "audio/mp3"),
        ("audio", "audio/flac", b"fLaC\0", "audio/flac"),
    ],
)
def test_the_first_bytes_show_the_type(kind: ContentKind, header: str, beginning: bytes, expected: str) -> None:
    assert content_type_of(kind, header, beginning) == ContentType(expected)


@pytest.mark.parametrize(
    ("header", "codec"),
    [
        ("text/plain", "utf-8-sig"),
        ("text/markdown; charset=UTF-8", "utf-8-sig"),
        ('text/csv; header=present; charset="iso-8859-1"', "cp1252"),
        ("application/json", "utf-8-sig"),
    ],
)
def test_a_text_is_what_its_server_calls_one(header: str, codec: str) -> None:
    found = content_type_of("file", header, b"# Notes")
    assert found == ContentType(header.partition(";")[0], codec)


@pytest.mark.parametrize(
    ("kind", "header", "beginning", "reason"),
    [
        ("image", "text/html", HTML, "is no PNG"),
        ("image", "image/png", HTML, "is no PNG"),
        ("image", "image/svg+xml", b"<svg xmlns=", "is no PNG"),
        ("image", "application/pdf", PDF, "is no PNG"),
        ("image", "audio/wav", WAV, "is no PNG"),
        ("image", "text/html", PNG, "another type than its server says"),
        ("image", "image/x", b"RIFF\x24\0\0\0AVI LIST", "is no PNG"),
        ("file", "image/png", PNG, "neither a PDF nor a text"),
        ("file", "text/plain", PDF, "another type than its server says"),
        ("file", "application/octet-stream", b"# Notes", "neither a PDF nor a text"),
        ("file", "", b"# Notes", "neither a PDF nor a text"),
        ("file", "text/plain; charset=idna", b"# Notes", "not in UTF-8"),
        ("audio", "audio/wav", PNG, "is no MP3"),
    ],
)
def test_content_of_another_type_is_refused(kind: ContentKind, header: str, beginning: bytes, reason: str) -> None:
    with pytest.raises(ContentUnavailable, match=reason):
        content_type_of(kind, header, beginning)
