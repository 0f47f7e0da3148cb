"""What one exchange holds in counters: for each attempt, from before it is sent until it is billed."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from proxy.billing import bill_of
from proxy.budgets.base import BudgetCounter, Charge, Shortfall, Wants, note_refused
from proxy.budgets.book import Book, Counters
from proxy.budgets.ceiling import most_cost, token_ceiling
from proxy.budgets.headers import budget_line
from proxy.budgets.refusal import refusal
from proxy.budgets.rules import BudgetRules
from proxy.dialects.call import Call
from proxy.errors import ClientFault, GatewayError
from proxy.exchange import NOTHING_HELD, Attempt, Exchange, HeldSpend
from proxy.routing.deployment import Deployment
from proxy.routing.endpoints import Endpoint


class Holds(Struct, eq=False):
    """``_wants`` of each deployment are for its next attempt, or for the one that runs."""

    _book: Book
    _exchange: Exchange
    _wants: dict[Deployment, Wants] = {}
    _now: float = 0.0  # Unix seconds when its counters were looked up
    _charged: int = 0  # attempts that were billed, as bits by their number
    _refused: bool = False  # the error for the client is that of a counter
    _text: int = 0  # bytes of the call, if it is nothing but text and its tokens are to be learned

    def __repr__(self) -> str:
        return f"<Holds at {len(self._wants)} deployments>"

    def counters(self, deployment: Deployment) -> Counters:
        """The counters of an attempt at a deployment."""
        book, exchange = self._book, self._exchange
        now = self._now = book.wall()
        return book.of_call(exchange, now) + book.of_deployment(deployment.name, deployment.provider.name, now)

    def wants(self, counters: Counters, deployment: Deployment, endpoint: Endpoint, call: Call | None) -> Wants | None:
        """What an attempt may cost at most; ``None``: it has no price, and is not allowed without one.

        Raises ClientFault for a call whose usage will never be known.
        """
        rules = self._book.rules
        if self._exchange.free or endpoint.dialect.task == "count":
            return tuple((counter, 0) for counter in counters)
        if call is not None and endpoint.path == "responses" and call.members.first_byte("background") == b"t":
            _require_answer(counters, rules)
        if rules.learns:
            ceiling = token_ceiling(endpoint, call, deployment, rules.estimates, self._book.ratios.ratio(deployment))
            self._text = ceiling.text
        else:
            ceiling = token_ceiling(endpoint, call, deployment, rules.estimates)
        tokens, cost = ceiling.input + ceiling.output, most_cost(deployment.prices, ceiling, self._now)
        found = []
        for counter in counters:
            budget = counter.budget
            if budget.unit == "tokens":
                found.append((counter, tokens))
            elif cost is not None:
                found.append((counter, cost))
            elif budget.soft or not rules.refuses_unpriced:
                found.append((counter, 0))
            else:
                return None
        return tuple(found)

    async def seed(self, counters: Sequence[BudgetCounter]) -> None:
        """Read what others spent of counters that are new to this process. Raises Overloaded."""
        await self._book.seed(counters)

    def held(self, deployment: Deployment, wants: Wants) -> None:
        """Note what a store holds now for the next attempt at a deployment."""
        self._wants[deployment] = wants

    def covers(self, deployment: Deployment) -> bool:
        """Whether something is held for the next attempt at a deployment."""
        return deployment in self._wants

    def of_attempt(self, deployment: Deployment) -> HeldSpend:
        """What is held for an attempt at a deployment."""
        wants = self._wants.get(deployment)
        if not wants:
            return NOTHING_HELD
        tokens = cost = None
        for counter, amount in wants:
            if counter.budget.unit == "tokens":
                tokens = amount
            else:
                cost = amount
        return tuple(counter.key for counter, _ in wants), tokens, cost

    def of_ended(self) -> list[Charge]:
        """The charges of attempts that have ended. Nothing is held for them any more."""
        found: list[Charge] = []
        for number, attempt in enumerate(self._exchange.attempts):
            if attempt.ended is not None and not self._charged >> number & 1:
                self._charged |= 1 << number
                found += self._of(attempt)
        return found

    def settle(self) -> list[Charge]:
        """The charges of all other attempts, and releases of what was held for attempts that were not made."""
        found: list[Charge] = []
        for number, attempt in enumerate(self._exchange.attempts):
            if not self._charged >> number & 1:
                found += self._of(attempt)
        if self._wants:
            found += [(counter, amount, 0) for wants in self._wants.values() for counter, amount in wants]
            self._wants = {}
        return found

    def refusal(self, short: Shortfall) -> GatewayError:
        """The error for the client that a counter refuses."""
        rules = self._book.rules
        now = short.counter.used_at = self._book.wall()
        self._refused = True
        note_refused(short.counter, short.needed, now)
        self._book.note_refusal(short)
        return refusal(short, now, rules.rate, rules.currency)

    def header_line(self) -> bytes:
        """What answers say of the counters in which something is held, and refusals of those of the call.

        ``b""``: nothing.
        """
        if self._refused:
            return budget_line(self._book.of_call(self._exchange, self._now))
        if self._book.warns:
            for wants in self._wants.values():
                for counter, _ in wants:
                    if counter.fired:
                        return budget_line({each: None for held in self._wants.values() for each, _ in held})
        return b""

    def charged(self, charges: Sequence[Charge]) -> None:
        self._book.charged(charges)

    def _of(self, attempt: Attempt) -> list[Charge]:
        wants = self._wants.pop(attempt.deployment, ())
        if not wants:
            return []
        bill = attempt.bill
        if bill is None:
            bill = attempt.bill = bill_of(self._exchange, attempt)
        cost, usage = bill.cost.nano or 0, bill.usage
        if self._text and bill.source == "provider":  # an estimate would teach itself
            self._book.ratios.observe(attempt.deployment, self._text, usage.total_input or 0)
        tokens = usage.known_tokens  # as the recorder adds them up
        return [(counter, amount, cost if counter.budget.unit == "usd" else tokens) for counter, amount in wants]


def _require_answer(counters: Counters, rules: BudgetRules) -> None:
    """Refuse a background response where something is capped: its answer, and so its usage, is fetched elsewhere."""
    if rules.refuses_unpriced and not all(counter.budget.soft for counter in counters):
        raise ClientFault(
            "background: what such a response costs is not known when the call ends, so no budget covers it. Leave it"
            " out, or send false.",
            param="background",
            code="background_unsupported",
        )
