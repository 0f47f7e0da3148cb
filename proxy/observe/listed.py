"""Which of the models that providers list themselves become labels of metrics: the first that are used, up to a bound.

Clients choose which are used, so the bound leaves room for the models of the configuration.
"""

from __future__ import annotations

from collections.abc import Iterable


class ListedModels:
    """``pair in listed``: whether this (provider, model) is a label. ``most`` bounds how many ever are."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._pairs: frozenset[tuple[str, str]] = frozenset()
        self._labels: set[tuple[str, str]] = set()

    def __contains__(self, pair: tuple[str, str]) -> bool:
        if pair not in self._labels and pair in self._pairs and len(self._labels) < self._most:
            self._labels.add(pair)
        return pair in self._labels

    def know(self, pairs: Iterable[tuple[str, str]]) -> None:
        """These are listed now; what is a label stays one."""
        self._pairs = frozenset(pairs)
