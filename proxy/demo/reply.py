"""The content of a response to one prompt, independent of the dialect."""

from __future__ import annotations

import json
from typing import Any, Final

from msgspec import Struct

from proxy.demo import tools, words
from proxy.demo.answer import encode
from proxy.demo.models import DemoModel
from proxy.demo.schema import fitting
from proxy.demo.tools import Tool

_QUOTED: Final = 40  # words of a tool's result: Codex puts the output after a dozen of its own
# What coding agents put into a prompt: Claude Code, and Gemini CLI.
_ADDED: Final = ("system-reminder", "session_context")


class Ask(Struct, frozen=True):
    """A request, independent of the dialect. ``text``: all input; ``prompt``: its last message."""

    prompt: str
    text: str
    tools: list[Tool] = []
    tool_choice: Any = None
    tool_result: str | None = None  # the prompt is what a tool gave back
    limit: int | None = None  # words
    json: bool = False
    schema: dict[str, Any] | None = None  # of the JSON, where one is given


class DemoReply(Struct, frozen=True):
    """``tool`` and ``text`` exclude each other."""

    text: str = ""
    reasoning: str = ""
    tool: Tool | None = None
    arguments: str = ""
    cut_short: bool = False
    input_words: int = 0

    @property
    def output_words(self) -> int:
        return words.count(self.text) + words.count(self.reasoning) + words.count(self.arguments)

    @property
    def reasoning_words(self) -> int:
        return words.count(self.reasoning)


def reply(model: DemoModel, ask: Ask) -> DemoReply:
    """The demo's response."""
    counted = words.count(ask.text)
    reasoning = words.thoughts(ask.prompt) if model.type == "reasoning" else ""
    if ask.tool_result is None and (tool := tools.chosen(ask.tools, ask.tool_choice, ask.prompt)):
        return DemoReply("", reasoning, tool, tools.arguments(tool, ask.prompt), input_words=counted)
    text = _text(model, ask)
    shorter = _limited(text, ask.limit)
    return DemoReply(shorter, reasoning, cut_short=shorter != text, input_words=counted)


def spoken(texts: list[str]) -> str:
    """The last text of a user that is not empty, without what coding agents add."""
    return next(filter(None, map(_without_added, reversed(texts))), "")


def _without_added(text: str) -> str:
    for name in _ADDED:
        *added, rest = text.split(f"</{name}>")
        text = " ".join([*(part.partition(f"<{name}>")[0] for part in added), rest])
    return text.strip()


def seconds(model: DemoModel, answer: DemoReply) -> float:
    """Duration of the words, by which a plain response is delayed."""
    return answer.output_words / model.rate if model.rate else 0.0


def _text(model: DemoModel, ask: Ask) -> str:
    if ask.tool_result is not None:
        return f"The tool says “{words.shortened(ask.tool_result, _QUOTED)}”, and the demo has nothing to add to that."
    if ask.schema is not None:
        return json.dumps(fitting(ask.schema, ask.prompt), ensure_ascii=False)
    text = words.prose(ask.prompt, model.sentences)
    return encode({"answer": text}).decode() if ask.json else text


def _limited(text: str, limit: int | None) -> str:
    return text if limit is None else "".join(words.pieces(text)[:limit])
