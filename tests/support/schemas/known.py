"""The schemas of the APIs' requests: by the types of the SDKs, and by OpenAI's OpenAPI document where it is at hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from anthropic.types.beta.message_create_params import MessageCreateParamsStreaming as BetaMessagesRequest
from anthropic.types.message_create_params import MessageCreateParamsStreaming as MessagesRequest
from google.genai import types
from openai.types.chat.completion_create_params import CompletionCreateParamsStreaming as ChatRequest
from openai.types.responses.response_create_params import ResponseCreateParamsStreaming as ResponsesRequest

from tests.support.recorded import SHARED
from tests.support.schemas.models import shape_of_model
from tests.support.schemas.nodes import Items, Leaf, Member, Node, Shape
from tests.support.schemas.openapi import OpenApi
from tests.support.schemas.requests import RequestSchema
from tests.support.schemas.surroundings import around_chat, around_contents, around_messages, around_responses
from tests.support.schemas.typed_dicts import shape_of
from tests.support.schemas.variants import FILLER

OPENAPI: Final = SHARED / "openai" / "openapi.json"

_USER: Final = {"role": "user", "content": "Hi"}
_PARAMETERS: Final = {"type": "object", "properties": {}}
_PDF: Final = "data:application/pdf;base64,eHh4"
_CHOSEN: Final = frozenset(("model",))  # by the gateway, for each provider
_ADDED: Final = {"name": "added", "input_schema": _PARAMETERS}
_FUNCTIONS: Final = [{"name": name, "parameters": _PARAMETERS} for name in (FILLER, "other")]
_CHAT_TOOLS: Final = {"tools": [{"type": "function", "function": each} for each in _FUNCTIONS]}
_ALLOWED: Final = {"tools": [{"type": "function", "function": {"name": FILLER}}]}
_RESPONSES_TOOLS: Final = {"tools": [{"type": "function", "strict": False} | each for each in _FUNCTIONS]}
_RESPONSES_ALLOWED: Final = {"tools": [{"type": "function", "name": FILLER}]}
_TOOLS: Final = {"tools": [{"name": each["name"], "input_schema": _PARAMETERS} for each in _FUNCTIONS]}
_FILE: Final = {"file_data": _PDF}
_IMAGE: Final = {"image_url": "data:image/png;base64,eHh4"}
_CALLED: Final = {"call_id": FILLER}  # without it a result has no call

_BYTES: Final = {"mimeType": "image/png", "data": "eHh4"}
_URI: Final = {"mimeType": "image/png", "fileUri": "https://files.example/x.png"}
# The package has no type of a body. Its configuration is in several places of it.
_GENERATE_CONTENT: Final[dict[str, Node]] = {
    "contents": Items(shape_of_model(types.Content)),
    "systemInstruction": shape_of_model(types.Content),
    "tools": Items(shape_of_model(types.Tool)),
    "toolConfig": shape_of_model(types.ToolConfig),
    "safetySettings": Items(shape_of_model(types.SafetySetting)),
    "generationConfig": shape_of_model(types.GenerationConfig),
    "cachedContent": Leaf("text"),
    "continuationToken": Leaf("text"),
    "labels": Leaf("table"),
    "serviceTier": Leaf("enumeration", ("standard", "flex", "priority")),
    "store": Leaf("flag"),
}

MESSAGES: Final = RequestSchema(
    "messages",
    shape_of(MessagesRequest),
    base={"model": "m", "max_tokens": 9000, "messages": [_USER]},
    history="messages",
    surround=around_messages,
    beside={"tool_choice": _TOOLS, "messages": _TOOLS},
    companions={
        "BetaSystemMessageParam": {"content": [{"type": "text", "text": "Filler."}]},
        "BetaCompactionBlockParam": {"content": "Filler."},
        "BetaRequestToolAdditionBlockParam": {"tool": {"type": "tool_definition", "definition": _ADDED}},
    },
    # The SDK sends these as headers.
    skipped=_CHOSEN | {"betas", "user_profile_id", "workspace_id"},
)
BETA_MESSAGES: Final = replace(MESSAGES, name="messages (beta)", shape=shape_of(BetaMessagesRequest))
CHAT: Final = RequestSchema(
    "chat",
    shape_of(ChatRequest),
    base={"model": "m", "messages": [_USER]},
    history="messages",
    surround=around_chat,
    beside={
        "tool_choice": _CHAT_TOOLS,
        "parallel_tool_calls": _CHAT_TOOLS,
        "top_logprobs": {"logprobs": True},
        "function_call": {"functions": _FUNCTIONS},
        "stream_options": {"stream": True},
    },
    companions={
        "FileFile": {"file_data": _PDF},
        "file": {"file_data": _PDF},
        "ChatCompletionAllowedToolsParam": _ALLOWED,
        "ChatCompletionAllowedTools": _ALLOWED,
        "ChatCompletionAssistantMessageParam": {"content": "Filler."},
        "ChatCompletionRequestAssistantMessage": {"content": "Filler."},
    },
    skipped=_CHOSEN,
)
RESPONSES: Final = RequestSchema(
    "responses",
    shape_of(ResponsesRequest),
    base={"model": "m", "input": "Hi"},
    history="input",
    surround=around_responses,
    beside={
        "tool_choice": _RESPONSES_TOOLS,
        "parallel_tool_calls": _RESPONSES_TOOLS,
        "stream_options": {"stream": True},
    },
    companions={
        "ResponseInputFileParam": _FILE,
        "ResponseInputFileContentParam": _FILE,
        "InputFileContent": _FILE,
        "InputFileContentParam": _FILE,
        "ResponseInputImageParam": _IMAGE,
        "ResponseInputImageContentParam": _IMAGE,
        "InputImageContent": _IMAGE,
        "InputImageContentParamAutoParam": _IMAGE,
        "FunctionCallOutput": _CALLED,
        "FunctionCallOutputItemParam": _CALLED,
        "ToolSearchCall": _CALLED,
        "ToolSearchCallItemParam": _CALLED,
        "ToolChoiceAllowedParam": _RESPONSES_ALLOWED,
        "ToolChoiceAllowed": _RESPONSES_ALLOWED,
    },
    skipped=_CHOSEN,
)
GEMINI: Final = RequestSchema(
    "gemini",
    Shape("GenerateContentRequest", lambda: {name: Member(node) for name, node in _GENERATE_CONTENT.items()}),
    base={"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]},
    history="contents",
    surround=around_contents,
    beside={"toolConfig": {"tools": [{"functionDeclarations": _FUNCTIONS}]}},
    companions={
        "Content": {"role": "user", "parts": [{"text": "Filler."}]},
        "FunctionCall": {"name": FILLER},
        "FunctionResponse": {"name": FILLER, "response": {"output": "Filler."}},
        "FunctionDeclaration": {"name": FILLER},
        "FunctionCallingConfig": {"mode": "ANY"},
        "Blob": _BYTES,
        "FunctionResponseBlob": _BYTES,
        "FileData": _URI,
        "FunctionResponseFileData": _URI,
        "Schema": {"type": "STRING"},
    },
)
SCHEMAS: Final = (MESSAGES, BETA_MESSAGES, CHAT, RESPONSES, GEMINI)


def documented() -> Iterator[RequestSchema]:
    """Those of OpenAI's OpenAPI document; none where it is not at hand."""
    if OPENAPI.exists():
        document: dict[str, Any] = json.loads(OPENAPI.read_bytes())
        found = OpenApi(document)
        yield replace(CHAT, name="chat (OpenAPI)", shape=found.shape("CreateChatCompletionRequest"))
        yield replace(RESPONSES, name="responses (OpenAPI)", shape=found.shape("CreateResponse"))
