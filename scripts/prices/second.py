"""The second table of prices: litellm's, read out of its wheel. No code of that package runs."""

from __future__ import annotations

import json
import zipfile
from decimal import Decimal
from pathlib import Path
from typing import Any

_TABLE = "litellm/model_prices_and_context_window_backup.json"
# Providers whose models have the same names there, with the prefix before them.
_PREFIXES = {
    "anthropic": ("anthropic", ""),
    "openai": ("openai", ""),
    "google": ("gemini", "gemini/"),
    "groq": ("groq", "groq/"),
    "mistral": ("mistral", "mistral/"),
    "x-ai": ("xai", "xai/"),
    "deepseek": ("deepseek", "deepseek/"),
    "moonshotai": ("moonshot", "moonshot/"),
    "zai": ("zai", "zai/"),
    "cerebras": ("cerebras", "cerebras/"),
    "perplexity": ("perplexity", "perplexity/"),
    "cohere": ("cohere", ""),
    "voyageai": ("voyage", "voyage/"),
    "minimax": ("minimax", "minimax/"),
    "fireworks": ("fireworks_ai", "fireworks_ai/"),
    "together": ("together_ai", "together_ai/"),
    "aws": ("bedrock_converse", ""),
    "azure": ("azure", "azure/"),
}
_TOKENS = {
    "input": "input_cost_per_token",
    "output": "output_cost_per_token",
    "cacheRead": "cache_read_input_token_cost",
    "cacheWrite": "cache_creation_input_token_cost",
    "cacheWrite1h": "cache_creation_input_token_cost_above_1hr",
    "audioIn": "input_cost_per_audio_token",
    "audioOut": "output_cost_per_audio_token",
}


def table(wheel: Path) -> dict[str, Any]:
    with zipfile.ZipFile(wheel) as archive:
        found: dict[str, Any] = json.loads(archive.read(_TABLE), parse_float=Decimal)
    return found


def prices_of(table: dict[str, Any], vendor: str, key: str) -> dict[str, Decimal]:
    """Prices in USD for a million, by the catalog's keys; ``{}``: the table does not have the model."""
    if vendor not in _PREFIXES:
        return {}
    provider, prefix = _PREFIXES[vendor]
    entry = table.get(prefix + key.strip("*"))
    if not isinstance(entry, dict) or not str(entry.get("litellm_provider", "")).startswith(provider):
        return {}
    found = {}
    for name, member in _TOKENS.items():
        value = entry.get(member)
        if isinstance(value, int | Decimal):
            found[name] = Decimal(value) * 1_000_000
    for member, value in entry.items():
        for side, name in (("input", "input"), ("output", "output")):
            start = f"{side}_cost_per_token_above_"
            bound = member.removeprefix(start).removesuffix("_tokens")
            if member.startswith(start) and bound.endswith("k") and bound[:-1].isdigit():
                found[f"{name} above {int(bound[:-1]) * 1000}"] = Decimal(value) * 1_000_000
            for tier, suffix in (("batch", "_batches"), ("flex", "_flex"), ("priority", "_priority")):
                if member == f"{side}_cost_per_token{suffix}" and isinstance(value, int | Decimal):
                    found[f"{tier} {name}"] = Decimal(value) * 1_000_000
    return found


def us_factor(table: dict[str, Any], key: str) -> Decimal | None:
    """How much more an answer of Anthropic's costs if the model ran in the US; ``None``: not known.

    genai-prices does not have it: https://platform.claude.com/docs/en/about-claude/pricing#data-residency-pricing
    """
    entry = table.get(key.strip("*"), {}).get("provider_specific_entry") or {}
    return Decimal(str(entry["us"])) if "us" in entry else None


def flat(row: dict[str, Any]) -> dict[str, Decimal]:
    """The prices of a row of the catalog by the same names."""
    found = {name: Decimal(str(row[name])) for name in _TOKENS if name in row}
    for step in row.get("tiers", ()):
        found |= {
            f"{name} above {step['above']}": Decimal(str(step[name])) for name in ("input", "output") if name in step
        }
    for tier, prices in row.get("serviceTiers", {}).items():
        found |= {f"{tier} {name}": Decimal(str(prices[name])) for name in ("input", "output") if name in prices}
    return found
