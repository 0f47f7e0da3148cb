"""Encrypted reasoning of the Responses API, with the id of its item.

OpenAI checks that the content comes back in an item of the same id, or of none. Clients of other dialects have no place
for the id, so that the blob has both: ``rs_1:gAAAA``. https://github.com/dotnet/extensions/pull/7629
"""

from __future__ import annotations

import re
from typing import Final

from proxy.dialects.translation.conversation import Blob, Reasoning
from proxy.dialects.translation.members import JsonObject

_is_id: Final = re.compile(r"[a-zA-Z0-9_-]{1,128}").fullmatch


def blob_of(item_id: str, encrypted: str) -> Blob:
    """The blob for the encrypted content of an item of an answer."""
    return Blob(f"{item_id}:{encrypted}" if _is_id(item_id) else encrypted, "encrypted")


def item_of(reasoning: Reasoning, blob: Blob) -> JsonObject:
    """The item to send back. Its text is a summary: OpenAI takes no other."""
    before, separator, after = blob.data.partition(":")
    item_id, encrypted = (before, after) if separator and _is_id(before) else (reasoning.id, blob.data)
    item: JsonObject = {"type": "reasoning", "summary": [], "encrypted_content": encrypted}
    if _is_id(item_id):
        item["id"] = item_id
    if reasoning.text:
        item["summary"].append({"type": "summary_text", "text": reasoning.text})
    return item
