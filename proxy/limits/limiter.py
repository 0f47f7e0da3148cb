"""The limiter middleware: before the body is read, a request takes from the buckets of everyone and of its client.

What depends on the call (models, providers, tokens) the exchange's ``Hold`` takes, later.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from itertools import count

from proxy.delivery import Delivery
from proxy.limits.base import Store, Verdict
from proxy.limits.hold import Hold, Tally
from proxy.limits.rules import Rules

Handler = Callable[[Delivery], Awaitable[None]]


class Limiter:
    """``around`` makes the middleware; ``adopt`` swaps the rules, and the buckets stay."""

    def __init__(self, store: Store, rules: Rules, wall: Callable[[], float], tally: Tally) -> None:
        self.tally = tally
        self.store = store
        self.wall = wall
        self.leases: Iterator[int] = count(1)
        self.rules = rules

    def adopt(self, rules: Rules) -> None:
        self.rules = rules

    def around(self, handler: Handler) -> Handler:
        # No coroutine of its own: where the store answers at once, being asked costs no more than the asking.
        def limited(delivery: Delivery) -> Awaitable[None]:
            rules, exchange = self.rules, delivery.exchange
            if not rules.enabled:
                return handler(delivery)
            client = exchange.caller
            wants = rules.before(client)  # which may be the first to hear of slots
            lease = next(self.leases) if rules.has_slots else 0
            hold = exchange.hold = Hold(self, rules, client, exchange.trials, lease, wants)
            if not wants:
                return handler(delivery)
            verdict = self.store.take(wants, lease)
            if not isinstance(verdict, Verdict):
                return _later(delivery, handler, hold, verdict)
            hold.begin(verdict)
            return handler(delivery)

        return limited

    async def close(self) -> None:
        await self.store.close()


async def _later(delivery: Delivery, handler: Handler, hold: Hold, verdict: Awaitable[Verdict]) -> None:
    hold.begin(await verdict)
    await handler(delivery)
