"""Requests of the Messages API: the members that the demo reads. All others are ignored, as clients add some often.

Source: https://docs.claude.com/en/api/messages
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from proxy.demo.reply import Ask, spoken
from proxy.demo.tools import Tool

Blocks = str | list[dict[str, Any]]

_CHOICES: Final = {"any": "required", "none": "none"}


class AnthropicMessage(Struct):
    role: str
    content: Blocks


class OfferedTool(Struct):
    """A tool of the client. One with another ``type`` than custom runs at the provider, which the demo has not."""

    name: str
    type: str | None = None
    input_schema: dict[str, Any] = {}


class Thinking(Struct):
    type: str
    display: str | None = None


class OutputFormat(Struct):
    type: str = "json_schema"
    schema: dict[str, Any] | None = None


class OutputConfig(Struct):
    format: OutputFormat | None = None


class CountCall(Struct):
    """A call of ``messages/count_tokens``."""

    model: str
    messages: Annotated[list[AnthropicMessage], Meta(min_length=1)]
    system: Blocks | None = None
    tools: list[OfferedTool] | None = None


class MessagesCall(CountCall, kw_only=True):
    max_tokens: Annotated[int, Meta(ge=0)]
    stream: bool | None = None
    tool_choice: dict[str, Any] | None = None
    thinking: Thinking | None = None
    output_config: OutputConfig | None = None

    @property
    def ask(self) -> Ask:
        """The request in the words of all dialects."""
        wanted = self.output_config.format if self.output_config else None
        last = next((each for each in reversed(self.messages) if each.role != "system"), self.messages[-1])
        return Ask(
            prompt=spoken([_text(message.content) for message in self.messages if message.role == "user"]),
            text=all_text(self),
            tools=[Tool(each.name, each.input_schema) for each in self.tools or [] if each.type in (None, "custom")],
            tool_choice=_choice(self.tool_choice),
            tool_result=_result(last.content),
            limit=self.max_tokens,
            json=wanted is not None,
            schema=wanted.schema if wanted else None,
        )


def all_text(call: CountCall) -> str:
    """What the model reads, without the descriptions of tools."""
    contents = [call.system or "", *(message.content for message in call.messages)]
    return " ".join([text for content in contents for text in (_text(content), _result(content) or "")])


def _text(content: Blocks) -> str:
    """The texts of the blocks, without results of tools."""
    if isinstance(content, str):
        return content
    texts = [block.get("text") for block in content]
    return " ".join(text for text in texts if isinstance(text, str))


def _text_of_result(block: dict[str, Any]) -> str:
    content = block.get("content") or ""
    return _text([each for each in content if isinstance(each, dict)]) if isinstance(content, list) else str(content)


def _result(content: Blocks) -> str | None:
    """What the tools gave back; ``None`` without a result."""
    blocks = [] if isinstance(content, str) else content
    results = [block for block in blocks if block.get("type") == "tool_result"]
    return " ".join(map(_text_of_result, results)) if results else None


def _choice(given: dict[str, Any] | None) -> Any:
    """``tool_choice`` as ``tools.chosen`` takes it."""
    if given is None:
        return None
    return _CHOICES.get(str(given.get("type"))) or given
