"""How hard a model should think, as chat has it: ``reasoning_effort``, and the members that turn thinking on or off."""

from __future__ import annotations

from typing import Any, Final

from proxy.dialects.openai.chat.encoding import ChatEncoding
from proxy.dialects.translation.conversation import ThinkingSettings
from proxy.dialects.translation.effort import effort_of, nearest
from proxy.dialects.translation.members import JsonObject

NONE: Final = "none"


def encode_thinking(settings: ThinkingSettings, encoding: ChatEncoding, *, with_tools: bool) -> JsonObject:
    """The members for the settings. A setting that the model does not take is lost."""
    client, losses = encoding.client, encoding.losses
    asked = settings.effort
    if not asked and settings.mode == "on" and settings.budget is not None:
        asked = effort_of(settings.budget)
    if with_tools and encoding.facts.effort_with_tools == NONE:
        if (asked and asked != NONE) or settings.mode in ("on", "adaptive"):
            losses.drop(client.effort if settings.effort else client.thinking)
        return {"reasoning_effort": NONE}
    if settings.mode == "off" or asked == NONE:
        if settings.effort not in ("", NONE):
            losses.drop(client.effort)
        return _off(settings, encoding)
    found: JsonObject = _toggle(encoding, on=True) if settings.mode else {}
    effort = _effort(asked, encoding)
    if effort:
        found["reasoning_effort"] = effort
    if settings.effort and effort != settings.effort:
        losses.drop(client.effort)
    elif asked and not effort:
        losses.drop(client.budget)
    if settings.mode and not found and encoding.facts.efforts == ():
        losses.drop(client.thinking)
    return found


def _off(settings: ThinkingSettings, encoding: ChatEncoding) -> JsonObject:
    found = _toggle(encoding, on=False)
    if found:
        return found
    efforts = encoding.facts.efforts
    if efforts is None or NONE in efforts:
        return {"reasoning_effort": NONE}
    encoding.losses.drop(encoding.client.thinking if settings.mode else encoding.client.effort)
    return {}


def _effort(asked: str, encoding: ChatEncoding) -> str:
    """The nearest effort that the model takes, but not ``none`` for one that is more; ``""``: there is none."""
    efforts = encoding.facts.efforts
    return nearest(asked, None if efforts is None else [each for each in efforts if each != NONE]) if asked else ""


def _toggle(encoding: ChatEncoding, *, on: bool) -> dict[str, Any]:
    match encoding.facts.toggle:
        case "thinking":
            return {"thinking": {"type": "enabled" if on else "disabled"}}
        case "enable_thinking":
            return {"enable_thinking": on}
    return {}
