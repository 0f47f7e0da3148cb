"""Which models from fetched model lists become labels of metrics: those used first, up to a bound.

Clients decide which are used, so the bound leaves room for configured models.
"""

from __future__ import annotations

from collections.abc import Iterable


class ListedModels:
    """``pair in listed``: whether this (provider, model) is a label. At most ``most`` ever are."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._pairs: frozenset[tuple[str, str]] = frozenset()
        self._labels: set[tuple[str, str]] = set()

    def __contains__(self, pair: tuple[str, str]) -> bool:
        if pair not in self._labels and pair in self._pairs and len(self._labels) < self._most:
            self._labels.add(pair)
        return pair in self._labels

    def know(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Set the models that are listed now. Existing labels stay."""
        self._pairs = frozenset(pairs)
