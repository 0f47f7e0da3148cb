"""How the model should think: ``thinking`` and ``output_config.effort``.

Source: https://platform.claude.com/docs/en/build-with-claude/thinking, .../effort
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct

from proxy.dialects.translation.client_names import MemberNames
from proxy.dialects.translation.conversation import ThinkingSettings
from proxy.dialects.translation.effort import budget_of, effort_of, nearest
from proxy.dialects.translation.loss import Losses
from proxy.dialects.translation.model_facts import ModelFacts

_EFFORTS: Final = ("low", "medium", "high", "xhigh", "max")
_USUAL: Final = "medium"  # of a budget where only thinking was asked for
LEAST_BUDGET: Final = 1024
_DISPLAYS: Final = {"omitted": "omitted", "summary": "summarized"}


class EncodedThinking(Struct):
    """``member``: the value of ``thinking``, ``None`` for none. ``effort``: ``""`` for none."""

    member: dict[str, Any] | None = None
    effort: str = ""

    @property
    def is_on(self) -> bool:
        return self.member is not None and self.member["type"] in ("enabled", "adaptive")

    def effort_member(self) -> dict[str, Any]:
        """``effort`` within an object; empty for none."""
        return {"effort": self.effort} if self.effort else {}


class ThinkingEncoder:
    """Encodes the thinking of one request. ``client``: the names for what is lost."""

    __slots__ = ("_client", "_facts", "_losses")

    def __init__(self, facts: ModelFacts, losses: Losses, client: MemberNames) -> None:
        self._facts = facts
        self._losses = losses
        self._client = client

    def encode(self, settings: ThinkingSettings, room: int, *, barred: bool, barred_budget: bool) -> EncodedThinking:
        """``room``: most tokens of the answer.

        ``barred``: the request has something that no thinking model takes, such as a choice that demands a tool.
        ``barred_budget``: something that those with a budget refuse.
        """
        if settings.mode == "off" or (settings.effort == "none" and settings.mode == ""):
            return self._off(settings)
        effort = "" if settings.effort == "none" else settings.effort
        if not (settings.mode or effort or settings.shown == "summary"):
            return EncodedThinking()
        if self._facts.thinking == "none":
            self._lose(settings)
            return EncodedThinking()
        by_budget = self._facts.thinking == "budget" or (self._facts.thinking == "both" and bool(settings.budget))
        depth = effort or (effort_of(settings.budget) if settings.budget and not by_budget else "")
        budget = self._budget(settings.budget, effort, room) if by_budget else 0
        found = EncodedThinking(effort=self._effort(depth))
        self._lose_other_effort(settings, found.effort)
        if barred or (by_budget and (barred_budget or not budget)):
            self._lose(settings)
            return found
        found.member = {"type": "enabled", "budget_tokens": budget} if by_budget else {"type": "adaptive"}
        if settings.shown == "omitted" or (settings.shown and not by_budget):  # those with a budget show it anyway
            found.member["display"] = _DISPLAYS[settings.shown]
        return found

    def _off(self, settings: ThinkingSettings) -> EncodedThinking:
        facts = self._facts
        if facts.thinking == "none":
            return EncodedThinking()
        if facts.thinking_off == "no":
            self._lose(settings)
            return EncodedThinking(effort=self._effort("low"))
        effort = "high" if settings.effort in ("xhigh", "max") and facts.thinking_off != "yes" else settings.effort
        kind = "between_tools" if facts.thinking_off == "between_tools" else "disabled"
        found = EncodedThinking({"type": kind}, self._effort("" if effort == "none" else effort))
        self._lose_other_effort(settings, found.effort)
        return found

    def _budget(self, wanted: int | None, effort: str, room: int) -> int:
        """Tokens for thinking; 0: there is no room. The answer gets a quarter, unless the client chose the budget."""
        if room <= LEAST_BUDGET:
            return 0
        if wanted:
            return min(max(wanted, LEAST_BUDGET), room - 1)
        return max(LEAST_BUDGET, min(budget_of(effort or _USUAL), room * 3 // 4))

    def _effort(self, effort: str) -> str:
        """The word that the model takes for an effort; ``""``: none."""
        facts = self._facts
        if not effort or (facts.thinking == "budget" and facts.efforts is None):
            return ""
        return nearest(
            effort, _EFFORTS if facts.efforts is None else [each for each in _EFFORTS if each in facts.efforts]
        )

    def _lose_other_effort(self, settings: ThinkingSettings, found: str) -> None:
        """Tell that the model does not take the effort but another one. A budget for it is no loss."""
        if found and found != settings.effort != "":
            self._losses.drop(self._client.effort)

    def _lose(self, settings: ThinkingSettings) -> None:
        client = self._client
        for name, value in (
            (client.effort, settings.effort),
            (client.budget, settings.budget),
            (client.thinking, settings.mode and not settings.budget),
            (client.shown, settings.shown == "summary"),
        ):
            if value:
                self._losses.drop(name)
