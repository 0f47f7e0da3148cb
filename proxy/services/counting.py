"""What services tell the metrics: requests that ended, and at a scrape the state of their addresses and sources."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, Protocol

from proxy.addresses.book import AddressBook
from proxy.addresses.live import LiveAddress
from proxy.observe.observers import ObserversOf
from proxy.observe.service_metrics import NO_SERVICE, AddressSample, ServiceMetrics, SourceSample
from proxy.services.discovery.following import FollowedSource
from proxy.services.exchange import ServiceExchange

ServiceObservers = ObserversOf[ServiceExchange]

_FOLD: Final = 256  # requests between two folds of the histograms
_CLASSES: Final = {2: "2xx", 3: "3xx", 4: "4xx", 5: "5xx"}
_NONE: Final = "none"  # instead of a status


class Measured(Protocol):
    """What a scrape looks at: ``DiscoveryRunner``."""

    def sources(self) -> Iterable[FollowedSource]: ...


def measure(
    metrics: ServiceMetrics, book: AddressBook, discovery: Measured, now: Callable[[], float]
) -> ServiceObservers:
    """Let ``metrics`` read the state of services, and count those requests that are ``put`` to the result.

    ``now``: the clock of the book. Attach the result to a loop, so that requests are counted in batches.
    """
    metrics.addresses = lambda: address_samples(book, now)
    metrics.sources = lambda: source_samples(list(discovery.sources()))
    observers = ServiceObservers()
    observers.lossy = (ServiceCounting(metrics),)
    return observers


class ServiceCounting:
    """A batch observer of requests to services."""

    def __init__(self, metrics: ServiceMetrics) -> None:
        self._metrics = metrics
        self._unfolded = 0

    def __call__(self, ended: Sequence[ServiceExchange]) -> None:
        """Count requests that ended, each once."""
        metrics = self._metrics
        for exchange in ended:
            service = exchange.service or NO_SERVICE
            metrics.requests.cell(service, exchange.route, _status(exchange)).value += 1
            if exchange.ended is not None:
                metrics.seconds.cell(service).observe(exchange.ended - exchange.began)
            if exchange.error and exchange.outcome in ("error", "broken"):
                metrics.errors.cell(service, exchange.error).value += 1
            attempts = exchange.attempts
            for attempt in attempts:
                metrics.attempts.cell(service, attempt.failure or "ok").value += 1
            if len(attempts) > 1:
                metrics.retries.cell(service).value += len(attempts) - 1
        self._unfolded += len(ended)
        if self._unfolded >= _FOLD:
            self._unfolded = 0
            metrics.fold()


def address_samples(book: AddressBook, now: Callable[[], float]) -> Iterator[AddressSample]:
    """All addresses of all services. Services that come or go meanwhile are not missed, or missed, at random."""
    for service in list(book):
        moment, addresses = now(), book.group(service).addresses
        if not addresses:
            yield AddressSample(service, "", "", "", 0)
        for address in addresses:
            state = _state(address, moment)
            yield AddressSample(service, address.url, state, address.breaker.state, address.in_flight)


def source_samples(sources: Iterable[FollowedSource]) -> Iterator[SourceSample]:
    for each in sources:
        state = each.state
        yield SourceSample(each.service, each.technology, state.up, state.at)


def _status(exchange: ServiceExchange) -> str:
    if exchange.outcome in ("broken", "client_gone", "cancelled"):
        return exchange.outcome
    return _CLASSES.get(exchange.status // 100, _NONE)


def _state(address: LiveAddress, now: float) -> str:
    if address.drained or not address.settings.weight:
        return "drained"
    if address.healthy is False:
        return "unhealthy"
    return "usable" if address.usable(now) else "open"
