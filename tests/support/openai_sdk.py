"""What the openai package makes of bytes: a client whose transport answers with a given body."""

from __future__ import annotations

from typing import Any

import httpx2
from openai import OpenAI
from openai.types.chat import ChatCompletion, ChatCompletionChunk

CALL: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}


def client(body: bytes, media_type: str = "application/json") -> OpenAI:
    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": media_type}, content=body)

    transport = httpx2.Client(transport=httpx2.MockTransport(answer))
    return OpenAI(api_key="k", base_url="http://up.example", max_retries=0, http_client=transport)


def read_chunks(body: bytes) -> list[ChatCompletionChunk]:
    """The chunks of a stream. Raises what the package raises."""
    with client(body, "text/event-stream") as sdk:
        return list(sdk.chat.completions.create(**CALL, stream=True))


def read_completion(body: bytes) -> ChatCompletion:
    """A whole answer. Raises what the package raises."""
    with client(body) as sdk:
        completion: ChatCompletion = sdk.chat.completions.create(**CALL)
        return completion


def read_stream(body: bytes) -> ChatCompletion:
    """The completion that a stream adds up to. Raises what the package raises.

    Not the package's final one: it raises for answers that were cut by a limit or a filter, and for custom tools.
    """
    with client(body, "text/event-stream") as sdk, sdk.chat.completions.stream(**CALL) as stream:
        stream.until_done()
        return stream.current_completion_snapshot
