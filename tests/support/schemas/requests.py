"""Whole requests around a variant: what else a request needs so that the member means something."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tests.support.schemas.nodes import Shape
from tests.support.schemas.variants import ABSENT, Variant, Variants

Item = dict[str, Any]


@dataclass(frozen=True, eq=False)
class RequestSchema:
    """The requests of one dialect by one schema.

    ``base``: members of each request. ``history``: the member with the messages, which ``surround`` puts into a whole
    conversation. ``beside``: what a member needs beside it. ``companions``: see ``Variants``. ``skipped``: members that
    are not in a body, though the types have them.
    """

    name: str
    shape: Shape
    base: Item
    history: str
    surround: Callable[[list[Item]], list[Item]]
    beside: dict[str, Item] = field(default_factory=dict)
    companions: dict[str, Item] = field(default_factory=dict)
    skipped: frozenset[str] = frozenset()

    @cached_property
    def variants(self) -> list[Variant]:
        return [each for each in Variants(self.companions).of(self.shape) if self._top(each) not in self.skipped]

    def request(self, variant: Variant, value: Any) -> Item:
        """The request with a value for a variant's member."""
        made: Item = variant.make(value)
        top = self._top(variant)
        kept = {top: made[top]} if top in made else {}
        if isinstance(items := kept.get(self.history), list):
            kept[self.history] = self.surround(items)
        if value is ABSENT and kept.get(top) == []:
            kept = {}
        return self.base | self.beside.get(top, {}) | kept

    def _top(self, variant: Variant) -> str:
        return variant.path.partition(".")[0].removesuffix("[]")

    def __str__(self) -> str:
        return self.name
