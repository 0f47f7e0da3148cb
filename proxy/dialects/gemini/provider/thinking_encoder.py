"""How hard a model should think, as the Gemini API has it: ``thinkingConfig``, with a level or a budget.

A level is for Gemini 3 and later, a budget for Gemini 2.5. Source: https://ai.google.dev/gemini-api/docs/thinking
"""

from __future__ import annotations

from typing import Final

from proxy.dialects.gemini.provider.encoding import GeminiEncoding
from proxy.dialects.translation.conversation import ThinkingSettings
from proxy.dialects.translation.effort import budget_of, effort_of, nearest
from proxy.dialects.translation.members import JsonObject

_NONE: Final = "none"
_DYNAMIC: Final = -1  # the model decides how much it thinks


def encode_thinking(settings: ThinkingSettings, encoding: GeminiEncoding) -> JsonObject:
    """The members of ``thinkingConfig``. A setting that the model does not take is lost."""
    off = settings.mode == "off" or (settings.effort == _NONE and not settings.mode)
    asked = settings.mode in ("on", "adaptive") or settings.effort not in ("", _NONE) or settings.shown == "summary"
    if encoding.facts.thinking == "none":
        if asked and not off:
            _lose(settings, encoding)
        return {}
    if not (off or asked):
        return {}
    by_budget = encoding.facts.thinking == "budget"
    found = _budget(settings, encoding, off=off) if by_budget else _level(settings, encoding, off=off)
    if asked and not off and settings.shown != "omitted":
        found["includeThoughts"] = True
    return found


def _budget(settings: ThinkingSettings, encoding: GeminiEncoding, *, off: bool) -> JsonObject:
    client, losses = encoding.client, encoding.losses
    least, most = encoding.facts.budgets
    if off:
        if encoding.facts.thinking_off == "no":
            losses.drop(client.thinking if settings.mode else client.effort)
            return {"thinkingBudget": least}
        return {"thinkingBudget": 0}
    if settings.budget and settings.mode != "adaptive":
        budget = min(max(settings.budget, least), most)
        if budget != settings.budget:
            losses.drop(client.budget)
        return {"thinkingBudget": budget}
    depth = budget_of(settings.effort)
    if depth:
        return {"thinkingBudget": min(max(depth, least), most)}
    return {"thinkingBudget": _DYNAMIC} if settings.mode else {}


def _level(settings: ThinkingSettings, encoding: GeminiEncoding, *, off: bool) -> JsonObject:
    client, losses = encoding.client, encoding.losses
    if off:  # a level of its own is all that comes near
        losses.drop(client.thinking if settings.mode else client.effort)
        depth = _NONE
    else:
        depth = settings.effort or (effort_of(settings.budget) if settings.budget else "")
    level = nearest(depth, encoding.facts.efforts) if depth else ""
    if not off and settings.effort and level != settings.effort:
        losses.drop(client.effort)
    elif depth and not level:
        losses.drop(client.budget)
    return {"thinkingLevel": level.upper()} if level and level != _NONE else {}


def _lose(settings: ThinkingSettings, encoding: GeminiEncoding) -> None:
    client = encoding.client
    for name, value in (
        (client.effort, settings.effort),
        (client.budget, settings.budget),
        (client.thinking, settings.mode and not settings.budget),
        (client.shown, settings.shown == "summary"),
    ):
        if value:
            encoding.losses.drop(name)
