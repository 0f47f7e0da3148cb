"""The endpoint ``messages``, streamed or whole, and ``messages/count_tokens``.

Sources: https://docs.claude.com/en/api/messages and https://docs.claude.com/en/docs/build-with-claude/streaming
"""

from __future__ import annotations

import base64
import json
import secrets
from typing import Any, Final

from msgspec import Struct

from proxy.demo import words
from proxy.demo.answer import BROKEN_MESSAGE, DemoAnswer, Frame, Kind, event, event_stream, json_answer
from proxy.demo.anthropic.api import error_document
from proxy.demo.anthropic.call import CountCall, MessagesCall, all_text
from proxy.demo.models import DemoModel
from proxy.demo.reply import DemoReply, reply, seconds

_STOP: Final = event({"type": "message_stop"}, "done", "message_stop")
_PING: Final = event({"type": "ping"}, "open", "ping")


class StreamedBlock(Struct, frozen=True):
    """A block of content: whole, as it begins in a stream, and the deltas that complete it."""

    whole: dict[str, Any]
    opening: dict[str, Any]
    deltas: list[dict[str, Any]]


def messages(call: MessagesCall, model: DemoModel) -> DemoAnswer:
    """A message, streamed or whole."""
    answer = reply(model, call.ask)
    blocks = list(_blocks(answer, call))
    envelope = {"id": _identity("msg"), "type": "message", "role": "assistant", "model": call.model}
    begun: dict[str, Any] = {"content": [], "stop_reason": None, "stop_sequence": None}
    ended = {"stop_reason": _stop_reason(answer), "stop_sequence": None}
    broken = error_document(BROKEN_MESSAGE)
    if not call.stream:
        whole = envelope | {"content": [block.whole for block in blocks], **ended, "usage": _usage(answer)}
        return json_answer(whole, before=seconds(model, answer), broken=broken)
    started = envelope | begun | {"usage": _usage(answer) | {"output_tokens": 1}}
    frames = [_event("message_start", message=started), _PING]
    for index, block in enumerate(blocks):
        frames.append(_event("content_block_start", index=index, content_block=block.opening))
        frames += [_event("content_block_delta", "word", index=index, delta=delta) for delta in block.deltas]
        frames.append(_event("content_block_stop", "finish", index=index))
    frames.append(_event("message_delta", "finish", delta=ended, usage=_usage(answer)))
    return event_stream([*frames, _STOP], model.rate, event(broken, name="error"))


def count_tokens(call: CountCall, model: DemoModel) -> DemoAnswer:
    """The number of input tokens, which are words in the demo."""
    broken = error_document(BROKEN_MESSAGE)
    return json_answer({"input_tokens": words.count(all_text(call))}, broken=broken)


def _blocks(answer: DemoReply, call: MessagesCall) -> list[StreamedBlock]:
    blocks = []
    thinking = call.thinking
    if answer.reasoning and (thinking is None or thinking.type != "disabled"):
        blocks.append(_thought("" if thinking and thinking.display == "omitted" else answer.reasoning, answer))
    if answer.tool:
        head = {"type": "tool_use", "id": _identity("toolu"), "name": answer.tool.name}
        pieces = [{"type": "input_json_delta", "partial_json": piece} for piece in words.slices(answer.arguments)]
        blocks.append(StreamedBlock(head | {"input": json.loads(answer.arguments)}, head | {"input": {}}, pieces))
    elif answer.text:
        pieces = [{"type": "text_delta", "text": piece} for piece in words.pieces(answer.text)]
        blocks.append(StreamedBlock({"type": "text", "text": answer.text}, {"type": "text", "text": ""}, pieces))
    return blocks


def _thought(shown: str, answer: DemoReply) -> StreamedBlock:
    """The signature stands for the whole thought, although the client may not be shown it."""
    signature = base64.b64encode(answer.reasoning.encode()).decode()
    deltas = [{"type": "thinking_delta", "thinking": piece} for piece in words.pieces(shown)]
    return StreamedBlock(
        {"type": "thinking", "thinking": shown, "signature": signature},
        {"type": "thinking", "thinking": "", "signature": ""},
        [*deltas, {"type": "signature_delta", "signature": signature}],
    )


def _stop_reason(answer: DemoReply) -> str:
    return "tool_use" if answer.tool else "max_tokens" if answer.cut_short else "end_turn"


def _usage(answer: DemoReply) -> dict[str, Any]:
    return {
        "input_tokens": answer.input_words,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": answer.output_words,
    }


def _event(name: str, kind: Kind = "open", /, **members: Any) -> Frame:
    return event({"type": name, **members}, kind, name)


def _identity(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(12)}"
