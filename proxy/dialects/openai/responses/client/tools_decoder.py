"""The tools of a Responses request, and which of them the model may call, decoded.

Tools may also stand in the input: in items ``additional_tools`` (Codex, for some models) and in what a search for tools
found. All of them are tools of the request.
Source: https://platform.openai.com/docs/api-reference/responses/create (tools, tool_choice), and the parameter types of
the package openai 3.52
"""

from __future__ import annotations

from typing import Any, Final, Literal

from msgspec import structs

from proxy.dialects.openai.responses.client.built_in_tools import DEFINITIONS
from proxy.dialects.translation import members
from proxy.dialects.translation.conversation import ToolChoice, ToolDefinition
from proxy.dialects.translation.hosted_tools import is_hosted
from proxy.dialects.translation.loss import Losses
from proxy.dialects.translation.members import JsonObject, Within
from proxy.errors import Untranslatable, WrongMember

_CALLED: Final = frozenset({"type", "name", "description", "allowed_callers", "defer_loading", "async"})
_FUNCTION: Final = _CALLED | {"parameters", "strict"}
_CUSTOM: Final = _CALLED | {"format"}
_NAMESPACE: Final = frozenset({"type", "name", "description", "tools"})
_SEARCH: Final = frozenset({"type", "execution", "description", "parameters"})
_BUILT_IN: Final = frozenset({"type", "allowed_callers", "environment"})
_FORMAT: Final = frozenset({"type", "syntax", "definition"})
_ONE: Final = frozenset({"type", "name", "namespace"})
_ALLOWED: Final = frozenset({"type", "mode", "tools"})

_PROGRAMMATIC: Final = "programmatic_tool_calling"  # the provider runs programs of the model that call tools
_MODES: Final[dict[str, Literal["auto", "none", "any"]]] = {"auto": "auto", "none": "none", "required": "any"}
_NO_COUNTERPART: Final = "Tools of this type have no counterpart there."


