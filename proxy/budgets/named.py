"""Counters whose subjects clients name as they like: runs, values of labels, and models where a provider takes any."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

from proxy.budgets.base import BudgetCounter

MOST: Final = 100_000
_PART: Final = 100  # this part of them is forgotten at once, as a look at all takes some ms


class NamedCounters:
    """At most ``most`` counters, but for those that hold something: the longest unused of the others are forgotten.

    Those without any spend go first, so that names that are invented for refused calls replace no counter that caps.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._found: dict[str, BudgetCounter] = {}  # by key, the longest unused first

    def __len__(self) -> int:
        return len(self._found)

    def __iter__(self) -> Iterator[BudgetCounter]:
        return iter(self._found.values())

    def __contains__(self, key: str) -> bool:
        return key in self._found

    def find(self, key: str) -> BudgetCounter | None:
        return self._found.get(key)

    def use(self, key: str) -> BudgetCounter | None:
        """The counter, which is the last used one now; ``None``: there is none."""
        found = self._found.pop(key, None)
        if found is not None:
            self._found[key] = found
        return found

    def add(self, counter: BudgetCounter) -> bool:
        """Returns whether others were forgotten."""
        full = len(self._found) >= self._most
        if full:
            self._make_room()
        self._found[counter.key] = counter
        return full

    def pop(self, key: str, default: None = None) -> BudgetCounter | None:
        """Forget a counter, if it is there, as ``dict.pop``."""
        return self._found.pop(key, default)

    def _make_room(self) -> None:
        wanted = max(self._most // _PART, 1)
        older = islice(self._found.items(), len(self._found) - wanted)  # the latest may be those of the present call
        idle = [key for key, each in older if not each.held]
        unspent = [key for key in idle if not self._found[key].spent]
        for key in unspent[:wanted] or idle[:wanted]:
            del self._found[key]
