"""``python -m tests.bench.addresses [--rounds N]``: CPU time of the choice among addresses, and of a change of a set.

In one process, without sockets. Choices are made in services of 10 and of 1,000 addresses, by each strategy, with equal
and with different weights, by key, and after an address was tried; three addresses have running requests, which are
too many for a key that is named overloaded. Changes:
1,000 addresses join a service, one of them leaves and joins, its health changes, and a service of ten is put into a book
of 1,000 such services; each with the next choice. The figures are those of the fastest round, as others only add to it.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from itertools import cycle
from random import Random
from typing import Literal

from proxy.addresses.book import AddressBook
from proxy.addresses.group import AddressGroup
from proxy.config.service_schema import ServerAddress, ServiceSettings, Stickiness

CHOICE_US = {10: 5.0, 1000: 200.0}
CHANGE_US = 5000.0
REPEATS = {10: 2000, 1000: 50}
KEYS = [b"session-%d" % number for number in range(997)]
STRATEGIES: tuple[Literal["round_robin", "weighted", "least_connections", "healthiest"], ...] = (
    "round_robin",
    "weighted",
    "least_connections",
    "healthiest",
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.addresses", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds: int = parser.parse_args().rounds
    reached = True
    for name, size, repeats, most, run in [*choices(), *changes()]:
        spent = min(measured(run, repeats) for _ in range(rounds))
        reached &= spent <= most
        print(f"{name:42} {size:5} {spent:9.2f} us, at most {most:5.0f}{'' if spent <= most else '  NOT REACHED'}")
    print(f"target: {'reached' if reached else 'not reached'}")
    return 0 if reached else 1


def measured(run: Callable[[], None], repeats: int) -> float:
    """Microseconds of CPU a call."""
    begun = time.process_time()
    for _ in range(repeats):
        run()
    return (time.process_time() - begun) / repeats * 1e6


Case = tuple[str, int, int, float, Callable[[], None]]


def choices() -> Iterator[Case]:
    for size in (10, 1000):
        for strategy in STRATEGIES:
            for weights in ("equal", "four", "all different"):
                group = filled(size, weights, ServiceSettings(strategy=strategy))
                yield f"{strategy}, {weights} weights", size, REPEATS[size], CHOICE_US[size], chooser(group)
        for weights in ("equal", "four", "all different"):
            group = filled(size, weights, ServiceSettings(sticky=Stickiness(cookie="c")))
            yield f"by key, {weights} weights", size, REPEATS[size], CHOICE_US[size], by_key(group)
            group = overloaded(filled(size, weights, ServiceSettings(sticky=Stickiness(cookie="c"))))
            yield f"by key, overloaded, {weights} weights", size, REPEATS[size], CHOICE_US[size], by_one_key(group)
        group = filled(size, "four", ServiceSettings())
        yield "weighted, one tried", size, REPEATS[size], CHOICE_US[size], after_a_try(group)


def changes() -> Iterator[Case]:
    many, few = addresses(1000, "four"), addresses(10, "four")
    yield "1,000 addresses join", 1000, 1, CHANGE_US, joining(many)
    yield "one of 1,000 joins or leaves", 1000, 2, CHANGE_US, replacing(AddressBook(), many)
    yield "the health of one of 1,000 changes", 1000, 2, CHANGE_US, ailing(many)
    book = AddressBook()
    for number in range(1000):
        book.put(f"service-{number}", ServiceSettings(), few, 0.0)
    yield "ten join in a book of 1,000 services", 10, 50, CHANGE_US, replacing(book, few)


def addresses(size: int, weights: str) -> list[ServerAddress]:
    each = {
        "equal": [1.0] * size,
        "four": [n % 4 + 0.5 for n in range(size)],
        "all different": [n + 1.0 for n in range(size)],
    }
    return [
        ServerAddress(url=f"http://10.0.{number // 250}.{number % 250}:8080", weight=weight)
        for number, weight in enumerate(each[weights])
    ]


def filled(size: int, weights: str, settings: ServiceSettings) -> AddressGroup:
    book = AddressBook(random=Random(1))
    book.put("s", settings, addresses(size, weights), 0.0)
    for number, live in enumerate(book.group("s").addresses):
        live.requests, live.failures, live.latency = 100, number % 7, 0.01 * (number % 5)
        live.in_flight = 2 if number % size < 3 else 0
    return book.group("s")


def chooser(group: AddressGroup) -> Callable[[], None]:
    return lambda: void(group.choose(1.0))


def by_key(group: AddressGroup) -> Callable[[], None]:
    keys = cycle(KEYS)
    return lambda: void(group.choose(1.0, next(keys)))


def by_one_key(group: AddressGroup) -> Callable[[], None]:
    return lambda: void(group.choose(1.0, KEYS[0]))


def overloaded(group: AddressGroup) -> AddressGroup:
    """The first three addresses of a key have too many requests."""
    for _ in range(3):
        found = group.choose(1.0, KEYS[0])
        assert found is not None
        found.in_flight = 1000
    return group


def after_a_try(group: AddressGroup) -> Callable[[], None]:
    return lambda: void(group.choose(1.0, b"", [group.addresses[0]]))


def joining(many: list[ServerAddress]) -> Callable[[], None]:
    def run() -> None:
        book = AddressBook()
        book.put("s", ServiceSettings(), many, 0.0)
        void(book.group("s").choose(0.0))

    return run


def replacing(book: AddressBook, all_: list[ServerAddress]) -> Callable[[], None]:
    sets = cycle((all_, all_[1:]))

    def run() -> None:
        book.put("s", ServiceSettings(), next(sets), 0.0)
        void(book.group("s").choose(0.0))

    return run


def ailing(many: list[ServerAddress]) -> Callable[[], None]:
    book, healthy = AddressBook(), cycle((False, True))
    book.put("s", ServiceSettings(), many, 0.0)

    def run() -> None:
        book.note_health(book.group("s").addresses[500], next(healthy), 0.0)
        void(book.group("s").choose(0.0))

    return run


def void(found: object) -> None:
    """Every choice must find an address."""
    if found is None:
        raise SystemExit("void: no address was chosen")


if __name__ == "__main__":
    sys.exit(main())
