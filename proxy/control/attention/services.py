"""Troubles of services: addresses that take no requests, and why."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from msgspec.structs import replace

from proxy.addresses.book import AddressBook
from proxy.addresses.group import AddressGroup
from proxy.addresses.live import LiveAddress
from proxy.control.attention.trouble import Trouble
from proxy.control.clock import WallClock
from proxy.services.health.history import AddressHealth

PORTION: Final = 500  # addresses that are examined before other tasks run: less than a millisecond

FAILS, OPEN, HELD, DRAINED, UNWEIGHTED = range(5)
_WHY: Final = {
    FAILS: ("fails its health checks", "fail their health checks"),
    OPEN: ("is left out as requests to it fail", "are left out as requests to them fail"),
    HELD: ("is taken out of service by an operator", "are taken out of service by an operator"),
    DRAINED: ("is drained", "are drained"),
    UNWEIGHTED: ("has the weight 0", "have the weight 0"),
}
_WANTED: Final = (DRAINED, UNWEIGHTED)  # an operator wants it so: a trouble only if nothing else is there


class ServiceTroubles:
    """``health`` returns what checks say of the addresses of a service."""

    def __init__(self, book: AddressBook, health: Callable[[str], Sequence[AddressHealth]], clock: WallClock) -> None:
        self._book = book
        self._health = health
        self._clock = clock

    async def find(self) -> list[Trouble]:
        """Other tasks run in between."""
        found: list[Trouble] = []
        seen = 0
        for name, group in list(self._book.groups.items()):
            found += self._of(name, group)
            seen += 1 + len(group.addresses)
            if seen >= PORTION:
                seen = 0
                await asyncio.sleep(0)
        return found

    def _of(self, name: str, group: AddressGroup) -> Iterator[Trouble]:
        now, addresses = self._clock.now(), group.addresses
        if not addresses:
            yield Trouble("error", "service", name, "it has no address, so its requests fail", service=name)
            return
        out = [(each, cause) for each in addresses if (cause := _cause(each, now)) is not None]
        if not out:
            return
        failed = self._failed(name)
        words = ", ".join(
            _words(count, len(addresses), cause) + (f" ({failed.why})" if cause == FAILS and failed is not None else "")
            for cause, count in sorted(Counter(cause for _, cause in out).items())
        )
        since = round(failed.changes[0].at, 3) if failed is not None and failed.changes else None
        trouble = Trouble("warning", "service", name, words, since=since, count=len(out), service=name)
        if len(out) == len(addresses):
            tried = any(cause == FAILS and _would_take(each, now) for each, cause in out)
            end = "all are used nevertheless" if tried else "its requests fail"
            yield replace(trouble, severity="error", why=f"no address is usable: {words}; {end}")
        elif unwanted := sum(cause not in _WANTED for _, cause in out):
            yield replace(trouble, count=unwanted)

    def _failed(self, name: str) -> AddressHealth | None:
        """The first address that failed its last check."""
        return next((each for each in self._health(name) if each.healthy is False and each.why), None)


def _cause(address: LiveAddress, now: float) -> int | None:
    """Why it takes no requests; ``None``: it takes them."""
    if address.drained:
        return DRAINED
    if not address.settings.weight:
        return UNWEIGHTED
    if address.healthy is False:
        return FAILS
    if address.usable(now):
        return None
    return HELD if address.breaker.forced_open else OPEN


def _would_take(address: LiveAddress, now: float) -> bool:
    """Whether it takes requests if no address is healthy."""
    return address.breaker.state == "closed" or address.breaker.admits("", now)


def _words(count: int, of: int, cause: int) -> str:
    one, many = _WHY[cause]
    return f"{count} of {of} {'addresses' if of > 1 else 'address'} {one if count == 1 else many}"
