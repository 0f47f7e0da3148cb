"""The use of one address by one attempt: its permit, its counters, and its facts."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from proxy.addresses.live import ENDPOINT, LiveAddress
from proxy.breakers.breaker import Permit
from proxy.errors import GatewayError, UpstreamFault
from proxy.services.exchange import ServiceAttempt
from proxy.services.relay.faults import AnswerRefused

BAD_STATUSES: Final = frozenset((502, 503, 504))  # the server that answers, or one behind it, is not available
_NORMAL: Final = Permit.NORMAL
LATEST_SHARE: Final = 0.1  # of the latest answer in the average latency


class AddressUse(Struct, eq=False):
    """Ends with exactly one of ``succeed``, ``fail`` and ``drop``."""

    address: LiveAddress
    permit: Permit
    facts: ServiceAttempt

    def headed(self, status: int, now: float) -> None:
        """The head of the answer came."""
        facts, address = self.facts, self.address
        facts.status, facts.headed_at = status, now
        took, latency = now - facts.began, address.latency
        address.latency = latency + (took - latency) * LATEST_SHARE if latency else took

    def succeed(self, now: float) -> None:
        """The answer is whole. Some statuses say that the address failed all the same."""
        facts, address = self.facts, self.address
        facts.ended = now
        address.in_flight -= 1
        if facts.status in BAD_STATUSES:
            address.failures += 1
            address.breaker.fail(self.permit, now, f"upstream_{facts.status}")
        else:
            breaker = address.breaker
            if breaker.failures or breaker.state != "closed":  # else a success changes nothing
                breaker.succeed(self.permit, ENDPOINT, now)

    def fail(self, fault: BaseException, now: float) -> None:
        """There is no whole answer. Only faults of the service count against its address."""
        facts, address = self.facts, self.address
        facts.failure = code = (fault.code or fault.kind) if isinstance(fault, GatewayError) else type(fault).__name__
        if isinstance(fault, AnswerRefused):
            self.succeed(now)
            return
        if not isinstance(fault, UpstreamFault):
            self.drop(now)
            return
        facts.ended = now
        address.in_flight -= 1
        address.failures += 1
        address.breaker.fail(self.permit, now, code)

    def drop(self, now: float) -> None:
        """It ended from outside: the client left, or the gateway stops."""
        self.facts.ended = now
        self.address.in_flight -= 1
        self.address.breaker.release(self.permit, now)


def use_of(address: LiveAddress, now: float) -> AddressUse | None:
    """Begin an attempt; ``None``: its breaker refuses it."""
    breaker = address.breaker
    permit = _NORMAL if breaker.state == "closed" else breaker.acquire(ENDPOINT, now)
    if not permit:
        return None
    address.in_flight += 1
    address.requests += 1
    return AddressUse(address, permit, ServiceAttempt(address.settings.url, now))
