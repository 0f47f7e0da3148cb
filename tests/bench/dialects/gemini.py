"""Google's generateContent."""

from __future__ import annotations

import json

from tests.bench.conversation import Conversation, Tool, Turn
from tests.bench.dialects.spelling import filled_answer, filled_event
from tests.bench.traffic import RECEIVED, Events, Json, Traffic


def _answer(text: str, prompt_tokens: int, finish: dict[str, str]) -> Json:
    return {
        "candidates": [{"content": {"parts": [{"text": text}], "role": "model"}, **finish, "index": 0}],
        "usageMetadata": {"promptTokenCount": prompt_tokens, "candidatesTokenCount": 9, "totalTokenCount": 34},
        "modelVersion": "gemini-2.5-flash",
        "responseId": "1-L_aOXwBZXRjMcPwMam8Aw",
    }


def _event(text: str, finish: dict[str, str]) -> bytes:
    """An event as Google spells it: a space after each colon, and CR LF at line ends."""
    answer = json.dumps(_answer(text, 25, finish), separators=(",", ": ")).encode()
    return b"data: %s\r\n\r\n" % answer


def _read(event: Json) -> tuple[str, str]:
    candidate = event["candidates"][0]
    text = "".join(part.get("text", "") for part in candidate["content"]["parts"])
    return text, candidate.get("finishReason", "")


def _tool(tool: Tool) -> Json:
    return {"name": tool.name, "description": tool.description, "parametersJsonSchema": tool.schema}


def _turn(turn: Turn) -> list[Json]:
    call = {"functionCall": {"name": turn.tool, "args": turn.arguments}}
    result = {"functionResponse": {"name": turn.tool, "response": {"output": turn.result}}}
    return [{"role": "model", "parts": [{"text": turn.text}, call]}, {"role": "user", "parts": [result]}]


def _body(model: str, said: Conversation, stream: bool) -> Json:
    first = {"role": "user", "parts": [{"text": said.content}]}
    body: Json = {
        "systemInstruction": {"role": "user", "parts": [{"text": said.system}]},
        "contents": [first, *(content for turn in said.turns for content in _turn(turn))],
        "generationConfig": {"temperature": 0.7, "maxOutputTokens": 1000},
    }
    tools = [{"functionDeclarations": [_tool(tool) for tool in said.tools]}]
    return body | ({"tools": tools} if said.tools else {})


GEMINI = Traffic(
    "gemini",
    path="/v1beta/models/{model}:{method}",
    served=b"/models/",
    methods=("generateContent", "streamGenerateContent?alt=sse"),
    body=_body,
    client_lines=("x-goog-api-key: sk-bench-0123456789abcdef", "User-Agent: google-genai-sdk/1.56.0 gl-python/3.11.2"),
    provider_lines=(
        b"X-Content-Type-Options: nosniff\r\nServer-Timing: gfet4t7; dur=120\r\nVary: Origin, X-Origin, Referer\r\n"
    ),
    text=Events(
        filled_event(_event("?%", {})),
        (_event("", {"finishReason": "STOP"}),),
        read=_read,
        close=b'"STOP"',
        end=b"\r\n\r\n",
    ),
    answer=filled_answer(json.dumps(_answer("@?; %", RECEIVED, {"finishReason": "STOP"}), indent=1).encode() + b"\n"),
)
