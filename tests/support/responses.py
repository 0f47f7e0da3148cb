"""Requests, streams and answers of OpenAI's Responses API in tests of its translation."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final, get_args

from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel

from proxy.dialects.openai.responses.client.answer_encoder import encode_response
from proxy.dialects.openai.responses.client.request_decoder import ResponsesRequestDecoder
from proxy.dialects.openai.responses.client.stream_encoder import ResponsesStreamEncoder
from proxy.dialects.translation.base import AnswerContext
from proxy.dialects.translation.conversation import Conversation
from proxy.dialects.translation.parts import AnswerPart
from tests.support.openai_sdk import client

Json = dict[str, Any]

# The package's type of each event, by its name.
_EVENTS: Final[dict[str, type[BaseModel]]] = {
    get_args(model.model_fields["type"].annotation)[0]: model for model in get_args(get_args(ResponseStreamEvent)[0])
}


def decoded(*items: Json, **members: Any) -> Conversation:
    """A request in neutral terms; ``items``: its input, if ``members`` have none."""
    body = {"model": "m", "input": list(items)} | members
    return ResponsesRequestDecoder().decode(json.dumps(body).encode())


def context(request: Conversation | None = None, **members: Any) -> AnswerContext:
    return AnswerContext(request or decoded(), "abc", 1_790_000_000, **members)


def stream_of(parts: Iterable[AnswerPart], request: Conversation | None = None, **members: Any) -> bytes:
    """The stream of a complete answer."""
    encoder = ResponsesStreamEncoder(context(request, **members))
    return b"".join(map(encoder.encode, parts)) + encoder.finish()


def events_of(stream: bytes) -> list[Json]:
    """The events of a stream, each checked by the types of the package."""
    found = []
    for block in stream.decode().removesuffix("\n\n").split("\n\n"):
        name, _, data = block.partition("\ndata: ")
        event = json.loads(data)
        assert name == f"event: {event['type']}"
        _EVENTS[event["type"]].model_validate(event)
        found.append(event)
    return found


def types_of(stream: bytes) -> list[str]:
    """The types of the events, without the prefix that all have."""
    return [event["type"].removeprefix("response.") for event in events_of(stream)]


def response_of(parts: Iterable[AnswerPart], request: Conversation | None = None, **members: Any) -> Json:
    """A whole answer, checked by the types of the package."""
    answer: Json = json.loads(encode_response(context(request, **members), parts))
    Response.model_validate(answer)
    return answer


def read_stream(stream: bytes) -> tuple[list[Any], Response]:
    """The events that the package's helper for streams makes of a stream, and the response in the last one."""
    with client(stream, "text/event-stream") as sdk, sdk.responses.stream(model="m", input="Hi") as found:
        events = list(found)
        response: Response = events[-1].response
        assert response.status == "incomplete" or found.get_final_response() is not None
    return events, response
