"""A take that waits for an answer from Redis."""

from __future__ import annotations

from asyncio import Future
from collections.abc import Sequence

from msgspec import Struct

from proxy.budgets.base import Wants
from proxy.limits.base import Cost, Verdict
from proxy.limits.batch import Slot


class StoreTake(Struct, eq=False):
    """The take. ``gained``: slots that the lease did not hold before. ``waits``: it could not be decided at once."""

    costs: Sequence[Cost]
    lease: int
    wants: Wants
    answer: Future[Verdict]
    gained: list[Slot] = []
    waits: bool = False

    @property
    def granted(self) -> bool:
        answer = self.answer
        return answer.done() and not answer.cancelled() and answer.exception() is None and answer.result().admitted
