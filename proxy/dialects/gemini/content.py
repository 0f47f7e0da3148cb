"""Text, images and sound in contents, counted.

Source: https://ai.google.dev/api/caching#Content
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from proxy.dialects.gemini.schema import GeminiBlob, GeminiContent, GeminiPart, decode_contents
from proxy.dialects.json_estimate import Content, Unknown, size


def of_list(raw: bytes) -> Content:
    """Count a JSON array of contents, or of requests that have contents. Raises Unknown."""
    found = Content()
    try:
        for content in decode_contents(raw):
            _add(content, found)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise Unknown from exc
    return found


def _add(content: GeminiContent, found: Content) -> None:
    if content.content is not None:
        _add(content.content, found)
    elif content.parts is None:
        raise Unknown
    for part in content.parts or ():
        _add_part(part, found)


def _add_part(part: GeminiPart, found: Content) -> None:
    known = False
    if part.text is not None:
        found.text += size(part.text)
        known = True
    for blob in (part.inline_data, part.inline_data_, part.file_data, part.file_data_):
        if blob is not None:
            _add_blob(blob, found)
            known = True
    for result in (part.function_response, part.function_response_):
        if result is not None:
            found.text += len(result.response)
            for each in result.parts or ():
                _add_part(each, found)
            known = True
    for raw in _members(part):
        found.text += len(raw)
        known = known or bool(raw)
    if not known:
        raise Unknown


def _members(part: GeminiPart) -> Iterable[msgspec.Raw]:
    """The members of which the model sees the JSON."""
    yield from (part.function_call, part.function_call_, part.tool_call, part.tool_call_)
    yield from (part.tool_response, part.tool_response_, part.executable_code, part.executable_code_)
    yield from (part.code_execution_result, part.code_execution_result_)


def _add_blob(blob: GeminiBlob, found: Content) -> None:
    """Images, videos and documents count alike; a text counts by its size before base64."""
    kind = (blob.mime_type or blob.mime_type_ or "").partition("/")[0].lower()
    if kind == "audio":
        found.audio += 1
    elif kind == "text" and blob.data:
        found.text += max(len(blob.data) - 2, 0) * 3 // 4
    else:
        found.images += 1
