"""What a model, at the server that it runs on, takes in a request.

``routing/model_facts.py`` finds the facts. An encoder leaves out what a model does not take, or finds another way.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from proxy.config.provider_schema import CacheMarks, ReturnedReasoning, ThinkingModes


class ModelFacts(Struct, frozen=True):
    """Facts for all dialects.

    ``output_tokens``: most tokens of an answer, 0: unknown. ``efforts``: those that it takes; ``None``: any.
    ``default_effort``: that of a request without one, ``""``: unknown.
    ``fetches``: it takes addresses of images, and of files where its dialect has a place for them.
    ``sampling``: it takes temperature, top_p, top_k; ``sampling_at_none``: with the effort ``none`` only.
    ``prefill``: it continues a final assistant message. ``late_system``: it takes system messages after others.
    ``structured``: it takes JSON schemas for the output. ``forced_tools``: it takes a choice of tools that demands one.

    Of a model for messages, or of Gemini:

    ``thinking``: ``none``, ``budget`` (with a budget only), ``both``, ``adaptive`` (without a budget only, at Gemini by
    level).
    ``thinking_off``: whether ``disabled`` is taken; ``to_high``: with an effort of ``high`` at most; ``between_tools``:
    that is the type to send instead, with an effort of ``high`` at most; ``no``: it always thinks.

    Of a model for chat:

    ``effort_with_tools``: the effort that a request with tools may have; ``none``: it must say ``none``, even where
    the client says nothing; ``no``: tools are refused.
    ``returned_reasoning``: what assistant messages must say of their reasoning: ``no``: the text is refused;
    ``calls``: needed beside tool calls; ``yes``: taken everywhere.

    Of a server for chat:

    ``limit_name``: the member that limits the answer.
    ``limits_reasoning``: this limit includes the reasoning.
    ``openai``: it is OpenAI's own or Azure's, and takes all members that OpenAI documents.
    ``takes``: members that it takes beyond those that all servers have, such as ``top_k``. ``refuses``: settings that
    it refuses although others take them, such as ``user``.
    ``cache_marks``: what marks a breakpoint of its cache: OpenAI's ``prompt_cache_breakpoint``, or Anthropic's
    ``cache_control``.
    ``reasoning_name``: the member of assistant messages with the text of their reasoning.
    ``toggle``: the member that turns thinking off: ``thinking`` (``{"type": "disabled"}``), ``enable_thinking``
    (``false``); ``""``: none is known.
    ``thought_signatures``: it is Google's, and needs one with each call.

    Of Gemini in Google's own API, where a model may need ``thought_signatures`` and refuse settings as well:

    ``candidates``: most answers to one request. ``streams_candidates``: a stream may have several.
    ``budgets``: the least and the most tokens for thinking, if not none.
    ``json_schemas``: it takes JSON Schema; else only the schemas of OpenAPI 3.0, without references.
    ``format_with_tools``: it takes a form of the output beside tools.
    ``media_in_results``: results of tools may have images and files.
    """

    output_tokens: int = 0
    efforts: tuple[str, ...] | None = None
    default_effort: str = ""
    fetches: bool = True
    sampling: bool = True
    sampling_at_none: bool = False
    prefill: bool = False
    late_system: bool = True
    structured: bool = True
    forced_tools: bool = True
    thinking: ThinkingModes = "adaptive"
    thinking_off: Literal["yes", "to_high", "between_tools", "no"] = "yes"
    effort_with_tools: Literal["any", "none", "no"] = "any"
    returned_reasoning: ReturnedReasoning = "no"
    limit_name: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    limits_reasoning: bool = True
    openai: bool = False
    takes: frozenset[str] = frozenset()
    refuses: frozenset[str] = frozenset()
    cache_marks: CacheMarks = "none"
    reasoning_name: Literal["reasoning_content", "reasoning"] = "reasoning_content"
    toggle: Literal["", "thinking", "enable_thinking"] = ""
    thought_signatures: bool = False
    candidates: int = 1
    streams_candidates: bool = True
    budgets: tuple[int, int] = (1, 65_536)
    json_schemas: bool = True
    format_with_tools: bool = True
    media_in_results: bool = True

    def takes_sampling(self, effort: str) -> bool:
        """Whether it takes temperature, top_p, top_k in a request with this effort, ``""``: none is said."""
        return self.sampling or (self.sampling_at_none and (effort or self.default_effort) == "none")
