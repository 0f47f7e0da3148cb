"""What each known provider serves and refuses, and a scripted server that does the same.

The facts are those of the providers' documentation, SDKs and public bug reports, written down apart from
``known_providers.py``, which these tests prove.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.support import chat_events, completion, json_answer, sse_answer
from tests.support.steps import Script
from tests.support.upstream import Request

KEY = "provider-key"
CLIENTS_KEY = "clients-own-key"
Refusal = Callable[[dict[str, Any]], str]  # why a body is refused; "": it is not

# -- refusals -------------------------------------------------------------------------------------


def developer(body: dict[str, Any]) -> str:
    items = body.get("messages") or body.get("input")
    roles = [item.get("role") for item in items if item.get("type", "message") == "message"]
    return "unknown variant `developer`, expected one of `system`, `user`, `assistant`, `tool`" * ("developer" in roles)


def without_reasoning(body: dict[str, Any]) -> str:
    """Thinking is on by default."""
    for index, message in enumerate(body["messages"]):
        if message.get("tool_calls") and message.get("reasoning_content") is None:
            return (
                f"thinking is enabled but reasoning_content is missing in assistant tool call message at index {index}"
            )
    return ""


# https://github.com/mistralai/client-python, version 3.7: ChatCompletionStreamRequest
MISTRALS: Final = frozenset(
    ["model", "messages", "temperature", "top_p", "max_tokens", "stream", "stop", "random_seed", "metadata", "response_format", "tools", "tool_choice", "presence_penalty", "frequency_penalty", "min_tokens", "repetition_penalty", "top_k", "logprobs", "top_logprobs", "prompt_logprobs", "top_prompt_logprobs", "n", "prediction", "parallel_tool_calls", "reasoning_effort", "prompt_mode", "guardrails", "prompt_cache_key", "service_tier", "safe_prompt"]
)  # fmt: skip


def mistrals_members(body: dict[str, Any]) -> str:
    unknown = sorted(body.keys() - MISTRALS)
    return (unknown and f"extra_forbidden: {unknown[0]}") or ""


def mistrals_ids(body: dict[str, Any]) -> str:
    ids = [call["id"] for message in body["messages"] for call in message.get("tool_calls", ())]
    results = [message["tool_call_id"] for message in body["messages"] if "tool_call_id" in message]
    for each in ids + results:
        if not re.fullmatch("[a-zA-Z0-9]{9}", each):
            return f"Tool call id was {each} but must be a-z, A-Z, 0-9, with a length of 9."
    return "" if set(results) <= set(ids) else "Not the same number of function calls and responses"


def other_tools(body: dict[str, Any]) -> str:
    return "'type' of tool must be 'function'" * any(tool["type"] != "function" for tool in body.get("tools", ()))


def billing(body: dict[str, Any]) -> str:
    """No provider refuses it: it costs the prompt cache instead. Here a refusal stands for that."""
    first = (body.get("system") or [{}])[0]
    return "the prompt differs in each request" * first.get("text", "").startswith("x-anthropic-billing-header:")


# -- the rows -------------------------------------------------------------------------------------

UNKNOWN = "?"  # no source says whether the provider has this dialect


@dataclass(frozen=True)
class Row:
    """Paths by dialect, ``""`` where the provider lacks it; what it refuses; the header of its credential."""

    chat: str = ""
    responses: str = ""
    messages: str = ""
    gemini: str = ""
    refuses: Mapping[str, tuple[Refusal, ...]] = field(default_factory=dict)
    header: str = "authorization"
    headers: Mapping[str, str] = field(default_factory=dict)  # by dialect, where it is another one
    counts: bool = False  # tokens, beside messages
    keyless: bool = False

    def path(self, dialect: str) -> str:
        found = getattr(self, dialect)
        assert isinstance(found, str)
        return found

    def credential(self, dialect: str) -> str:
        return self.headers.get(dialect, self.header)

    def refusals(self, dialect: str) -> tuple[Refusal, ...]:
        usual = () if self.path("messages") == "/v1/messages" and self.header == "x-api-key" else (billing,)
        return self.refuses.get(dialect, ()) + (usual if dialect == "messages" else ())


def local(**more: Any) -> Row:
    return Row("/v1/chat/completions", "/v1/responses", "/v1/messages", keyless=True, **more)


DEVELOPER: Final = {"chat": (developer,)}
THINKING: Final = {"chat": (developer, without_reasoning)}
V1 = "/v1/chat/completions"
ROWS: Final[Mapping[str, Row]] = {
    "openai": Row(V1, "/v1/responses"),
    "anthropic": Row(messages="/v1/messages", header="x-api-key", counts=True),
    "gemini": Row(
        "/v1beta/openai/chat/completions",
        gemini="/v1beta/models/up:generateContent",
        headers={"gemini": "x-goog-api-key"},
    ),
    "openrouter": Row("/api/v1/chat/completions", "/api/v1/responses", "/api/v1/messages"),
    "deepseek": Row(
        "/chat/completions", "/responses", "/anthropic/v1/messages", refuses=THINKING | {"responses": (developer,)}
    ),
    "groq": Row("/openai/v1/chat/completions", "/openai/v1/responses"),
    "mistral": Row(V1, refuses={"chat": (developer, mistrals_members, mistrals_ids)}),
    "together": Row(V1),
    "fireworks": Row("/inference/v1/chat/completions", "/inference/v1/responses", "/inference/v1/messages"),
    "xai": Row(V1, "/v1/responses"),
    "cerebras": Row(V1, UNKNOWN),
    "perplexity": Row("/chat/completions", "/v1/responses"),
    "nvidia": Row(V1, UNKNOWN),
    "deepinfra": Row("/v1/openai/chat/completions", UNKNOWN, refuses=DEVELOPER),
    "sambanova": Row(V1, UNKNOWN),
    "moonshot": Row(V1, "/v1/responses", "/anthropic/v1/messages", refuses=THINKING),
    "minimax": Row(V1, "/v1/responses", "/anthropic/v1/messages", refuses=DEVELOPER),
    "zai": Row("/api/paas/v4/chat/completions", messages="/api/anthropic/v1/messages", refuses=DEVELOPER),
    "dashscope": Row(
        "/compatible-mode/v1/chat/completions",
        "/api/v2/apps/protocols/compatible-mode/v1/responses",
        "/apps/anthropic/v1/messages",
        refuses=DEVELOPER,
    ),
    "ollama": local(),
    "vllm": local(counts=True),
    "sglang": local(counts=True),
    "lmstudio": local(),
    "llamacpp": local(refuses={"responses": (other_tools,)}),
}

# -- the server -----------------------------------------------------------------------------------

_ANSWERS: Final[Mapping[str, Any]] = {
    "chat": completion("Hi"),
    "responses": {
        "id": "resp_1", "object": "response", "status": "completed", "model": "up", "error": None,
        "output": [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hi"}]}],
        "usage": {"input_tokens": 3, "output_tokens": 1, "total_tokens": 4},
    },
    "messages": {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "up", "stop_reason": "end_turn",
        "content": [{"type": "text", "text": "Hi"}], "usage": {"input_tokens": 3, "output_tokens": 1},
    },
    "gemini": {
        "candidates": [{"content": {"role": "model", "parts": [{"text": "Hi"}]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 1, "totalTokenCount": 4},
    },
}  # fmt: skip


def server(row: Row) -> Callable[[Request], Script]:
    """Answers as the provider of this row does."""
    paths = {row.path(dialect): dialect for dialect in _ANSWERS if row.path(dialect) not in ("", UNKNOWN)}
    counting = {f"{row.messages}/count_tokens"} if row.counts else set()

    def answer(request: Request) -> Script:
        path = request.target.partition("?")[0]
        dialect = "messages" if path in counting else paths.get(path)
        if request.method != "POST" or dialect is None:
            return refused(404, f"no route {request.method} {path}")
        if fault := _wrong_credential(row, dialect, request):
            return refused(401, fault)
        body = request.json
        for refusal in row.refusals(dialect):
            if fault := refusal(body):
                return refused(400, fault)
        if path in counting:
            return json_answer({"input_tokens": 3})
        return sse_answer(*chat_events("Hi")) if body.get("stream") else json_answer(_ANSWERS[dialect])

    return answer


def refused(status: int, why: str) -> Script:
    return json_answer({"error": {"message": why, "type": "invalid_request_error"}}, status)


def _wrong_credential(row: Row, dialect: str, request: Request) -> str:
    """Exactly one credential, the provider's, in the header that it reads."""
    if CLIENTS_KEY in json.dumps(request.headers) or CLIENTS_KEY in request.target:
        return "the client's key is not one of this provider"
    names = ("authorization", "x-api-key", "api-key", "x-goog-api-key")
    sent = {name: value for name in names if (value := request.header(name)) is not None}
    wanted = row.credential(dialect)
    expected = {} if row.keyless else {wanted: f"Bearer {KEY}" if wanted == "authorization" else KEY}
    return "" if sent == expected else f"expected the credential in {wanted}, got {sorted(sent)}"
