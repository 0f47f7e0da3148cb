"""What a model, and the server that it runs on, accepts in a request."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class ModelFacts(Struct, frozen=True):
    """``output_tokens``: most tokens of an answer, 0: unknown. ``efforts``: those that it takes; ``None``: any.

    ``thinking`` (messages): ``none``, ``budget`` (with a budget only), ``both``, ``adaptive`` (without a budget only).
    ``sampling``: it takes temperature, top_p, top_k. ``prefill``: it continues a final assistant message.
    ``late_system``: it takes system messages after others. ``structured``: it takes JSON schemas for the output.
    ``returned_reasoning`` (chat): what assistant messages must say of their reasoning: ``no``: the text is refused;
    ``calls``: needed beside tool calls; ``yes``: taken everywhere.
    ``limit_name`` (chat): the member that limits the answer.

    Of a server for chat: ``openai``: it is OpenAI's own or Azure's, and takes all members that OpenAI documents.
    ``takes``: members that it takes beyond those that all servers have, such as ``top_k``. ``refuses``: settings that
    it refuses although others take them, such as ``user``. ``cache_marks``: what marks a breakpoint of its cache:
    OpenAI's ``prompt_cache_breakpoint``, or Anthropic's ``cache_control``. ``reasoning_name``: the member of assistant
    messages with the text of their reasoning. ``thought_signatures``: it is Google's, and needs one with each call.
    """

    output_tokens: int = 0
    efforts: tuple[str, ...] | None = None
    thinking: Literal["none", "budget", "both", "adaptive"] = "adaptive"
    sampling: bool = True
    prefill: bool = False
    late_system: bool = True
    structured: bool = True
    returned_reasoning: Literal["no", "calls", "yes"] = "no"
    limit_name: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    openai: bool = False
    takes: frozenset[str] = frozenset()
    refuses: frozenset[str] = frozenset()
    cache_marks: Literal["none", "breakpoint", "cache_control"] = "none"
    reasoning_name: Literal["reasoning_content", "reasoning"] = "reasoning_content"
    thought_signatures: bool = False
