"""Sources of a text, as answers name them and clients send them back.

Source: ``TextCitation`` of the package anthropic 2.14
"""

from __future__ import annotations

from typing import Any, Final

from proxy.dialects.translation.conversation import Citation

# Where the source itself was quoted, by the type of a location: the member that begins the range.
PLACES: Final = {
    "char_location": "start_char_index",
    "page_location": "start_page_number",
    "content_block_location": "start_block_index",
    "search_result_location": "start_block_index",
}


def citation_of(location: Any) -> Citation | None:
    """A source of a text; ``None`` for what is none.

    Where the source itself was quoted (a page, or characters of a document) has no neutral term.
    """
    if not isinstance(location, dict):
        return None
    url = _text(location, "url") or _text(location, "source")  # of the web, or of a search result that the client sent
    title = _text(location, "title") or _text(location, "document_title")
    citation = Citation(url, title, _text(location, "cited_text"), _text(location, "file_id"))
    return citation if citation != Citation() else None


def location_of(citation: Citation) -> dict[str, Any]:
    """The kind of location that has a place for what is known. SDKs need all members, so unknown positions are 0."""
    if citation.url:
        return {
            "type": "web_search_result_location",
            "url": citation.url,
            "title": citation.title or None,
            "cited_text": citation.quote,
            "encrypted_index": "",
        }
    return {
        "type": "char_location",
        "cited_text": citation.quote,
        "document_index": 0,
        "document_title": citation.title or None,
        "file_id": citation.file_id or None,
        "start_char_index": 0,
        "end_char_index": 0,
    }


def markdown_of(citation: Citation) -> str:
    """A citation without a text that it belongs to."""
    name = citation.title or citation.url or citation.file_id or citation.quote
    return f"[{name}]({citation.url})" if citation.url else f"[{name}]"


def _text(holder: dict[str, Any], name: str) -> str:
    value = holder.get(name)
    return value if isinstance(value, str) else ""
