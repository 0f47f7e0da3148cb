"""What streams and whole answers of chat have in common.

Source: https://platform.openai.com/docs/api-reference/chat/object. Of other servers: ``reasoning_details`` and
``native_finish_reason`` (OpenRouter), ``stop_reason`` (vLLM: the stop sequence), ``extra_content`` (Google).
"""

from __future__ import annotations

from typing import Final

from proxy.dialects.translation import blobs
from proxy.dialects.translation.base import AnswerContext
from proxy.dialects.translation.conversation import Citation
from proxy.dialects.translation.gathered import CallBlock
from proxy.dialects.translation.members import JsonObject
from proxy.dialects.translation.parts import CallStart, Finish
from proxy.dialects.usage import Usage, UsageDetails

_REASONS: Final = {
    "stop_sequence": "stop",
    "refusal": "content_filter",
    "pause": "stop",
    "context": "length",
}
# Reasons that finish_reason cannot express.
_NATIVE: Final = frozenset({"refusal", "pause", "context"})
_NO_DETAILS: Final = UsageDetails()


def completion_id(context: AnswerContext) -> str:
    return f"chatcmpl-{context.id}"


def finish_members(context: AnswerContext, finish: Finish, *, refused: bool = False) -> JsonObject:
    """The members of a choice that say why the model stopped.

    ``refused``: the answer has a refusal. OpenAI ends such an answer with ``stop``, and its SDK raises on
    ``content_filter`` before a caller can read the refusal.
    """
    reason = _REASONS.get(finish.reason, finish.reason)
    if refused and finish.reason == "refusal":
        reason = "stop"
    if context.request.legacy_functions and reason == "tool_calls":
        reason = "function_call"
    found: JsonObject = {"finish_reason": reason}
    if finish.sequence:
        found["stop_reason"] = finish.sequence
    if finish.reason in _NATIVE:
        found["native_finish_reason"] = finish.reason
    return found


def usage_members(usage: Usage) -> JsonObject:
    """``usage`` with all classes. Counts that the provider did not report are 0, as clients require them."""
    details = usage.details or _NO_DETAILS
    prompt, completion = usage.total_input or 0, usage.total_output or 0
    read: JsonObject = {"cached_tokens": usage.cache_read or 0}
    if details.cache_write is not None or details.cache_write_1h is not None:
        read["cache_write_tokens"] = (details.cache_write or 0) + (details.cache_write_1h or 0)
    written: JsonObject = {"reasoning_tokens": usage.reasoning or 0}
    for side, name, count in (
        (read, "audio_tokens", details.audio_input),
        (read, "image_tokens", details.image_input),
        (written, "audio_tokens", details.audio_output),
        (written, "image_tokens", details.image_output),
    ):
        if count is not None:
            side[name] = count
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": read,
        "completion_tokens_details": written,
    }


def annotation(citation: Citation, begin: int, end: int) -> JsonObject:
    """A source of a block of text. ``begin`` and ``end``: where the block stands, in characters of the answer's text.

    The address of a source without one (a document of the request) is ``""``, since clients require the member.
    """
    found: JsonObject = {
        "url": citation.url,
        "title": citation.title,
        "start_index": begin + (citation.start or 0),
        "end_index": end if citation.end is None else begin + citation.end,
    }
    if citation.quote:
        found["content"] = citation.quote
    if citation.file_id:
        found["file_id"] = citation.file_id
    return {"type": "url_citation", "url_citation": found}


def call_members(context: AnswerContext, call: CallStart | CallBlock, arguments: str) -> JsonObject:
    """A tool call, with its signature if it has one."""
    if call.kind == "custom":
        own: JsonObject = {"custom": {"name": call.name, "input": arguments}}
    else:
        own = {"function": {"name": call.name, "arguments": arguments}}
    if call.blob is not None:
        own["extra_content"] = {"google": {"thought_signature": blobs.pack(call.blob, context.issuer)}}
    return {"id": call.id, "type": call.kind, **own}


def is_function_call(context: AnswerContext, index: int, call: CallStart | CallBlock) -> bool:
    """Whether a call is the ``function_call`` of a client that knows only that. An answer has one at most."""
    return context.request.legacy_functions and index == 0 and call.kind == "function"
