"""What the anthropic package makes of bytes: a client whose transport answers with a given body."""

from __future__ import annotations

from typing import Any

import httpx2
from anthropic import Anthropic
from anthropic.types.beta import BetaMessage

CALL: dict[str, Any] = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}


def client(body: bytes, status: int = 200, media_type: str = "application/json") -> Anthropic:
    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, headers={"content-type": media_type}, content=body)

    transport = httpx2.Client(transport=httpx2.MockTransport(answer))
    return Anthropic(api_key="k", base_url="http://up.example", max_retries=0, http_client=transport)


def read_stream(body: bytes) -> BetaMessage:
    """The message that a stream adds up to. Raises what the package raises."""
    with client(body, media_type="text/event-stream") as sdk, sdk.beta.messages.stream(**CALL) as stream:
        return stream.get_final_message()


def read_answer(body: bytes, status: int = 200) -> BetaMessage:
    """A whole answer. Raises what the package raises."""
    with client(body, status) as sdk:
        return sdk.beta.messages.create(**CALL)