class ResponsesToolsDecoder:
    """Collects the tools of one request. ``sent``: those of the member ``tools`` that are not left out, unchanged."""

    __slots__ = ("_found", "_losses", "sent")

    def __init__(self, losses: Losses) -> None:
        self._losses = losses
        self._found: dict[tuple[str, str], ToolDefinition] = {}
        self.sent: list[JsonObject] = []

    @property
    def tools(self) -> list[ToolDefinition]:
        """All tools so far. Of two with one name, the later one counts."""
        return list(self._found.values())

    def add_sent(self, body: JsonObject) -> None:
        """Add the tools of the request's own member. Raises Untranslatable for types that only OpenAI knows."""
        for index, tool in enumerate(members.objects(body, "tools")):
            with Within(f"tools[{index}]"):
                if self._add(tool, "tools"):
                    self.sent.append(tool)

    def add(self, item: JsonObject) -> list[ToolDefinition]:
        """Add the tools of an item of the input."""
        return self._add_all(item, "input[].tools")

    def choice(self, body: JsonObject) -> ToolChoice:
        """``tool_choice`` with ``parallel_tool_calls``, once all tools were added."""
        value = body.get("tool_choice")
        if isinstance(value, str):
            if value not in _MODES:
                raise WrongMember("tool_choice", "auto, none or required, or an object")
            choice = ToolChoice(_MODES[value])
        elif isinstance(value, dict):
            with Within("tool_choice"):
                choice = self._chosen(value)
        elif value is None:
            choice = ToolChoice()
        else:
            raise WrongMember("tool_choice", "a string or an object")
        if not self._found:
            if choice.mode in ("any", "one"):
                raise Untranslatable("tool_choice", "The request has no tool that could be called there.")
            choice = ToolChoice()
        choice.parallel = members.flag(body, "parallel_tool_calls")
        return choice

    def _add_all(self, holder: JsonObject, path: str, namespace: str = "") -> list[ToolDefinition]:
        """Add the tools of the member ``tools``. ``path``: its place, in names of losses."""
        added = []
        for index, tool in enumerate(members.objects(holder, "tools")):
            with Within(f"tools[{index}]"):
                added += self._add(tool, path, namespace)
        return added

    def _add(self, tool: JsonObject, path: str, namespace: str = "") -> list[ToolDefinition]:
        """Add what one entry defines: nothing if it is left out."""
        match members.text(tool, "type"):
            case "function":
                found = self._function(tool, f"{path}[].")
            case "custom":
                found = self._custom(tool, f"{path}[].")
            case "namespace" if not namespace:
                return self._namespace(tool, path)
            case "tool_search" if tool.get("execution") == "client":
                found = self._search(tool, f"{path}[].")
            case ("shell" | "local_shell" | "apply_patch") as kind if not _is_in_container(tool):
                found = self._built_in(tool, kind, f"{path}[].")
            case kind:
                if kind not in ("shell", _PROGRAMMATIC) and not is_hosted(kind):
                    raise Untranslatable("type", _NO_COUNTERPART)
                self._losses.drop(f"{path}[{kind}]")
                return []
        found.namespace = namespace
        earlier = self._found.get((namespace, found.name))
        if earlier is not None and earlier != found:
            self._losses.drop(f"{path}[{found.name}]")
        self._found[namespace, found.name] = found
        return [found]

    def _namespace(self, tool: JsonObject, path: str) -> list[ToolDefinition]:
        """Add the tools of a namespace. Its own description is added to the first one's."""
        self._losses.drop(*members.unknown(tool, _NAMESPACE, f"{path}[]."))
        name, description = members.required_text(tool, "name"), members.text(tool, "description")
        found = self._add_all(tool, f"{path}[].tools", name)
        if found and description:
            first = found[0]
            first.description = "\n\n".join(filter(None, (first.description, f"The tools {name}__*: {description}")))
        return found

    def _function(self, tool: JsonObject, path: str) -> ToolDefinition:
        self._note(tool, _FUNCTION, path)
        return ToolDefinition(
            members.required_text(tool, "name"),
            members.text(tool, "description"),
            members.mapping(tool, "parameters"),
            members.flag(tool, "strict"),
        )

    def _custom(self, tool: JsonObject, path: str) -> ToolDefinition:
        self._note(tool, _CUSTOM, path)
        grammar = self._grammar(members.mapping(tool, "format"), f"{path}format.")
        name, description = members.required_text(tool, "name"), members.text(tool, "description")
        return ToolDefinition(name, description, kind="custom", grammar=grammar)

    def _grammar(self, form: JsonObject | None, path: str) -> JsonObject | None:
        """``None``: any text."""
        if form is None:
            return None
        self._losses.drop(*members.unknown(form, _FORMAT, path))
        if form.get("type") == "text":
            return None
        with Within("format"):
            if form.get("type") != "grammar":
                raise Untranslatable("type", "Formats of this type have no counterpart there.")
            return {name: members.required_text(form, name) for name in ("syntax", "definition")}

    def _search(self, tool: JsonObject, path: str) -> ToolDefinition:
        """A search that the client runs: what it finds is added to the tools of the next request."""
        self._losses.drop(*members.unknown(tool, _SEARCH, path))
        description, parameters = members.text(tool, "description"), members.mapping(tool, "parameters")
        return ToolDefinition("tool_search", description, parameters, call_type="tool_search_call")

    def _built_in(self, tool: JsonObject, kind: str, path: str) -> ToolDefinition:
        self._note(tool, _BUILT_IN, path)
        environment = members.mapping(tool, "environment") or {}
        self._losses.drop(*members.unknown(environment, frozenset({"type"}), f"{path}environment."))
        return structs.replace(DEFINITIONS[kind])

    def _note(self, tool: JsonObject, known: frozenset[str], path: str) -> None:
        """Note the members of a tool that are lost."""
        self._losses.drop(*members.unknown(tool, known, path))
        self._losses.drop(*(path + name for name in ("defer_loading", "async") if members.flag(tool, name)))
        if "programmatic" in members.texts(tool, "allowed_callers"):
            self._losses.drop(f"{path}allowed_callers")

    def _chosen(self, choice: JsonObject) -> ToolChoice:
        some = members.text(choice, "type") == "allowed_tools"
        self._losses.drop(*members.unknown(choice, _ALLOWED if some else _ONE, "tool_choice."))
        if not some:
            name, namespace = self._named(choice)
            return ToolChoice("one", name, namespace)
        mode = _MODES.get(members.text(choice, "mode"))
        if mode is None or mode == "none":
            raise WrongMember("mode", "auto or required")
        allowed: list[str] = []
        for index, tool in enumerate(members.objects(choice, "tools")):
            with Within(f"tools[{index}]"):
                allowed += self._allowed(tool)
        if mode == "any" and not allowed:
            raise Untranslatable("tools", "None of these tools could be called there.")
        return ToolChoice(mode, allowed=tuple(allowed))

    def _allowed(self, tool: JsonObject) -> list[str]:
        kind = members.text(tool, "type")
        if kind == "namespace":
            own = members.required_text(tool, "name")
            return [name for namespace, name in self._found if namespace == own]
        if is_hosted(kind) and ("", kind) not in self._found:
            self._losses.drop(f"tool_choice.tools[{kind}]")
            return []
        return [self._named(tool)[0]]

    def _named(self, choice: JsonObject) -> tuple[str, str]:
        """Name and namespace of the tool that a choice names. A namespace may be left out."""
        kind = members.text(choice, "type")
        if kind in ("function", "custom"):
            name, namespace = members.required_text(choice, "name"), members.text(choice, "namespace")
        elif ("", kind) in self._found:
            return kind, ""
        else:
            raise Untranslatable("type", _NO_COUNTERPART)
        if namespace or ("", name) in self._found:
            return name, namespace
        return name, next((other for other, inner in self._found if inner == name), "")


def _is_in_container(tool: dict[str, Any]) -> bool:
    """Whether a shell is the provider's own."""
    environment = members.mapping(tool, "environment")
    return environment is not None and environment.get("type") != "local"
