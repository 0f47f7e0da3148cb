"""Sets of addresses for tests: a book with one service."""

from __future__ import annotations

from collections import Counter
from random import Random

from proxy.addresses.book import AddressBook
from proxy.addresses.live import LiveAddress
from proxy.config.service_schema import ServerAddress, ServiceSettings

NAME = "s"
PLAIN = ServiceSettings()


class Set:
    """A service in a book of its own. Addresses have the URLs ``http://0``, ``http://1`` and so on."""

    def __init__(
        self, *weights: float, settings: ServiceSettings = PLAIN, region: str = "", seed: int = 1, now: float = 0.0
    ) -> None:
        self.book = AddressBook(region, Random(seed))
        self.settings = settings
        self.put([address(number, weight) for number, weight in enumerate(weights)], now)

    def put(self, addresses: list[ServerAddress], now: float = 0.0, drained: tuple[str, ...] = ()) -> None:
        self.book.put(NAME, self.settings, addresses, now, drained)

    def __getitem__(self, number: int) -> LiveAddress:
        return self.book.group(NAME).addresses[number]

    def choose(self, now: float = 0.0, key: bytes = b"", tried: tuple[LiveAddress, ...] = ()) -> LiveAddress | None:
        return self.book.group(NAME).choose(now, key, tried)

    def turns(self, number: int, now: float = 0.0) -> str:
        """The numbers of the chosen addresses, ``-`` for none."""
        found = [self.choose(now) for _ in range(number)]
        return "".join("-" if each is None else each.url[-1] for each in found)

    def counts(self, number: int, now: float = 0.0) -> Counter[str]:
        return Counter(self.turns(number, now))

    def open(self, number: int, now: float = 0.0) -> None:
        """Let the breaker of an address open, by failures."""
        breaker = self[number].breaker
        while breaker.state != "open":
            breaker.fail(breaker.acquire("", now), now, "connect")


def address(number: int, weight: float = 1.0, priority: int = 0, region: str = "") -> ServerAddress:
    return ServerAddress(url=f"http://{number}", weight=weight, priority=priority, region=region)
