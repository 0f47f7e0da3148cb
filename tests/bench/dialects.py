"""The traffic in each dialect that the gateway passes: events and answers have the same size in all."""

from __future__ import annotations

import json
from typing import Any

from tests.bench.traffic import EVENT_SIZE, RECEIVED, TOKEN_SIZE, Traffic

INSTRUCTION = "You are a helpful assistant that counts."
TEXT = "A sluice is a gate that lets water through, as much as is wanted and no more, and holds the rest."
ANSWER_SIZE = 476  # bytes of a plain answer with a number of 8 digits, and a request of 3


def _compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _filled(text: bytes, size: int) -> bytes:
    """``text`` with so much of TEXT in the place of ``%`` that it has this size."""
    missing = size - (len(text) - 1)
    return text.replace(b"%", (f"{TEXT} " * 4)[:missing].encode(), 1)


def _event(text: bytes) -> bytes:
    """An event of EVENT_SIZE; ``?`` stands for its token."""
    return _filled(text, EVENT_SIZE - TOKEN_SIZE + 1)


def _answer(text: bytes) -> bytes:
    """A plain answer of ANSWER_SIZE."""
    return _filled(text, ANSWER_SIZE - 8 - 3 + 1 + len(str(RECEIVED)))


# -- OpenAI's chat completions --------------------------------------------------------------------


def _chunk(delta: dict[str, str], finish_reason: str | None) -> dict[str, object]:
    return {
        "id": "chatcmpl-BvT5kQ2xW8nR4mY",
        "object": "chat.completion.chunk",
        "created": 1750000000,
        "model": "gpt-4o-mini-2024-07-18",
        "system_fingerprint": "fp_34a54ae93c",
        "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}],
        "usage": None,
    }


def _chat_event(value: object) -> bytes:
    return b"data: %s\n\n" % _compact(value)


def _chat_body(model: str, content: str, stream: bool) -> dict[str, Any]:
    return {
        "model": model,
        "messages": [{"role": "system", "content": INSTRUCTION}, {"role": "user", "content": content}],
        "temperature": 0.7,
        "max_tokens": 1000,
        "stream": stream,
    }


CHAT = Traffic(
    "chat",
    path="/v1/chat/completions",
    served=b"/chat/completions",
    body=_chat_body,
    client_lines=("Authorization: Bearer sk-bench-0123456789abcdef", "User-Agent: OpenAI/Python 2.8.1"),
    provider_lines=(
        b"openai-version: 2020-10-01\r\nopenai-processing-ms: 120\r\n"
        b"x-request-id: req_5f2c6f3e8b1d4a7c9e0f1a2b3c4d5e6f\r\n"
    ),
    event=_chat_event(_chunk({"content": "?"}, None)),
    after=(_chat_event(_chunk({}, "stop")), b"data: [DONE]\n\n"),
    usage=_chat_event(
        {
            **_chunk({}, None),
            "choices": [],
            "usage": {"prompt_tokens": 25, "completion_tokens": 250, "total_tokens": 275},
        }
    ),
    answer=_compact(
        {
            "id": "chatcmpl-BvT5kQ2xW8nR4mY",
            "object": "chat.completion",
            "created": 1750000000,
            "model": "gpt-4o-mini-2024-07-18",
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": f"@?; {TEXT}", "refusal": None},
                    "logprobs": None,
                    "finish_reason": "stop",
                }
            ],
            "usage": {"prompt_tokens": RECEIVED, "completion_tokens": 9, "total_tokens": 34},
            "service_tier": "default",
            "system_fingerprint": "fp_34a54ae93c",
        }
    ),
)

# -- Anthropic's messages -------------------------------------------------------------------------

MESSAGE = {
    "model": "claude-sonnet-4-5-20250929",
    "id": "msg_011KesBgMXsn4DYGsUr31oei",
    "type": "message",
    "role": "assistant",
}


def _named_event(name: str, **members: object) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), _compact({"type": name, **members}))


def _messages_body(model: str, content: str, stream: bool) -> dict[str, Any]:
    return {
        "model": model,
        "system": INSTRUCTION,
        "messages": [{"role": "user", "content": content}],
        "temperature": 0.7,
        "max_tokens": 1000,
        "stream": stream,
    }


