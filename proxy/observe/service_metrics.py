"""Metrics of services: requests and checks as they end, and the state of addresses and of their sources at a scrape.

A metric has at most ``bound`` label sets; later ones are counted as ``other`` until a service is gone. States of 1,000
services with ten addresses each take milliseconds, so they are sampled in portions.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from functools import partial
from typing import Final, NamedTuple

from proxy.observe.bounds import CONNECT, SERVICE
from proxy.observe.family import OTHER, Count, Family, HistogramCell, single

# How a request ended: the class of its status, or why its answer is not whole.
STATUSES: Final = ("2xx", "3xx", "4xx", "5xx", "broken", "client_gone", "cancelled", "none")
STATES: Final = ("usable", "unhealthy", "open", "drained")
BREAKERS: Final = ("closed", "open", "half_open")
NO_SERVICE: Final = "none"  # of a request that was refused before
PORTION: Final = 150  # addresses: some 0.2 ms
_MOST_CODES: Final = 100

_ADDRESSES: Final = "Addresses of a service by state: usable, failing checks, with an open breaker, or drained."
_WITHOUT: Final = "Services that have no usable address."
_UP: Final = "Whether an address may get requests: 0 or 1; for other, the number of those that may."
_IN_FLIGHT: Final = "Requests that run at an address."
_BREAKER: Final = "Addresses whose circuit breaker is in this state: 0 or 1; for other, their number."
_SOURCE_UP: Final = "Whether a source of addresses (consul, dns, file) answered last; for other, how many did."
_ANSWERED: Final = "When a source of addresses answered last, in Unix time; 0: never. For other, the oldest of them."


class AddressSample(NamedTuple):
    """An address now. ``state``: one of ``STATES``; ``breaker``: one of ``BREAKERS``. ``url`` ``""``: it has none."""

    service: str
    url: str
    state: str
    breaker: str
    in_flight: int


class SourceSample(NamedTuple):
    """A source of the addresses of a service. ``answered``: Unix seconds; 0: never."""

    service: str
    source: str
    up: bool
    answered: float


class ServiceMetrics:
    """What is counted, and callables that are called at each scrape.

    ``addresses``: of all services, those of the same service one after the other; one without any has a sample all the
    same. ``sources``: of addresses. ``checked_addresses``: number of those that have health checks, here or elsewhere.
    """

    def __init__(self, bound: int) -> None:
        self.addresses: Callable[[], Iterable[AddressSample]] = tuple
        self.sources: Callable[[], Iterable[SourceSample]] = tuple
        self.checked_addresses: Callable[[], int] = int
        self._bound = bound
        self.states: list[Family[Count]] = []  # from the last ``gather``

        def counter(name: str, documentation: str, labels: tuple[str, ...], most: int, *closed: str) -> Family[Count]:
            return Family(name, "counter", documentation, labels, Count, bound=most, closed=closed)

        def histogram(name: str, documentation: str, bounds: tuple[float, ...]) -> Family[HistogramCell]:
            make = partial(HistogramCell, bounds)
            return Family(name, "histogram", documentation, ("service",), make, bound=bound)

        # fmt: off
        self.requests = counter("sluice_service_requests_total",
            "Requests to services that ended, by class of status, or broken, client_gone, cancelled.",
            ("service", "route", "status"), bound, *STATUSES)
        self.errors = counter("sluice_service_errors_total",
            "Requests to services that the gateway could not relay, by the code of the error.",
            ("service", "code"), min(bound, _MOST_CODES))
        self.attempts = counter("sluice_service_attempts_total",
            "Attempts at addresses of services, by kind of failure, or ok.", ("service", "outcome"), bound)
        self.retries = counter("sluice_service_retries_total",
            "Attempts after the first one of a request.", ("service",), bound)
        self.seconds = histogram("sluice_service_request_seconds",
            "From the head of a request to a service to the end of its answer.", SERVICE)
        self.checks = counter("sluice_service_checks_total",
            "Health checks of addresses by this process.", ("service", "outcome"), bound, "passed", "failed")
        self.check_seconds = histogram("sluice_service_check_seconds",
            "Duration of health checks by this process.", CONNECT)
        # fmt: on

    def checked(self, service: str, passed: bool, seconds: float) -> None:
        """Count a health check."""
        self.checks.cell(service, "passed" if passed else "failed").value += 1
        self.check_seconds.cell(service).observe(seconds)

    def fold(self) -> None:
        """Sort what the histograms have observed into their buckets."""
        for family in (self.seconds, self.check_seconds):
            for cell in family.cells.values():
                cell.fold()

    def gather(self) -> Generator[None]:
        """Sample addresses and sources for ``collect``; yields between portions.

        What was counted of services that are gone stays until others need its room.
        """
        known = {NO_SERVICE}
        addresses = yield from _addresses(_noted(self.addresses(), known), self._bound)
        sources = yield from _sources(self.sources(), self._bound)
        for counted in (self.requests, self.errors, self.attempts, self.retries, self.checks):
            counted.make_room(known)
        for measured in (self.seconds, self.check_seconds):
            measured.make_room(known)
        self.states = [*addresses, *sources]

    def collect(self) -> Iterator[Family[Count] | Family[HistogramCell]]:
        """Current families; states are from the last ``gather``."""
        yield self.requests
        yield self.errors
        yield self.attempts
        yield self.retries
        yield self.seconds
        yield self.checks
        yield self.check_seconds
        documentation = "Addresses of services with health checks, by this process or another one."
        yield single("sluice_service_checked_addresses", "gauge", documentation, self.checked_addresses())
        yield from self.states


def _noted(samples: Iterable[AddressSample], names: set[str]) -> Iterator[AddressSample]:
    """The samples. The names of their services are added to ``names``."""
    for sample in samples:
        names.add(sample.service)
        yield sample


def _addresses(samples: Iterable[AddressSample], bound: int) -> Generator[None, None, list[Family[Count]]]:
    """``bound`` services, and ``bound`` addresses, have cells of their own."""

    def gauge(name: str, documentation: str, *labels: str) -> Family[Count]:
        return Family(name, "gauge", documentation, labels, Count, bound=1)  # filled here, not by ``cell``

    by_state = gauge("sluice_service_addresses", _ADDRESSES, "service", "state")
    up = gauge("sluice_service_address_up", _UP, "service", "address")
    in_flight = gauge("sluice_service_address_in_flight", _IN_FLIGHT, "service", "address")
    breakers = gauge("sluice_service_breaker_state", _BREAKER, "service", "address", "state")
    without, services, service, usable = 0, 0, "", True
    states: dict[str, Count] = {}
    for number, (name, url, state, breaker, running) in enumerate(samples, 1):
        if name != service:
            without += not usable
            service, services, usable = name, services + 1, False
            states = _row(by_state, (name if services <= bound else OTHER,), STATES)
        if url:
            up_now = int(state == "usable")
            usable = usable or up_now > 0
            states[state].value += 1
            labels = (name, url) if len(up.cells) < bound else (OTHER, OTHER)
            cell = up.cells.get(labels)
            if cell is None:
                up.cells[labels], in_flight.cells[labels] = Count(up_now), Count(running)
                _row(breakers, labels, BREAKERS)[breaker].value += 1
            else:
                cell.value += up_now
                in_flight.cells[labels].value += running
                breakers.cells[*labels, breaker].value += 1
        if not number % PORTION:
            yield
    without += not usable
    return [by_state, up, in_flight, breakers, single("sluice_services_without_address", "gauge", _WITHOUT, without)]


def _row(family: Family[Count], labels: tuple[str, ...], last: tuple[str, ...]) -> dict[str, Count]:
    """A cell for each value of the last label."""
    return {value: family.cells.setdefault((*labels, value), Count()) for value in last}


def _sources(samples: Iterable[SourceSample], bound: int) -> Generator[None, None, list[Family[Count]]]:
    labels = ("service", "source")
    up = Family("sluice_service_source_up", "gauge", _SOURCE_UP, labels, Count, bound=bound)
    answered = Family("sluice_service_source_answered_seconds", "gauge", _ANSWERED, labels, Count, bound=bound)
    for number, sample in enumerate(samples, 1):
        up.cell(sample.service, sample.source).value += sample.up
        others = answered.cells.get((OTHER, OTHER))
        cell = answered.cell(sample.service, sample.source)
        cell.value = min(cell.value, sample.answered) if cell is others else sample.answered
        if not number % PORTION:
            yield
    return [up, answered]
