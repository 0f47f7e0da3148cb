"""What is counted of requests to services, and what a scrape finds of their addresses and sources."""

from __future__ import annotations

import pytest

from proxy.addresses.book import AddressBook
from proxy.config.service_schema import ServerAddress, ServiceBreaker, ServiceSettings
from proxy.observe.service_metrics import STATUSES, AddressSample, ServiceMetrics
from proxy.services.counting import ServiceCounting, ServiceObservers, address_samples, measure
from proxy.services.discovery.base import SourceState
from proxy.services.exchange import ServiceAttempt, ServiceExchange, ServiceOutcome


def exchange(
    status: int = 200, outcome: ServiceOutcome = "ok", *failures: str, error: str = "", service: str = "s"
) -> ServiceExchange:
    attempts = [ServiceAttempt("http://a", 1.0, failure=failure) for failure in failures]
    return ServiceExchange(
        "id", "GET", "/", 1.0, "r", service, attempts=attempts, status=status, outcome=outcome, error=error, ended=1.25
    )


@pytest.mark.parametrize(
    ("status", "outcome", "expected"),
    [
        (204, "ok", "2xx"),
        (304, "ok", "3xx"),
        (404, "ok", "4xx"),
        (503, "error", "5xx"),
        (200, "broken", "broken"),
        (0, "client_gone", "client_gone"),
        (200, "cancelled", "cancelled"),
        (0, "error", "none"),
        (101, "ok", "none"),
    ],
)
def test_requests_are_counted_by_class_of_status(status: int, outcome: ServiceOutcome, expected: str) -> None:
    metrics = ServiceMetrics(10)
    ServiceCounting(metrics)([exchange(status, outcome)])
    assert {labels: cell.value for labels, cell in metrics.requests.cells.items()} == {("s", "r", expected): 1}
    assert expected in STATUSES
    assert metrics.seconds.cell("s").sum == 0.25


def test_attempts_retries_and_errors_are_counted() -> None:
    metrics = ServiceMetrics(10)
    observers = ServiceObservers()
    observers.lossy = (ServiceCounting(metrics),)
    observers.put(exchange(200, "ok", "connect", "upstream_502", ""))
    observers.put(exchange(503, "error", error="no_address", service=""))
    observers.put(exchange(0, "client_gone", "", error="canceled"))
    assert {labels: cell.value for labels, cell in metrics.attempts.cells.items()} == {
        ("s", "connect"): 1,
        ("s", "upstream_502"): 1,
        ("s", "ok"): 2,
    }
    assert {labels: cell.value for labels, cell in metrics.retries.cells.items()} == {("s",): 2}
    assert {labels: cell.value for labels, cell in metrics.errors.cells.items()} == {("none", "no_address"): 1}


def test_values_of_the_histogram_do_not_pile_up() -> None:
    metrics = ServiceMetrics(10)
    counting = ServiceCounting(metrics)
    for _ in range(10):
        counting([exchange()] * 100)
    assert sum(metrics.seconds.cell("s").counts) == 1000


def test_a_scrape_sees_the_state_of_each_address() -> None:
    book = AddressBook()
    urls = [f"http://{name}" for name in ("usable", "drained", "weightless", "unhealthy", "open")]
    listed = [ServerAddress(url=url, weight=0.0 if "weightless" in url else 1.0) for url in urls]
    settings = ServiceSettings(breaker=ServiceBreaker(failure_threshold=1))
    book.put("s", settings, listed, 0.0, drained=("http://drained",))
    book.put("empty", settings, (), 0.0)
    *_, unhealthy, opened = book.group("s").addresses
    book.note_health(unhealthy, False, 0.0)
    opened.in_flight = 2
    opened.breaker.fail(opened.breaker.acquire("", 0.0), 0.0, "connect")
    found = list(address_samples(book, lambda: 1.0))
    assert [sample.state for sample in found] == ["usable", "drained", "drained", "unhealthy", "open", ""]
    assert found[4] == AddressSample("s", "http://open", "open", "open", 2)
    assert found[5] == AddressSample("empty", "", "", "", 0)


def test_a_scrape_reads_addresses_and_sources_and_requests_are_counted() -> None:
    class Source:
        service, technology, state = "s", "dns", SourceState(up=True, at=5.0)

    class Sources:
        def sources(self) -> list[Source]:
            return [Source()]

    book, metrics = AddressBook(), ServiceMetrics(10)
    book.put("s", ServiceSettings(), (ServerAddress(url="http://a"),), 0.0)
    observers = measure(metrics, book, Sources(), lambda: 1.0)  # type: ignore[arg-type]
    observers.put(exchange())
    list(metrics.gather())
    found = {family.name: [cell.value for cell in family.cells.values()] for family in metrics.states}
    assert found["sluice_service_address_up"] == [1]
    assert found["sluice_service_source_answered_seconds"] == [5.0]
    assert metrics.requests.cell("s", "r", "2xx").value == 1