MESSAGES = Traffic(
    "messages",
    path="/v1/messages",
    served=b"/messages",
    body=_messages_body,
    client_lines=(
        "x-api-key: sk-bench-0123456789abcdef",
        "anthropic-version: 2023-06-01",
        "User-Agent: Anthropic/Python 0.125.0",
    ),
    provider_lines=(
        b"anthropic-organization-id: 5f2c6f3e-8b1d-4a7c\r\nx-envoy-upstream-service-time: 120\r\n"
        b"request-id: req_5f2c6f3e8b1d4a7c9e0f1a2b3c4d5e6f\r\n"
    ),
    before=(
        _named_event(
            "message_start",
            message={
                **MESSAGE,
                "content": [],
                "stop_reason": None,
                "stop_sequence": None,
                "usage": {"input_tokens": 25, "output_tokens": 1},
            },
        ),
        _named_event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
    ),
    event=_event(_named_event("content_block_delta", index=0, delta={"type": "text_delta", "text": "? %"})),
    after=(
        _named_event("content_block_stop", index=0),
        _named_event(
            "message_delta",
            delta={"stop_reason": "end_turn", "stop_sequence": None},
            usage={"input_tokens": 25, "output_tokens": 250},
        ),
        _named_event("message_stop"),
    ),
    answer=_answer(
        _compact(
            {
                **MESSAGE,
                "content": [{"type": "text", "text": "@?; %"}],
                "stop_reason": "end_turn",
                "stop_sequence": None,
                "usage": {"input_tokens": RECEIVED, "output_tokens": 9, "service_tier": "standard"},
            }
        )
    ),
)

# -- Google's generateContent ---------------------------------------------------------------------


def _gemini_answer(text: str, prompt_tokens: int, finish: dict[str, str]) -> dict[str, object]:
    return {
        "candidates": [{"content": {"parts": [{"text": text}], "role": "model"}, **finish, "index": 0}],
        "usageMetadata": {"promptTokenCount": prompt_tokens, "candidatesTokenCount": 9, "totalTokenCount": 34},
        "modelVersion": "gemini-2.5-flash",
        "responseId": "1-L_aOXwBZXRjMcPwMam8Aw",
    }


def _gemini_event(text: str, finish: dict[str, str]) -> bytes:
    """An event as Google spells it: a space after each colon, and CR LF at line ends."""
    answer = json.dumps(_gemini_answer(text, 25, finish), separators=(",", ": ")).encode()
    return b"data: %s\r\n\r\n" % answer


def _gemini_body(model: str, content: str, stream: bool) -> dict[str, Any]:
    return {
        "systemInstruction": {"role": "user", "parts": [{"text": INSTRUCTION}]},
        "contents": [{"role": "user", "parts": [{"text": content}]}],
        "generationConfig": {"temperature": 0.7, "maxOutputTokens": 1000},
    }


GEMINI = Traffic(
    "gemini",
    path="/v1beta/models/{model}:{method}",
    served=b"/models/",
    methods=("generateContent", "streamGenerateContent?alt=sse"),
    body=_gemini_body,
    client_lines=("x-goog-api-key: sk-bench-0123456789abcdef", "User-Agent: google-genai-sdk/1.56.0 gl-python/3.11.2"),
    provider_lines=(
        b"X-Content-Type-Options: nosniff\r\nServer-Timing: gfet4t7; dur=120\r\nVary: Origin, X-Origin, Referer\r\n"
    ),
    event=_event(_gemini_event("?%", {})),
    after=(_gemini_event("", {"finishReason": "STOP"}),),
    answer=_answer(json.dumps(_gemini_answer("@?; %", RECEIVED, {"finishReason": "STOP"}), indent=1).encode() + b"\n"),
    end=b"\r\n\r\n",
)

DIALECTS = {each.name: each for each in (CHAT, MESSAGES, GEMINI)}


def dialect_of(target: bytes) -> Traffic:
    """The traffic for a request target at the provider; chat for every other path."""
    return next((each for each in DIALECTS.values() if each.served in target), CHAT)
