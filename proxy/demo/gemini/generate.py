"""``generateContent``, ``streamGenerateContent`` and ``countTokens``.

Source: https://ai.google.dev/api/generate-content
"""

from __future__ import annotations

import base64
import json
import secrets
from typing import Any

from proxy.demo import words
from proxy.demo.answer import BROKEN_MESSAGE, DemoAnswer, Frame, Kind, encode, event_stream, json_answer
from proxy.demo.gemini.api import error_document
from proxy.demo.gemini.call import GeminiCountCall, GenerateCall
from proxy.demo.models import DemoModel
from proxy.demo.refusal import DemoRefusal
from proxy.demo.reply import DemoReply, reply, seconds

Parts = list[dict[str, Any]]


def generate(call: GenerateCall, model: DemoModel) -> DemoAnswer:
    """A whole answer."""
    answer = _reply(call, model)
    parts = _joined(_parts(answer, call))
    whole = _Chunks(call.model, answer).last(parts)
    return json_answer(whole, before=seconds(model, answer), broken=error_document(BROKEN_MESSAGE))


def stream(call: GenerateCall, model: DemoModel) -> DemoAnswer:
    """A stream of events. Google's lines end with CR LF, and no event tells the end."""
    answer = _reply(call, model)
    parts, chunks = _parts(answer, call), _Chunks(call.model, answer)
    frames = [_frame(chunks.next(part), "word") for part in parts[:-1]]
    frames.append(_frame(chunks.last(parts[-1:]), "finish"))
    return event_stream(frames, model.rate, _frame(error_document(BROKEN_MESSAGE), "open"))


def gemini_count(call: GeminiCountCall, model: DemoModel) -> DemoAnswer:
    """The number of input tokens, which are words in the demo."""
    count = words.count(call.text)
    counted = {"totalTokens": count, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": count}]}
    return json_answer(counted, broken=error_document(BROKEN_MESSAGE))


class _Chunks:
    """The documents of one answer."""

    def __init__(self, model: str, answer: DemoReply) -> None:
        self._answer = answer
        self._members = {"modelVersion": model, "responseId": secrets.token_urlsafe(16)}

    def next(self, part: dict[str, Any]) -> dict[str, Any]:
        spent = self._answer.input_words
        usage = {"promptTokenCount": spent, "totalTokenCount": spent}
        return {"candidates": [_candidate([part])], "usageMetadata": usage, **self._members}

    def last(self, parts: Parts) -> dict[str, Any]:
        finish = "MAX_TOKENS" if self._answer.cut_short else "STOP"
        candidate = _candidate(parts) | {"finishReason": finish}
        return {"candidates": [candidate], "usageMetadata": _usage(self._answer), **self._members}


def _reply(call: GenerateCall, model: DemoModel) -> DemoReply:
    if call.generation_config.candidate_count not in (None, 1):
        raise DemoRefusal(400, "The demo gives one candidate: 'candidateCount' must be 1.", param="candidateCount")
    return reply(model, call.ask)


def _parts(answer: DemoReply, call: GenerateCall) -> Parts:
    """The parts as they are streamed; the last one comes with the finish reason."""
    parts: Parts = []
    thinking = call.generation_config.thinking_config
    if answer.reasoning and thinking.include_thoughts and thinking.thinking_budget:
        parts += [{"text": piece, "thought": True} for piece in words.pieces(answer.reasoning)]
    signature = base64.b64encode(answer.reasoning.encode()).decode()
    signed = {"thoughtSignature": signature} if signature else {}
    if answer.tool:
        named = {"name": answer.tool.name, "args": json.loads(answer.arguments)}
        return [*parts, {"functionCall": {"id": secrets.token_hex(4), **named}, **signed}]
    parts += [{"text": piece} for piece in words.pieces(answer.text)]
    return [*parts, {"text": "", **signed}] if signed else parts


def _joined(parts: Parts) -> Parts:
    """The parts of a whole answer: at most one with thoughts, and one with text."""
    joined: Parts = []
    for part in parts:
        before = joined[-1] if joined else {}
        if "text" in part and "text" in before and part.get("thought") == before.get("thought"):
            joined[-1] = before | part | {"text": before["text"] + part["text"]}
        else:
            joined.append(part)
    return joined


def _candidate(parts: Parts) -> dict[str, Any]:
    content = {"content": {"parts": parts, "role": "model"}} if parts else {}
    return {**content, "index": 0}


def _usage(answer: DemoReply) -> dict[str, Any]:
    spent, thought = answer.input_words, answer.reasoning_words
    said = answer.output_words - thought
    return {
        "promptTokenCount": spent,
        "candidatesTokenCount": said,
        "totalTokenCount": spent + said + thought,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": spent}],
        **({"thoughtsTokenCount": thought} if thought else {}),
    }


def _frame(document: dict[str, Any], kind: Kind) -> Frame:
    return Frame(b"data: %b\r\n\r\n" % encode(document), kind)
