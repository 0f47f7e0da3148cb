"""Settings of requests: sampling, thinking, the form of the output, and the service tier.

Source: https://docs.claude.com/en/api/messages, and the parameter types of the package anthropic 2.14
"""

from __future__ import annotations

from typing import Final, Literal

from proxy.dialects.translation import members
from proxy.dialects.translation.conversation import JsonFormat, SamplingSettings, ThinkingSettings
from proxy.dialects.translation.loss import Losses
from proxy.dialects.translation.members import JsonObject, Within
from proxy.dialects.translation.strict_schemas import is_strict
from proxy.errors import Untranslatable

_THINKING: Final = frozenset(("type", "budget_tokens", "display"))
_OUTPUT: Final = frozenset(("effort", "format"))
_FORMAT: Final = frozenset(("type", "schema"))

_MODES: Final[dict[str, Literal["off", "on", "adaptive"]]] = {
    "disabled": "off",
    "between_tools": "off",  # off, but for short updates between calls, which only Claude writes
    "enabled": "on",
    "adaptive": "adaptive",
}
_SHOWN: Final[dict[str, Literal["omitted", "summary"]]] = {"omitted": "omitted", "summarized": "summary"}

# ``standard_only``: without the capacity that is paid in advance.
_TIERS: Final = {"standard_only": "default"}


def sampling(body: JsonObject) -> SamplingSettings:
    return SamplingSettings(
        members.number(body, "temperature"), members.number(body, "top_p"), members.integer(body, "top_k")
    )


def thinking(body: JsonObject, losses: Losses) -> ThinkingSettings:
    """``thinking``, and the effort of ``output_config``."""
    settings = members.mapping(body, "thinking")
    if settings is None:
        return ThinkingSettings(effort=_effort(body))
    losses.drop(*members.unknown(settings, _THINKING, "thinking."))
    with Within("thinking"):
        kind, display = members.text(settings, "type"), members.text(settings, "display")
        budget = members.integer(settings, "budget_tokens")
    found = ThinkingSettings(_MODES.get(kind, ""), budget, _effort(body), _SHOWN.get(display, ""))
    if kind == "between_tools" or (kind and not found.mode):
        losses.drop("thinking.type")
    if display and not found.shown:
        losses.drop("thinking.display")
    return found


def output_format(body: JsonObject, losses: Losses) -> JsonFormat | None:
    """``output_config.format``, which once was ``output_format``."""
    output = members.mapping(body, "output_config")
    if output is None:
        return _format(body, "output_format", losses)
    losses.drop(*members.unknown(output, _OUTPUT, "output_config."))
    if output.get("format") is None:
        return _format(body, "output_format", losses)
    with Within("output_config"):
        return _format(output, "format", losses, "output_config.")


def service_tier(body: JsonObject, losses: Losses) -> str:
    """``service_tier`` and ``speed``, in OpenAI's words, whose tier ``fast`` is the speed ``fast``."""
    tier, speed = members.text(body, "service_tier"), members.text(body, "speed")
    if speed not in ("", "standard", "fast"):
        losses.drop("speed")
    if speed != "fast":
        return _TIERS.get(tier, tier)
    if tier not in ("", "auto"):
        losses.drop("service_tier")
    return "fast"


def _effort(body: JsonObject) -> str:
    output = members.mapping(body, "output_config")
    if output is None:
        return ""
    with Within("output_config"):
        return members.text(output, "effort")


def _format(holder: JsonObject, name: str, losses: Losses, path: str = "") -> JsonFormat | None:
    settings = members.mapping(holder, name)
    if settings is None:
        return None
    losses.drop(*members.unknown(settings, _FORMAT, f"{path}{name}."))
    if settings.get("type") != "json_schema":
        raise Untranslatable(f"{name}.type", "Only 'json_schema' is known.")
    with Within(name):
        schema = members.mapping(settings, "schema")
    return JsonFormat(schema, strict=is_strict(schema) or None)
