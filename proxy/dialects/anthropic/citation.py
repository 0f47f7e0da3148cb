"""Sources of a text, as answers name them.

Source: ``TextCitation`` of the package anthropic 2.14
"""

from __future__ import annotations

from typing import Any

from proxy.dialects.translation.conversation import Citation


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


def _text(holder: dict[str, Any], name: str) -> str:
    value = holder.get(name)
    return value if isinstance(value, str) else ""
