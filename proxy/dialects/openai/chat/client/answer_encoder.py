"""A whole chat completion, encoded from the parts of an answer.

Source: https://platform.openai.com/docs/api-reference/chat/object
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from proxy.dialects.openai.chat.client.completion_members import (
    annotation,
    call_members,
    completion_id,
    finish_members,
    is_function_call,
    usage_members,
)
from proxy.dialects.openai.chat.client.reasoning_encoder import reasoning_members
from proxy.dialects.translation.base import AnswerContext
from proxy.dialects.translation.gathered import (
    CallBlock,
    GatheredAnswer,
    GatheredBlock,
    TextBlock,
    gather,
    gather_choices,
    usage_of,
)
from proxy.dialects.translation.members import JsonObject
from proxy.dialects.translation.parts import AnswerPart, Finish
from proxy.wire.document import encode


def encode_completion(context: AnswerContext, parts: Iterable[AnswerPart]) -> bytes:
    """The completion, with all its choices."""
    answers = gather_choices(parts) if context.request.choices > 1 else {0: gather(parts)}
    completion: JsonObject = {
        "id": completion_id(context),
        "object": "chat.completion",
        "created": context.created,
        "model": context.model or next(iter(answers.values())).start.model,
        "choices": [_choice(context, index, answer) for index, answer in answers.items()],
    }
    usage = usage_of(answers.values())
    if usage is not None:
        completion["usage"] = usage_members(usage)
    return encode(completion)


def _choice(context: AnswerContext, index: int, answer: GatheredAnswer) -> JsonObject:
    calls = [block for block in answer.blocks if isinstance(block, CallBlock)]
    finish = answer.finish or Finish("tool_calls" if calls else "stop")
    refused = any(isinstance(block, TextBlock) and block.refusal for block in answer.blocks)
    return {
        "index": index,
        "message": _message(context, answer, finish),
        "logprobs": _logprobs(answer),
        **finish_members(context, finish, refused=refused),
    }


def _message(context: AnswerContext, answer: GatheredAnswer, finish: Finish) -> JsonObject:
    texts = [block for block in answer.blocks if isinstance(block, TextBlock)]
    refusal = "".join(block.text for block in texts if block.refusal) or finish.detail
    message: JsonObject = {
        "role": "assistant",
        "content": answer.text if any(not block.refusal for block in texts) else None,
        "refusal": refusal or None,
        **reasoning_members(context, answer.blocks),
    }
    annotations = list(_annotations(texts))
    if annotations:
        message["annotations"] = annotations
    return message | _calls(context, answer.blocks)


def _annotations(texts: Iterable[TextBlock]) -> Iterable[JsonObject]:
    begin = 0
    for block in texts:
        if not block.refusal:
            end = begin + len(block.text)
            yield from (annotation(each, begin, end) for each in block.citations)
            begin = end


def _calls(context: AnswerContext, blocks: Iterable[GatheredBlock]) -> JsonObject:
    found: JsonObject = {}
    calls = []
    for index, block in enumerate(each for each in blocks if isinstance(each, CallBlock)):
        # Clients parse the arguments, so those of a function are never empty.
        call = call_members(context, block, block.arguments or ("{}" if block.kind == "function" else ""))
        if is_function_call(context, index, block):
            found["function_call"] = call["function"]
        else:
            calls.append(call)
    return found | ({"tool_calls": calls} if calls else {})


def _logprobs(answer: GatheredAnswer) -> dict[str, list[Any] | None] | None:
    texts = [block for block in answer.blocks if isinstance(block, TextBlock)]
    content = [token for block in texts if not block.refusal for token in block.logprobs] + answer.logprobs
    refusal = [token for block in texts if block.refusal for token in block.logprobs]
    return {"content": content or None, "refusal": refusal or None} if content or refusal else None
