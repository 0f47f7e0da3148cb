"""What an answer says of the budgets of its call that have reached a threshold: ``x-router-budget``.

``x-router-budget: daily; used=82; renews=2026-11-30T00:00:00Z, run; used=55``. ``used`` is the percent that was spent
before this call, as far as this process knows; over Redis, with what other processes hold.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from proxy.budgets.base import BudgetCounter
from proxy.budgets.reports import renewal, used_percent

HIDDEN: Final = frozenset(("everyone", "model", "provider"))  # levels that are not the caller's business
_LINE: Final = b"x-router-budget: %b\r\n"


def budget_line(counters: Iterable[BudgetCounter]) -> bytes:
    """The header line; ``b""``: no threshold was reached."""
    found = [_warning(each) for each in counters if each.fired and each.budget.level not in HIDDEN]
    return _LINE % b", ".join(found) if found else b""


def _warning(counter: BudgetCounter) -> bytes:
    """The text of one counter, which is made again only if its percent has changed."""
    used = used_percent(counter, counter.base + counter.spent)
    if used != counter.warned_at:
        renews = renewal(counter.ends)
        text = f"{counter.budget.name}; used={used}" + (f"; renews={renews}" if renews else "")
        counter.warned_at, counter.warning = used, text.encode()
    return counter.warning
