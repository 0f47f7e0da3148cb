"""The live state of one address: it survives each change of the set that it is in."""

from __future__ import annotations

from typing import Final

from proxy.addresses.recent import Recent
from proxy.addresses.rendezvous import seed
from proxy.breakers.breaker import Breaker
from proxy.config.service_schema import ServerAddress

ENDPOINT: Final = ""  # breakers of addresses do not distinguish endpoints


class LiveAddress:
    """One address of the service ``service``.

    ``settings``: its URL, weight, priority and region, replaced when they change. ``healthy``: what active checks say;
    ``None``: nothing yet. ``drained``: an operator wants no new requests there. Both are changed by the book alone.
    ``since``: when it joined or recovered, in monotonic seconds. ``warm``: it needs no slow start.
    ``in_flight``: requests that run there. ``requests``, ``failures``: of all time. ``latency``: seconds to the head of
    an answer, a moving average. ``recent``: how it did lately. ``turn``: number of its latest turn in the service.
    """

    __slots__ = (
        "_seed",
        "breaker",
        "drained",
        "failures",
        "healthy",
        "in_flight",
        "latency",
        "recent",
        "requests",
        "service",
        "settings",
        "since",
        "turn",
        "warm",
    )

    def __init__(self, service: str, settings: ServerAddress, breaker: Breaker, since: float) -> None:
        self.service = service
        self.settings = settings
        self.breaker = breaker
        self.since = since
        self.warm = False
        self.healthy: bool | None = None
        self.drained = False
        self.in_flight = 0
        self.requests = 0
        self.failures = 0
        self.latency = 0.0
        self.recent = Recent()
        self.turn = 0
        self._seed = 0

    @property
    def url(self) -> str:
        return self.settings.url

    @property
    def seed(self) -> int:
        """Hash of the URL, for stickiness: the same in every process."""
        if not self._seed:
            self._seed = seed(self.settings.url.encode("utf-8", "surrogatepass"))
        return self._seed

    def __repr__(self) -> str:
        return f"<LiveAddress {self.service} {self.url} {self.breaker.state}>"

    def usable(self, now: float) -> bool:
        """Whether new requests may go there."""
        breaker = self.breaker
        if self.drained or self.healthy is False or not self.settings.weight:
            return False
        return breaker.state == "closed" or breaker.admits(ENDPOINT, now)
