"""What a provider says it billed: its cost, and the service tier that decides on the price.

Members that are of no known form are ignored: they never cost an answer its usage.
"""

from __future__ import annotations

from typing import Any, Final

_NANO: Final = 1_000_000_000
_MOST_USD: Final = 1_000_000  # a larger cost of one answer is an error
_TICKS: Final = 10  # ten billion ticks are one USD: https://docs.x.ai/developers/cost-tracking
# OpenAI's and Gemini's, Anthropic's, Groq's, Vertex AI's: https://platform.openai.com/docs/guides/flex-processing,
# https://docs.claude.com/en/api/service-tiers, https://console.groq.com/docs/flex-processing
_STANDARD: Final = frozenset(("", "auto", "default", "standard", "standard_only", "on_demand", "unspecified"))


def service_tier(name: Any) -> str:
    """The name in lower case; ``""``: the standard tier, or none."""
    if not isinstance(name, str) or len(name) > 64:
        return ""
    found = name.lower().removeprefix("service_tier_")
    return "" if found in _STANDARD else found


def nano_usd(amount: Any) -> int | None:
    """USD as nano-USD; ``None``: not a sensible amount."""
    if isinstance(amount, bool) or not isinstance(amount, int | float) or not 0 <= amount <= _MOST_USD:
        return None
    return round(amount * _NANO)


def nano_of_ticks(ticks: Any) -> int | None:
    """xAI's ``cost_in_usd_ticks`` as nano-USD, rounded half up."""
    if isinstance(ticks, bool) or not isinstance(ticks, int) or not 0 <= ticks <= _MOST_USD * _NANO * _TICKS:
        return None
    return (ticks + _TICKS // 2) // _TICKS


def cost_of(cost: Any, details: Any, is_byok: Any) -> int | None:
    """``usage.cost`` as nano-USD; ``None``: it has no known form.

    OpenRouter: credits that were charged, each of them one USD. With the customer's own key (``is_byok``) it is the fee
    only, and ``cost_details.upstream_inference_cost`` is what the key's owner pays beside it. Other answers repeat the
    cost there: https://openrouter.ai/docs/use-cases/usage-accounting.
    Perplexity: a mapping with ``total_cost``: https://docs.perplexity.ai/api-reference/chat-completions-post
    """
    if isinstance(cost, dict):
        return nano_usd(cost.get("total_cost"))
    found = nano_usd(cost)
    if found is None or is_byok is not True:
        return found
    upstream = nano_usd(details.get("upstream_inference_cost")) if isinstance(details, dict) else None
    return None if upstream is None else found + upstream
