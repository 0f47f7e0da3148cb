"""No member of a request that the SDK knows is lost in silence: each is carried to neutral terms, told or refused."""

from __future__ import annotations

import copy
import enum
import json
import typing
from collections.abc import Callable, Iterator
from types import UnionType
from typing import Any

import msgspec
import pydantic
import pytest
from google.genai import types

from proxy.dialects.gemini.client.request_decoder import GeminiRequestDecoder
from proxy.dialects.gemini.member_names import GEMINI_NAMES
from proxy.dialects.translation.base import EncodingTarget
from proxy.dialects.translation.loss import Losses
from proxy.dialects.translation.repairs import repair
from proxy.dialects.translation.tool_names import ToolNames
from proxy.errors import ClientFault, Untranslatable
from tests.support.gemini_requests import user
from tests.support.schemas.translators import SERVERS, Server

Json = dict[str, Any]

CALL = {"functionCall": {"name": "f", "args": {}}}
# Members of answers, and of the SDK alone.
ELSEWHERE = {"httpOptions", "shouldReturnHttpResponse", "automaticFunctionCalling", "automaticContinuation"}
OTHERS: Json = {
    "systemInstruction": {"parts": [{"text": "MARK"}]},
    "tools": [{"functionDeclarations": [{"name": "f"}]}],
    "toolConfig": {"functionCallingConfig": {"mode": "NONE"}},
}
# What says the same as nothing, or as the rest of the request. A result takes the id of its call, and a part that is
# nothing else is no thought.
USUAL = {
    "contents[].parts[].thought=true",
    "contents[].parts[].thought=false",
    "generationConfig.responseLogprobs=false",
    'generationConfig.responseModalities=["TEXT"]',
    "generationConfig.responseFormat=[{}]",
    "generationConfig.thinkingConfig={}",
    "generationConfig.thinkingConfig.includeThoughts=false",
    'contents[].parts[].inlineData.data="AAAA"',
    'contents[].parts[].functionResponse.id="MARK"',
    'tools[].functionDeclarations[].behavior="BLOCKING"',
    "toolConfig.functionCallingConfig={}",
    'toolConfig.functionCallingConfig.mode="ANY"',
}


def with_part(part: Json) -> Json:
    return {"contents": [{"role": "model", "parts": [part]}]}


def with_result(members: Json) -> Json:
    result = {"functionResponse": {"name": "f", "response": {}} | members}
    return {"contents": [{"role": "model", "parts": [CALL]}, user(result)]}


def with_function(members: Json) -> Json:
    return {"tools": [{"functionDeclarations": [{"name": "f"} | members]}]}


def with_calling(members: Json) -> Json:
    return with_function({}) | {"toolConfig": {"functionCallingConfig": {"mode": "ANY"} | members}}


# Where objects of each type stand in a body, and what they need. The configuration of the SDK is in two places.
PLACES: list[tuple[type[pydantic.BaseModel], str, Callable[[Json], Json]]] = [
    (types.GenerationConfig, "generationConfig", lambda members: {"generationConfig": members}),
    (types.ThinkingConfig, "generationConfig.thinkingConfig", lambda m: {"generationConfig": {"thinkingConfig": m}}),
    (types.Content, "contents[]", lambda members: {"contents": [user("Hi") | members]}),
    (types.Part, "contents[].parts[]", with_part),
    (types.Blob, "contents[].parts[].inlineData", lambda m: with_part({"inlineData": {"mimeType": "text/csv", "data": "AAAA"} | m})),
    (types.FileData, "contents[].parts[].fileData", lambda m: with_part({"fileData": {"fileUri": "https://a.example/a.pdf"} | m})),
    (types.FunctionCall, "contents[].parts[].functionCall", lambda m: with_part({"functionCall": {"name": "f", "args": {}} | m})),
    (types.FunctionResponse, "contents[].parts[].functionResponse", with_result),
    (types.FunctionDeclaration, "tools[].functionDeclarations[]", with_function),
    (types.Tool, "tools[]", lambda members: {"tools": [members]}),
    (types.ToolConfig, "toolConfig", lambda members: with_function({}) | {"toolConfig": members}),
    (types.FunctionCallingConfig, "toolConfig.functionCallingConfig", with_calling),
]  # fmt: skip


