"""Names that stand for other models (``aliases`` in the configuration).

An exact alias wins over a configured model of the same name, a configured model wins over a pattern, and of several
patterns the first matches. What an alias stands for is no alias again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from proxy.caches import LruCache
from proxy.dialects.call import AUTO

MOST_KNOWN: Final = 1000  # names whose result is kept


class Aliases:
    """``targets`` by alias, in the order of the configuration; ``*`` in an alias matches any text.

    ``is_configured``: whether a model has the name. An object without aliases is false.
    """

    def __init__(self, targets: Mapping[str, Sequence[str]], is_configured: Callable[[str], bool]) -> None:
        self._is_configured = is_configured
        self.exact = {alias: tuple(names) for alias, names in targets.items() if "*" not in alias}
        self._patterns = [
            (re.compile(".*".join(map(re.escape, alias.split("*"))), re.DOTALL), tuple(names))
            for alias, names in targets.items()
            if "*" in alias
        ]
        self._known: LruCache[str, tuple[str, ...]] = LruCache(MOST_KNOWN)

    def __bool__(self) -> bool:
        return bool(self.exact or self._patterns)

    def find(self, name: str) -> tuple[str, ...]:
        """The names that ``name`` stands for; ``()`` if it is no alias."""
        found = self.exact.get(name)
        if found is None:
            found = self._known.get(name)
        if found is None:
            found = () if self._is_configured(name) else self._matching(name)
            self._known.put(name, found)
        return found

    def expand(self, names: Sequence[str], auto: bool) -> tuple[tuple[str, ...], bool]:
        """The names with those that aliases among them stand for, and whether any other model may follow."""
        expanded: list[str] = []
        for name in names:
            for target in self.find(name) or (name,):
                if target == AUTO:
                    auto = True
                else:
                    expanded.append(target)
        return tuple(dict.fromkeys(expanded)), auto

    def _matching(self, name: str) -> tuple[str, ...]:
        return next((names for pattern, names in self._patterns if pattern.fullmatch(name)), ())
