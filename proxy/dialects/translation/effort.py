"""How hard a model should think: one table for all dialects.

OpenAI and Anthropic share the names. Where a dialect has a budget of tokens instead, the table gives it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

EFFORTS: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
# Tokens; at Anthropic a budget is at least 1,024, and less than max_tokens.
_BUDGETS: Final = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 32768, "max": 65536}


def budget_of(effort: str) -> int:
    """The budget for an effort; 0: no thinking."""
    return _BUDGETS.get(effort, 0)


def effort_of(budget: int) -> str:
    """The lowest effort whose budget is not less."""
    if budget <= 0:
        return "none"
    return next((effort for effort, tokens in _BUDGETS.items() if tokens >= budget), "max")


def nearest(effort: str, taken: Sequence[str] | None) -> str:
    """The effort itself if the model takes it, else the nearest lower one, else the lowest higher one.

    ``""``: the model takes none. ``taken``: ``None`` for all.
    """
    if taken is None or effort in taken:
        return effort
    if effort not in EFFORTS:
        return ""
    rank = EFFORTS.index(effort)
    known = [each for each in EFFORTS if each in taken]
    lower = [each for each in known if EFFORTS.index(each) < rank]
    return (lower[-1:] or known[:1] or [""])[0]
