"""Files of a conversation, as OpenAI's dialects send them: text files as text, all others by name and data.

https://platform.openai.com/docs/guides/pdf-files
"""

from __future__ import annotations

import base64
from typing import Final

from proxy.dialects.translation.conversation import ContentSource, Document

PDF: Final = "application/pdf"
_TEXTS: Final = frozenset({"application/json", "application/xml", "application/yaml", "application/x-yaml"})
_ENDINGS: Final = {PDF: ".pdf"}


def text_of(source: ContentSource) -> str | None:
    """The text of a text file; ``None``: it is another file, or not here."""
    if source.text is not None:
        return source.text
    kind = source.media_type.partition(";")[0].strip().lower()
    if source.data is None or not (kind.startswith("text/") or kind in _TEXTS):
        return None
    try:
        return base64.b64decode(source.data + "=" * (-len(source.data) % 4)).decode()
    except ValueError:
        return None


def as_text(part: Document, text: str) -> str:
    """A text file as text for the model, with its name and what the client says of it."""
    name = f' name="{part.name}"' if part.name else ""
    context = f"{part.context}\n\n" if part.context else ""
    return f"<document{name}>\n{context}{text}\n</document>"


def name_of(part: Document) -> str:
    """A name with the ending that OpenAI knows the type of the file by."""
    ending = _ENDINGS.get(part.source.media_type or PDF, "")
    name = part.name or "document"
    return name if name.lower().endswith(ending) else name + ending


def data_url(source: ContentSource, usual: str) -> str:
    """The data of a source as an address. ``usual``: the media type where it is not known."""
    return f"data:{source.media_type or usual};base64,{source.data}"
