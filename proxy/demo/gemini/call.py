"""Requests of the Gemini API: the members that the demo reads.

Names may be in camelCase or in snake_case (https://protobuf.dev/programming-guides/json).
Source: https://ai.google.dev/api/generate-content
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from proxy.demo.answer import encode
from proxy.demo.reply import Ask, spoken
from proxy.demo.tools import Tool

# Members whose names are the client's, not the API's.
_OPAQUE: Final = frozenset(
    ("args", "response", "parameters", "parametersJsonSchema", "responseSchema", "responseJsonSchema")
)
_RESULTS: Final = ("output", "result", "error")  # usual members of what a function returns


class Turn(Struct):
    """A content: the parts of one turn."""

    parts: list[dict[str, Any]] = []
    role: str = "user"

    @property
    def text(self) -> str:
        texts = [part.get("text") for part in self.parts if not part.get("thought")]
        return " ".join(text for text in texts if isinstance(text, str))


class ThinkingConfig(Struct, frozen=True, rename="camel"):
    include_thoughts: bool = False
    thinking_budget: int = -1  # 0: no thinking


class GenerationConfig(Struct, frozen=True, rename="camel"):
    max_output_tokens: Annotated[int, Meta(ge=1)] | None = None
    candidate_count: int | None = None
    response_mime_type: str = ""
    response_schema: dict[str, Any] | None = None
    response_json_schema: dict[str, Any] | None = None
    thinking_config: ThinkingConfig = ThinkingConfig()


class FunctionCalling(Struct, frozen=True, rename="camel"):
    mode: str = "AUTO"
    allowed_function_names: list[str] = []


class ToolConfig(Struct, frozen=True, rename="camel"):
    function_calling_config: FunctionCalling = FunctionCalling()


class Declaration(Struct, rename="camel"):
    """A function. ``parametersJsonSchema`` is JSON Schema, ``parameters`` Google's subset of it."""

    name: str
    parameters: dict[str, Any] | None = None
    parameters_json_schema: dict[str, Any] | None = None


class ToolSet(Struct, rename="camel"):
    """Tools that run at the provider are members beside the declarations. The demo has none."""

    function_declarations: list[Declaration] = []


class GenerateCall(Struct, rename="camel", kw_only=True):
    """``model`` is the name in the path."""

    model: str = ""
    contents: Annotated[list[Turn], Meta(min_length=1)] | Turn
    system_instruction: Turn | None = None
    tools: list[ToolSet] = []
    tool_config: ToolConfig = ToolConfig()
    generation_config: GenerationConfig = GenerationConfig()

    @property
    def turns(self) -> list[Turn]:
        return [self.contents] if isinstance(self.contents, Turn) else self.contents

    @property
    def ask(self) -> Ask:
        """The request in the words of all dialects."""
        config = self.generation_config
        offered = [each for tools in self.tools for each in tools.function_declarations]
        return Ask(
            prompt=spoken([turn.text for turn in self.turns if turn.role == "user"]),
            text=" ".join(self._texts()),
            tools=[Tool(each.name, each.parameters_json_schema or each.parameters or {}) for each in offered],
            tool_choice=_choice(self.tool_config.function_calling_config),
            tool_result=_result(self.turns[-1]),
            limit=config.max_output_tokens,
            json=config.response_mime_type == "application/json",
            schema=config.response_json_schema or config.response_schema,
        )

    def _texts(self) -> Iterator[str]:
        if self.system_instruction is not None:
            yield self.system_instruction.text
        for turn in self.turns:
            yield turn.text
            yield _result(turn) or ""


class GeminiCountCall(Struct, rename="camel"):
    """A call of ``countTokens``: contents, or a whole request."""

    model: str = ""
    contents: list[Turn] | Turn = []
    generate_content_request: GenerateCall | None = None

    @property
    def text(self) -> str:
        whole = self.generate_content_request
        if whole is None and self.contents:
            whole = GenerateCall(contents=self.contents)
        return "" if whole is None else whole.ask.text


def decode(body: bytes, shape: Any, model: str) -> Any:
    """The body as ``shape``, for the model in the path. Raises msgspec's errors.

    Numbers may be strings, as in all JSON of protocol buffers.
    """
    call = msgspec.convert(_camel(msgspec.json.decode(body)), shape, strict=False)
    call.model = model
    return call


def _camel(value: Any) -> Any:
    """With names in camelCase, and without members that are null, which count as absent."""
    if isinstance(value, list):
        return [_camel(each) for each in value]
    if not isinstance(value, dict):
        return value
    renamed = ((_camel_name(name), each) for name, each in value.items())
    return {name: each if name in _OPAQUE else _camel(each) for name, each in renamed if each is not None}


def _camel_name(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest))


def _result(turn: Turn) -> str | None:
    """What the functions returned; ``None`` without a result."""
    results = [part["functionResponse"] for part in turn.parts if isinstance(part.get("functionResponse"), dict)]
    return " ".join(_text_of(result.get("response")) for result in results) if results else None


def _text_of(response: Any) -> str:
    if isinstance(response, dict):
        for name in _RESULTS:
            if isinstance(response.get(name), str):
                return str(response[name])
    return encode(response).decode()


def _choice(calling: FunctionCalling) -> Any:
    """The mode as ``tools.chosen`` takes it."""
    match calling.mode:
        case "NONE":
            return "none"
        case "ANY":
            allowed = calling.allowed_function_names
            return {"name": allowed[0]} if allowed else "required"
    return None
