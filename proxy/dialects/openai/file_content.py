"""Files of a conversation that are no texts, as OpenAI's dialects send them: by name and data.

https://platform.openai.com/docs/guides/pdf-files
"""

from __future__ import annotations

from typing import Final

from proxy.dialects.translation.conversation import ContentSource, Document
from proxy.dialects.translation.files import PDF

_ENDINGS: Final = {PDF: ".pdf"}


def name_of(part: Document) -> str:
    """A name with the ending that OpenAI knows the type of the file by."""
    ending = _ENDINGS.get(part.source.media_type or PDF, "")
    name = part.name or "document"
    return name if name.lower().endswith(ending) else name + ending


def data_url(source: ContentSource, usual: str) -> str:
    """The data of a source as an address. ``usual``: the media type where it is not known."""
    return f"data:{source.media_type or usual};base64,{source.data}"
