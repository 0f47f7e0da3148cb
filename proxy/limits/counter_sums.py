"""Budget counters of one call of ``counters.lua``: encoding of their sums and wants, decoding of what others spent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from msgspec import Struct

from proxy.budgets.base import BudgetCounter, Wants

EXACT: Final = 2**53  # larger sums are not exact in Redis, whose scripts have only doubles
THOUSAND: Final = 1000  # then they are counted in thousands: micro-USD
MICROSECONDS: Final = 1e6


def counter_name(prefix: str, counter: BudgetCounter) -> bytes:
    """The name of a counter's key in Redis. A budget may change its unit, whose sums must not be mixed."""
    kind = "budget" if counter.budget.unit == "usd" else "budget-tokens"
    return f"{{{prefix}}}:{kind}:{counter.key}".encode("utf-8", "surrogatepass")


class SharedCounter(Struct, eq=False):
    """A counter that processes share, as this one knows it. ``name``: of its key in Redis."""

    counter: BudgetCounter
    name: bytes


class CallTerms(Struct, frozen=True):
    """What a call says of its process.

    ``epoch``: as it knows it; ``""``: it knows none. ``fresh``: for a new one. ``turn``: rises after each failed call.
    ``complete``: with this call all its sums are sent. ``leaves``: it ends. ``life``: seconds that it counts as alive
    without a call. ``graces``: seconds that processes have to send their sums to a new epoch, at a first start and
    after a flush. ``state``: name of the key that all processes share.
    """

    epoch: str
    fresh: str
    turn: int
    complete: bool
    leaves: bool
    life: float
    graces: tuple[float, float]
    state: bytes


class CounterSums:
    """The counters of one call."""

    __slots__ = ("_micro", "_numbers", "_seeds", "_sums", "_terms", "_wants")

    def __init__(self) -> None:
        self._numbers: dict[SharedCounter, int] = {}
        self._micro: set[int] = set()  # numbers of those whose amounts are thousands
        self._sums: list[int | float | bool] = []
        self._wants: dict[int, list[int]] = {}
        self._seeds: list[list[int | str | bool]] = []
        self._terms: CallTerms | None = None

    def __len__(self) -> int:
        return len(self._numbers)

    def add(self, shared: SharedCounter, leaves: bool = False) -> int:
        """Send the sums of this process. Returns the counter's number in the call."""
        numbers = self._numbers
        number = numbers.get(shared)
        if number is not None:
            return number
        number = numbers[shared] = len(numbers) + 1
        counter = shared.counter
        spent, held, cap, ends = counter.spent, counter.held, counter.cap, counter.ends
        micro = cap > EXACT or counter.base + spent + held > EXACT
        if micro:
            self._micro.add(number)
            spent, held, cap = _thousands(spent), _thousands(held), min(cap // THOUSAND, EXACT)
        if held < 0 or leaves:
            held = -1 if leaves else 0
        self._sums += (spent, held, not counter.budget.soft and cap, ends is not None and ends, micro)
        return number

    def want(
        self,
        take: int,
        wants: Wants,
        known: Mapping[str, SharedCounter],
        learn: Callable[[BudgetCounter], SharedCounter],
    ) -> None:
        """The wants of the take of this number, from 0. ``learn`` is called with counters that are not ``known``."""
        numbers, micro = self._numbers, self._micro
        entry = self._wants[take] = []
        for counter, amount in wants:
            shared = known.get(counter.key)
            if shared is None or shared.counter is not counter:
                shared = learn(counter)
            number = numbers.get(shared)
            if number is None:
                number = self.add(shared)
            if number in micro:
                amount = _thousands(amount)
            entry += number, amount if amount < EXACT else EXACT

    def seed(self, shared: SharedCounter, deaths: int | None, spent: Mapping[str, int]) -> None:
        """What the ledger has, by process. ``deaths``: when it was asked; then the counter is seeded, unless another
        process has died since. ``None``: it is not known when.
        """
        number = self.add(shared)
        entry: list[int | str | bool] = [number, False if deaths is None else deaths]
        for process, amount in spent.items():
            entry += process, _thousands(amount) if number in self._micro else min(amount, EXACT)
        self._seeds.append(entry)

    def say(self, terms: CallTerms) -> None:
        self._terms = terms

    # -- for the call -----------------------------------------------------------------------------

    def keys(self) -> list[bytes]:
        assert self._terms is not None
        return [*[shared.name for shared in self._numbers], self._terms.state]

    def argument(self, takes: int) -> tuple[object, ...]:
        """``takes``: how many the call has."""
        terms, wants = self._terms, self._wants
        assert terms is not None
        return (
            terms.epoch,
            terms.fresh,
            terms.turn,
            terms.complete,
            terms.leaves,
            terms.life * MICROSECONDS,
            (terms.graces[0] * MICROSECONDS, terms.graces[1] * MICROSECONDS),
            self._sums,
            [wants.get(take, ()) for take in range(takes)] if wants else (),
            self._seeds,
        )

    def answered(self, numbers: Sequence[int]) -> list[SharedCounter]:
        """Adopt the script's three numbers for each counter. Returns those of the takes that are not seeded."""
        unseeded = []
        each = iter(numbers)
        for shared, others, excess, seeded in zip(self._numbers, each, each, each, strict=True):
            counter = shared.counter
            if self._micro and self._numbers[shared] in self._micro:
                others *= THOUSAND
                excess = excess and excess * THOUSAND + -counter.spent % THOUSAND
            counter.base = others
            if excess:  # this process spent more than its counter knows, which was made anew
                counter.spent += excess
            if not seeded:
                unseeded.append(shared)
        if unseeded:
            wanted = {number for entry in self._wants.values() for number in entry[::2]}
            return [shared for shared in unseeded if self._numbers[shared] in wanted]
        return unseeded

    def amount(self, counter: BudgetCounter, number: float) -> int:
        """An amount of the script, in nano-USD or tokens."""
        micro = any(shared.counter is counter for shared, place in self._numbers.items() if place in self._micro)
        return int(number) * THOUSAND if micro else int(number)

    def sent(self) -> Iterable[SharedCounter]:
        return self._numbers


def _thousands(amount: int) -> int:
    """Rounded up; not above what is exact, which is 9 billion USD."""
    return min(-(-amount // THOUSAND), EXACT)
