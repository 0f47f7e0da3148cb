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
