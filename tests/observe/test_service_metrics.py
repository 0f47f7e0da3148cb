"""Metrics of services: states at a scrape, within the bound of label sets."""

from __future__ import annotations

from collections.abc import Sequence

from proxy.observe.exposition import slices
from proxy.observe.metrics import Metrics
from proxy.observe.service_metrics import PORTION, AddressSample, ServiceMetrics, SourceSample


def gathered(metrics: ServiceMetrics) -> int:
    """Take a sample; returns how often it let others run."""
    return sum(1 for _ in metrics.gather())


def values(metrics: ServiceMetrics, name: str) -> dict[Sequence[str], float]:
    [family] = [family for family in metrics.collect() if family.name == name]
    return {labels: cell.value for labels, cell in family.cells.items() if not hasattr(cell, "bounds")}


def with_addresses(*samples: AddressSample, bound: int = 10) -> ServiceMetrics:
    metrics = ServiceMetrics(bound)
    metrics.addresses = lambda: samples
    gathered(metrics)
    return metrics


def test_addresses_are_counted_by_state() -> None:
    metrics = with_addresses(
        AddressSample("s", "http://a", "usable", "closed", 3),
        AddressSample("s", "http://b", "unhealthy", "closed", 0),
        AddressSample("t", "http://a", "open", "open", 1),
    )
    found = values(metrics, "sluice_service_addresses")
    assert {labels for labels, value in found.items() if value} == {("s", "usable"), ("s", "unhealthy"), ("t", "open")}
    assert found["t", "usable"] == 0
    assert values(metrics, "sluice_service_address_up") == {
        ("s", "http://a"): 1,
        ("s", "http://b"): 0,
        ("t", "http://a"): 0,
    }
    assert values(metrics, "sluice_service_address_in_flight")["s", "http://a"] == 3
    assert values(metrics, "sluice_service_breaker_state")["t", "http://a", "open"] == 1
    assert values(metrics, "sluice_service_breaker_state")["t", "http://a", "closed"] == 0
    assert values(metrics, "sluice_services_without_address") == {(): 1}


def test_services_without_any_address_count_too() -> None:
    metrics = with_addresses(
        AddressSample("a", "", "", "", 0),
        AddressSample("b", "http://b", "usable", "closed", 0),
        AddressSample("c", "", "", "", 0),
    )
    assert values(metrics, "sluice_services_without_address") == {(): 2}
    assert values(metrics, "sluice_service_addresses")["a", "usable"] == 0
    assert list(values(metrics, "sluice_service_address_up")) == [("b", "http://b")]


def test_what_is_beyond_the_bound_is_counted_together_and_in_portions() -> None:
    samples = [AddressSample(f"s{number // 2}", f"http://{number}", "usable", "closed", 1) for number in range(1000)]
    metrics = ServiceMetrics(bound=20)
    metrics.addresses = lambda: samples
    assert gathered(metrics) == 1000 // PORTION
    up = values(metrics, "sluice_service_address_up")
    assert len(up) == 21
    assert up["other", "other"] == 980
    states = values(metrics, "sluice_service_addresses")
    assert states["other", "usable"] == 960
    assert values(metrics, "sluice_service_breaker_state")["other", "other", "closed"] == 980
    assert values(metrics, "sluice_services_without_address") == {(): 0}


def test_sources_have_states() -> None:
    metrics = ServiceMetrics(bound=3)
    metrics.sources = lambda: [
        SourceSample("a", "dns", True, 100.0),
        SourceSample("b", "consul", False, 0.0),
        SourceSample("c", "file", True, 300.0),
        SourceSample("d", "file", True, 200.0),
    ]
    gathered(metrics)
    assert values(metrics, "sluice_service_source_up") == {("a", "dns"): 1, ("b", "consul"): 0, ("other", "other"): 2}
    answered = values(metrics, "sluice_service_source_answered_seconds")
    assert answered == {("a", "dns"): 100.0, ("b", "consul"): 0.0, ("other", "other"): 200.0}


def test_checks_are_counted() -> None:
    metrics = ServiceMetrics(bound=10)
    metrics.checked_addresses = lambda: 7
    metrics.checked("a", True, 0.1)
    metrics.checked("a", False, 2.0)
    assert values(metrics, "sluice_service_checks_total") == {("a", "passed"): 1, ("a", "failed"): 1}
    assert values(metrics, "sluice_service_checked_addresses") == {(): 7}


def test_services_that_are_gone_make_room_for_others_once_it_is_needed() -> None:
    metrics = ServiceMetrics(bound=4)
    metrics.addresses = lambda: [AddressSample("new", "", "", "", 0), AddressSample("kept", "", "", "", 0)]
    for service in ("gone", "kept"):
        metrics.retries.cell(service).value += 1
    gathered(metrics)
    assert set(values(metrics, "sluice_service_retries_total")) == {("gone",), ("kept",)}
    for service in ("late", "beyond"):
        metrics.retries.cell(service).value += 1
    gathered(metrics)
    metrics.retries.cell("new").value += 1
    assert values(metrics, "sluice_service_retries_total") == {("kept",): 1, ("other",): 1, ("new",): 1}


def test_a_scrape_has_them_in_both_formats() -> None:
    metrics = Metrics()
    metrics.services.addresses = lambda: [AddressSample("s", "http://a", "usable", "closed", 0)]
    metrics.services.requests.cell("s", "r", "2xx").value += 1
    plain = b"".join(slices(metrics, openmetrics_names=False)).decode()
    assert 'sluice_service_requests_total{service="s",route="r",status="2xx"} 1\n' in plain
    assert 'sluice_service_address_up{service="s",address="http://a"} 1\n' in plain
    assert "# TYPE sluice_service_requests counter" in b"".join(slices(metrics, openmetrics_names=True)).decode()
