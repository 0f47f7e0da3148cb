"""Content of requests by its address, in both of OpenAI's APIs for text."""

from __future__ import annotations

import base64
from typing import Final
from urllib.parse import unquote_to_bytes

from proxy.dialects.translation.conversation import ContentSource

_PDF: Final = "JVBERi"  # base64 of "%PDF"


def source_of(url: str) -> ContentSource:
    """Content by its address, which may be a data URL (RFC 2397)."""
    if url[:5].lower() != "data:":
        return ContentSource(url=url)
    head, _, data = url[5:].partition(",")
    media_type, *parameters = head.split(";")
    if "base64" not in (each.strip().lower() for each in parameters):
        data = base64.b64encode(unquote_to_bytes(data)).decode()
    return ContentSource(data=data, media_type=media_type.strip().lower())


def file_source(data: str) -> ContentSource:
    """``file_data`` of a file: a data URL, plain base64, or (at OpenRouter) an address."""
    if data[:5].lower() == "data:" or data.startswith(("http://", "https://")):
        return source_of(data)
    return ContentSource(data=data, media_type="application/pdf" if data.startswith(_PDF) else "")