def values(hint: Any) -> Iterator[Any]:
    """What a member can be, without what says nothing."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, UnionType):
        yield from values(next(each for each in arguments if each is not type(None)))
    elif origin is list:
        yield [next(values(arguments[0]))]
    elif origin is dict:
        yield {"MARK": next(values(arguments[1]))}
    elif isinstance(hint, type) and issubclass(hint, enum.Enum):
        yield from (each.value for each in hint if "UNSPECIFIED" not in each.value.upper())
    elif isinstance(hint, type) and issubclass(hint, pydantic.BaseModel):
        yield (
            {"name": "MARK"} if hint in (types.FunctionDeclaration, types.FunctionCall, types.FunctionResponse) else {}
        )
    else:
        yield from {bool: (True, False), int: (3, 7), float: (0.25, 0.75), bytes: ("AAAA",)}.get(hint, ("MARK",))


def members() -> Iterator[Any]:
    for kind, path, make in PLACES:
        for name, field in kind.model_fields.items():
            alias = field.alias or name
            ids = [(value, f"{path}.{alias}={json.dumps(value)}") for value in values(field.annotation)]
            yield from (pytest.param(make, alias, value, id=each) for value, each in ids if each not in USUAL)
    for name, field in types.GenerateContentConfig.model_fields.items():
        alias = field.alias or name
        if not (alias in ELSEWHERE or name in types.GenerationConfig.model_fields):
            value = OTHERS.get(alias) or next(values(field.annotation))
            yield pytest.param(lambda made: made, alias, value, id=alias)


def outcome(body: Json) -> tuple[str, list[str]]:
    """The conversation, or the error; and what is told."""
    try:
        found = GeminiRequestDecoder().decode(json.dumps({"contents": [user("Hi")]} | body).encode())
    except ClientFault as fault:
        return f"refused: {fault.message}", [fault.param or ""]
    told, found.dropped = found.dropped, []
    return msgspec.json.encode(found).decode(), told


@pytest.mark.parametrize(("make", "name", "value"), [*members()])
def test_a_member_is_carried_told_or_refused(make: Callable[[Json], Json], name: str, value: Any) -> None:
    without, _ = outcome(make({}))
    found, told = outcome(make({name: value}))
    assert found != without or any(name in each for each in told)


EVERYTHING: Json = {
    "systemInstruction": {"parts": [{"text": "Be brief."}]},
    "contents": [
        user("Hi", {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}),
        {
            "role": "model",
            "parts": [
                {"text": "Hm.", "thought": True, "thoughtSignature": "AAAA"},
                CALL | {"thoughtSignature": "AAAA"},
                CALL,
            ],
        },
        user({"functionResponse": {"name": "f", "response": {"error": "x"}}}),
    ],
    "tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": {"anyOf": [{"type": "object"}]}}]}],
    "toolConfig": {"functionCallingConfig": {"mode": "VALIDATED"}},
    "generationConfig": {
        "temperature": 1.5,
        "topP": 0.5,
        "topK": 3,
        "seed": 1,
        "presencePenalty": 1,
        "frequencyPenalty": 1,
        "responseLogprobs": True,
        "logprobs": 2,
        "maxOutputTokens": 999_999,
        "stopSequences": [" ", *"abcdef"],
        "responseMimeType": "application/json",
        "responseJsonSchema": {"patternProperties": {}},
        "thinkingConfig": {"thinkingLevel": "XHIGH", "thinkingBudget": 5, "includeThoughts": True},
    },
    "labels": {"a": "b"},
    "serviceTier": "flex",
    "store": True,
}


@pytest.mark.parametrize("server", SERVERS, ids=str)
@pytest.mark.parametrize("left_out", [None, "thinkingConfig", "responseJsonSchema", "topP"])
def test_what_a_provider_lacks_has_the_clients_name(server: Server, left_out: str | None) -> None:
    body = copy.deepcopy(EVERYTHING)
    body["generationConfig"].pop(left_out, None)
    losses = Losses(client_names=GEMINI_NAMES)
    target = EncodingTarget("m", server.facts, "issuer")
    conversation = repair(GeminiRequestDecoder().decode(json.dumps(body).encode()))
    try:
        server.encoder.encode(conversation, target, losses, ToolNames())
    except Untranslatable as fault:
        losses.tell(fault.renamed(GEMINI_NAMES).param or "")
    told = [*conversation.dropped, *losses.names]
    assert all(each.partition(".")[0].partition("[")[0] in body for each in told)
    settings = [each.split(".")[1] for each in told if each.startswith("generationConfig.")]
    assert set(settings) <= body["generationConfig"].keys() | {"responseSchema"}
    assert told or server.dialect == ""
