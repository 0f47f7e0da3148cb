"""Events of a response's stream, and the parts that the decoder makes of them."""

from __future__ import annotations

import json
from typing import Any

from proxy.dialects.openai.responses.provider.answer_decoder import ResponsesAnswerDecoder
from proxy.dialects.translation.parts import AnswerPart, Start
from tests.support.decoded import decoded

CREATED: dict[str, Any] = {"type": "response.created", "response": {"id": "resp_1", "model": "gpt", "output": []}}
START = Start("resp_1", "gpt")


def event(kind: str, **members: Any) -> dict[str, Any]:
    return {"type": f"response.{kind}"} | members


def delta(kind: str, text: str, output_index: int = 0, **members: Any) -> dict[str, Any]:
    return event(f"{kind}.delta", output_index=output_index, delta=text) | members


def text_delta(text: str, output_index: int = 0, content_index: int = 0, **members: Any) -> dict[str, Any]:
    return delta("output_text", text, output_index, content_index=content_index, logprobs=[]) | members


def done(item: dict[str, Any], output_index: int = 0) -> dict[str, Any]:
    return event("output_item.done", output_index=output_index, item=item)


def completed(*output: dict[str, Any], status: str = "completed", **members: Any) -> dict[str, Any]:
    return event(status, response={"id": "resp_1", "status": status, "output": list(output)} | members)


def message(*content: Any, **members: Any) -> dict[str, Any]:
    """A message's item; a text is a part ``output_text``."""
    parts = [{"type": "output_text", "text": each} if isinstance(each, str) else each for each in content]
    return {"type": "message", "id": "msg_1", "role": "assistant", "content": parts} | members


def block(found: dict[str, Any]) -> bytes:
    return f"event: {found['type']}\ndata: {json.dumps(found)}\n\n".encode()


def parts(*events: dict[str, Any]) -> list[AnswerPart]:
    """The parts of a stream, without its start."""
    found = decoded(ResponsesAnswerDecoder(), map(block, [CREATED, *events]))
    assert found[0] == START
    return found[1:]
