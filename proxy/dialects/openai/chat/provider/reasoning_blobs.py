"""Signatures and encrypted reasoning of chat answers, as blobs that keep all that the provider needs back.

Chat has no standard for them. The data of a blob is JSON: the provider's own object without its text, such as an
entry of OpenRouter's ``reasoning_details`` (https://openrouter.ai/docs/use-cases/reasoning-tokens) or one of Mistral's
``thinking`` chunks (https://docs.mistral.ai/capabilities/reasoning/).
"""

from __future__ import annotations

from typing import Any, Final, Literal

from proxy.dialects.translation.conversation import Blob, Reasoning
from proxy.dialects.translation.members import JsonObject
from proxy.wire import document

THINKING: Final = "thinking"
_TEXT: Final = "reasoning.text"
_SUMMARY: Final = "reasoning.summary"
_ENCRYPTED: Final = "reasoning.encrypted"
_TEXT_MEMBERS: Final = {_TEXT: "text", _SUMMARY: "summary", THINKING: "thinking"}
_OF_OPENAI: Final = "openai-"  # formats
_OPAQUE: Final = ("signature", "data")


def is_summary(entry: JsonObject) -> bool:
    """Whether the text of an entry of ``reasoning_details`` is a summary."""
    return entry.get("type") == _SUMMARY


def text_of(entry: JsonObject) -> str:
    """The text of an entry of ``reasoning_details``."""
    text = entry.get("summary" if is_summary(entry) else "text")
    return text if isinstance(text, str) else ""


def blob_of(entry: JsonObject) -> Blob | None:
    """The blob of an entry of ``reasoning_details``, or of a ``thinking`` chunk; ``None``: it has none."""
    if not any(isinstance(entry.get(name), str) and entry[name] for name in _OPAQUE):
        return None
    kept = {name: value for name, value in entry.items() if name not in _TEXT_MEMBERS.values() and value is not None}
    kind: Literal["signature", "encrypted"] = "encrypted" if entry.get("type") == _ENCRYPTED else "signature"
    try:
        return Blob(document.encode(kept).decode(), kind)
    except RecursionError:
        return None


def entry_of(blob: Blob) -> JsonObject | None:
    """The object that ``blob_of`` was made of, without its text; ``None``: the blob came by another dialect."""
    if not blob.data.startswith("{"):
        return None
    try:
        found = document.decode(blob.data.encode("utf-8", "surrogatepass"))
    except ValueError:
        return None
    return found if isinstance(found, dict) and isinstance(found.get("type"), str) else None


def details_of(reasoning: Reasoning, entry: JsonObject) -> list[JsonObject]:
    """The entries of ``reasoning_details`` for reasoning whose blob is ``entry``."""
    kind, text = entry["type"], reasoning.text
    if kind != _ENCRYPTED:
        return [{**entry, _TEXT_MEMBERS.get(kind, "text"): text}]
    if not text:
        return [entry]
    shared = {name: entry[name] for name in ("format", "index") if name in entry}
    # OpenAI's models give nothing but summaries, and clients of other dialects do not say so.
    is_summarized = reasoning.summary or str(shared.get("format")).startswith(_OF_OPENAI)
    return [plain_detail(Reasoning(text, summary=is_summarized)) | shared, entry]


def plain_detail(reasoning: Reasoning) -> JsonObject:
    """The entry for reasoning that has no blob."""
    return (
        {"type": _SUMMARY, "summary": reasoning.text} if reasoning.summary else {"type": _TEXT, "text": reasoning.text}
    )


def thinking_chunk(text: str, entry: JsonObject | None = None) -> JsonObject:
    """Mistral's content for reasoning, with what its blob had."""
    thinking: list[Any] = [{"type": "text", "text": text}] if text else []
    return {**(entry or {}), "type": THINKING, "thinking": thinking}
