"""The live state of one address: it survives each change of the set that it is in."""

from __future__ import annotations

from typing import Final

from proxy.breakers.breaker import Breaker
from proxy.config.service_schema import ServerAddress

ENDPOINT: Final = ""  # breakers of addresses do not distinguish endpoints


class LiveAddress:
    """One address of the service ``service``.

    ``settings``: its URL, weight, priority and region, replaced when they change. ``healthy``: what active checks say;
    ``None``: nothing yet. ``drained``: an operator wants no new requests there. ``since``: when it joined or recovered,
    in monotonic seconds, for the slow start. ``in_flight``: requests that run there.
    ``requests``, ``failures``: of all time. ``latency``: seconds to the head of an answer, a moving average.
    """

    __slots__ = (
        "breaker",
        "drained",
        "failures",
        "healthy",
        "in_flight",
        "latency",
        "requests",
        "service",
        "settings",
        "since",
    )

    def __init__(self, service: str, settings: ServerAddress, breaker: Breaker, since: float) -> None:
        self.service = service
        self.settings = settings
        self.breaker = breaker
        self.since = since
        self.healthy: bool | None = None
        self.drained = False
        self.in_flight = 0
        self.requests = 0
        self.failures = 0
        self.latency = 0.0

    @property
    def url(self) -> str:
        return self.settings.url

    def __repr__(self) -> str:
        return f"<LiveAddress {self.service} {self.url} {self.breaker.state}>"

    def usable(self, now: float) -> bool:
        """Whether new requests may go there."""
        breaker = self.breaker
        if self.drained or self.healthy is False:
            return False
        return breaker.state == "closed" or breaker.admits(ENDPOINT, now)
