"""Images and files: their types, and the texts of text files."""

from __future__ import annotations

import base64
from typing import Final
from urllib.parse import unquote, urlsplit

from proxy.dialects.translation.conversation import ContentSource, Document

PDF: Final = "application/pdf"
ANOTHER_ACCOUNT: Final = "The file belongs to an account at another provider. Send its content."  # of an error
# The beginnings of base64. Clients may name another type, which OpenAI tolerates and others refuse.
_BEGINNINGS: Final = {
    "/9j/": "image/jpeg",
    "iVBORw0KGgo": "image/png",
    "R0lGOD": "image/gif",
    "UklGR": "image/webp",
    "JVBERi": PDF,
}
_TEXTS: Final = frozenset(
    {"application/json", "application/xml", "application/yaml", "application/x-yaml", "application/toml"}
    | {"application/javascript", "application/x-javascript", "application/typescript", "application/sql"}
    | {"application/x-sh", "application/x-python", "application/csv", "application/x-ndjson"}
)
_TEXT_NAMES: Final = (".txt", ".md", ".csv", ".json", ".xml", ".yaml", ".yml", ".html", ".log", ".toml")
_ENDINGS: Final = {
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "gif": "image/gif",
    "webp": "image/webp",
    "heic": "image/heic",
    "heif": "image/heif",
    "pdf": PDF,
    "txt": "text/plain",
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "webm": "video/webm",
    "mp3": "audio/mp3",
    "wav": "audio/wav",
}


def media_type_of(source: ContentSource) -> str:
    """The type of an image or a document, without parameters; ``""``: it is not known.

    What the content shows counts before what the client says, and that before the ending of an address.
    """
    data = source.data or ""
    found = next((kind for beginning, kind in _BEGINNINGS.items() if data.startswith(beginning)), "")
    named = source.media_type.partition(";")[0].strip().lower()
    return found or ("image/jpeg" if named == "image/jpg" else named) or of_address(source.url or "")


def of_address(address: str) -> str:
    """The type that the ending of an address shows, ``""`` for none."""
    try:
        name = unquote(urlsplit(address).path).rpartition("/")[2]
    except ValueError:  # brackets that are no address of IPv6
        return ""
    return _ENDINGS.get(name.rpartition(".")[2].lower(), "") if "." in name else ""


def is_text_type(media_type: str) -> bool:
    """Whether content of this type is a text, which a model can be given as such."""
    return media_type.startswith("text/") or media_type in _TEXTS


def text_of(part: Document) -> str | None:
    """The text of a text file; ``None``: it is another file, not UTF-8, or not in the request."""
    source = part.source
    if source.text is not None:
        return source.text
    kind = media_type_of(source)
    is_text = is_text_type(kind) or (kind != PDF and part.name.lower().endswith(_TEXT_NAMES))
    if source.data is None or not is_text:
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
