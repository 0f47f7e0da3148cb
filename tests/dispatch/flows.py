"""Two providers over real sockets, and what a client asks of them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from tests.support import Answer, Headers, RawClient, chat_events, completion, error_json, json_answer, sse_answer
from tests.support.steps import Script

CHAT = "/v1/chat/completions"
HI = [{"role": "user", "content": "Hi"}]
CALL = {"model": "m", "messages": HI}
NOWHERE = "http://127.0.0.1:1/v1"
KEYS = {"first": "key-of-first", "second": "key-of-second"}
SECRET = "Incorrect API key provided: key-of-first, see https://inner.example/keys"


def error_answer(status: int, message: str = "Broken on purpose", *, code: str | None = None, **headers: str) -> Script:
    lines = [(name.replace("_", "-"), value) for name, value in headers.items()]
    head, *body = json_answer(error_json(message, code=code), status, lines)
    assert isinstance(head, Headers)
    return [replace(head, reason="Of its own"), *body]


def two_providers(first: str, second: str, setting: str, **sections: Any) -> dict[str, Any]:
    """``m`` at ``first``; at ``second`` the same, or ``b``, which is larger."""
    name = "m" if setting == "equal" else "b"
    routing = sections.pop("routing", {})
    if setting == "fallback":
        routing = {"fallback": {"provider": "second", "model": name}} | routing
    models = [{"name": "m", "provider": "first", "model": "up-m", "contextSize": 1000}]
    if setting != "alone":
        size = 1000 if setting == "equal" else 2000
        models.append({"name": name, "provider": "second", "model": f"up-{name}", "contextSize": size})
    return {
        "providers": {
            "first": {"baseUrl": first, "apiKey": KEYS["first"]} | sections.pop("provider", {}),
            "second": {"baseUrl": second, "apiKey": KEYS["second"]},
        },
        "models": models,
        "routing": routing,
    } | sections


def call_for(manner: str, setting: str = "") -> dict[str, Any]:
    return CALL | {"stream": manner == "stream"} | ({"model": ["m", "b"]} if setting == "list" else {})


def good(manner: str, text: str = "whole") -> Script:
    return sse_answer(*chat_events(text)) if manner == "stream" else json_answer(completion(text))


def text_of(answer: Answer) -> str:
    """Of a whole answer, plain or streamed."""
    if not (answer.header("content-type") or "").startswith("text/event-stream"):
        return str(answer.json["choices"][0]["message"]["content"])
    events = [line[6:] for line in answer.body.decode().split("\n") if line.startswith("data: ")]
    assert events[-1] == "[DONE]"
    chunks = map(json.loads, events[:-1])
    return "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)


def assert_no_secrets(answer: Answer, *addresses: str) -> None:
    """No address, no key, none of the provider's words about our credential: not in the body, not in the head."""
    seen = f"{answer.head.headers}{answer.body!r}"
    for secret in ("127.0.0.1", "inner.example", "Incorrect", "key-of", "JMo3Q", "01hx9y", *addresses):
        assert secret not in seen


async def fetch(client: RawClient, call: dict[str, Any], *headers: tuple[str, str]) -> Answer:
    return await client.fetch("POST", CHAT, json=call, headers=headers)
