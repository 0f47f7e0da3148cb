"""Tools of requests, and which of them the model may call.

Source: https://ai.google.dev/api/caching#Tool, and the types of the package google-genai 3.6
"""

from __future__ import annotations

from typing import Any, Final, Literal

from msgspec.structs import replace

from proxy.dialects.gemini.client.schema_decoder import json_schema
from proxy.dialects.gemini.client.spelling import camel_case, known_members
from proxy.dialects.translation import members
from proxy.dialects.translation.conversation import ToolChoice, ToolDefinition
from proxy.dialects.translation.loss import Losses
from proxy.dialects.translation.members import JsonObject, Within
from proxy.dialects.translation.strict_schemas import is_strict
from proxy.errors import Untranslatable, WrongMember

_FUNCTIONS: Final = "functionDeclarations"
# Tools that run at Google.
_HOSTED: Final = frozenset(
    {
        *("googleSearch", "googleSearchRetrieval", "googleMaps", "enterpriseWebSearch", "urlContext", "codeExecution"),
        *("fileSearch", "retrieval", "parallelAiSearch", "exaAiSearch", "mcpServers"),
    }
)
_FUNCTION: Final = frozenset(
    {
        *("name", "description", "parameters", "parametersJsonSchema", "response", "responseJsonSchema"),
        "behavior",
    }
)
_CONFIG: Final = frozenset(("functionCallingConfig",))
_CALLING: Final = frozenset(("mode", "allowedFunctionNames"))
_USUAL_BEHAVIOR: Final = ("UNSPECIFIED", "BLOCKING")
_MODES: Final[dict[str, Literal["", "auto", "none", "any"]]] = {
    "": "",
    "MODE_UNSPECIFIED": "",
    "AUTO": "auto",
    "NONE": "none",
    "ANY": "any",
    "VALIDATED": "auto",  # with arguments that keep to their schemas
}


class GeminiToolsDecoder:
    """Decodes the tools of one request."""

    __slots__ = ("_losses", "_names", "tools")

    def __init__(self, losses: Losses) -> None:
        self._losses = losses
        self._names: set[str] = set()
        self.tools: list[ToolDefinition] = []

    def add_all(self, body: JsonObject) -> None:
        """The member ``tools``: each has functions, or is one or more tools that run at Google."""
        if isinstance(body.get("tools"), dict):
            with Within("tools"):
                self._add(body["tools"])
            return
        for _ in members.each(body, "tools", self._add):
            pass

    def choice(self, body: JsonObject) -> ToolChoice:
        """The member ``toolConfig``. Raises Untranslatable if it demands a call although there is no function."""
        config = members.mapping(body, "toolConfig")
        if config is None:
            return ToolChoice()
        config = known_members(config, _CONFIG, "toolConfig.", self._losses)
        with Within("toolConfig"):
            calling = members.mapping(config, "functionCallingConfig")
            if calling is None:
                return ToolChoice()
            calling = known_members(calling, _CALLING, "toolConfig.functionCallingConfig.", self._losses)
            with Within("functionCallingConfig"):
                return self._choice(calling)

    def _add(self, tool: JsonObject) -> None:
        for name, value in tool.items():
            if value is None:
                continue
            kind = camel_case(name)
            if kind == _FUNCTIONS:
                for function in members.each({_FUNCTIONS: value}, _FUNCTIONS, self._function):
                    self.tools.append(function)
            elif kind in _HOSTED:
                self._losses.drop(f"tools[{name}]")
            else:
                raise Untranslatable(name, "Only Google has this tool, and only Gemini knows how to use it.")

    def _function(self, function: JsonObject) -> ToolDefinition:
        path = f"tools[].{_FUNCTIONS}[]."
        function = known_members(function, _FUNCTION, path, self._losses)
        name = members.required_text(function, "name")
        if name in self._names:
            raise WrongMember("name", "one that no other function has")
        self._names.add(name)
        for member in ("response", "responseJsonSchema"):
            if function.get(member) is not None:
                self._losses.drop(path + member)
        if members.text(function, "behavior") not in ("", *_USUAL_BEHAVIOR):
            self._losses.drop(path + "behavior")
        return ToolDefinition(name, members.text(function, "description"), self._parameters(function, path))

    def _parameters(self, function: JsonObject, path: str) -> Any:
        own, schema = members.mapping(function, "parameters"), members.mapping(function, "parametersJsonSchema")
        if schema is None:
            return json_schema(own)
        if own is not None:
            self._losses.drop(path + "parameters")
        return schema

    def _choice(self, calling: JsonObject) -> ToolChoice:
        word = members.text(calling, "mode")
        mode = _MODES.get(word.upper())
        if mode is None:
            raise Untranslatable("mode", f"It has no mode {word[:40]!r}.")
        if mode == "any" and not self.tools:
            raise Untranslatable("mode", "It demands a call, and the request has no function that can be sent.")
        if word.upper() == "VALIDATED":
            self._validate()
        allowed = tuple(members.texts(calling, "allowedFunctionNames")) or None
        if mode == "any" and allowed is not None and len(allowed) == 1:
            return ToolChoice("one", allowed[0])
        return ToolChoice(mode, allowed=allowed)

    def _validate(self) -> None:
        """Have the arguments of all functions enforced. It is told if a schema is none that others enforce."""
        strict = [tool.parameters is not None and is_strict(tool.parameters) for tool in self.tools]
        if not all(strict):
            self._losses.drop("toolConfig.functionCallingConfig.mode")
        self.tools = [replace(tool, strict=each or None) for tool, each in zip(self.tools, strict, strict=True)]
