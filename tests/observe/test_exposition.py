from __future__ import annotations

import asyncio
import math
import platform
from collections import Counter
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from proxy.dialects.usage import Usage
from proxy.observe.exposition import SLICE, render, slices
from proxy.observe.family import Count, Family, HistogramCell
from proxy.observe.gauges import PORTION, BreakerSample
from proxy.observe.lag import Lag
from proxy.observe.metrics import Metrics
from tests.observe.exchanges import DEPLOYMENT, attempt_of, refused, settled

OPENMETRICS = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;q=0.3,*/*;q=0.1"


@pytest.fixture
async def metrics() -> Metrics:
    metrics = Metrics(version="1.2.3")
    metrics.set_labels([DEPLOYMENT])
    metrics.settle([settled(attempts=[attempt_of(100.25, 102.0)])])
    metrics.settle([settled(outcome="broken", error="upstream_stream_truncated")])
    metrics.settle([settled(outcome="client_gone")])
    metrics.settle([refused("model_not_found", 404)])
    metrics.reject("overloaded")
    metrics.running = lambda: 4
    metrics.upstream_connections = lambda: {"openrouter": 3}
    metrics.upstream_connections_opened = 5
    metrics.upstream_connections_reused = 6
    metrics.dropped_events = 7
    metrics.possible_double_executions = 8
    metrics.admitted.value += 1
    metrics.breakers = lambda: [BreakerSample("openrouter/r1", *DEPLOYMENT, "open")]
    metrics.components = lambda: {"limiter": False}
    metrics.lag = Lag(asyncio.get_running_loop().call_later, lambda: 0.0)
    metrics.lag.last, metrics.lag.worst = 0.5, 0.75
    return metrics


@pytest.fixture(scope="module")
def crowded() -> Metrics:
    """Fill every metric with up to 500 label sets."""
    metrics = Metrics()
    deployments = [(f"provider-{number % 7}", f"vendor/model-{number}:free") for number in range(600)]
    metrics.set_labels(deployments)
    metrics.upstream_connections = lambda: {f"provider-{number}": number for number in range(600)}
    for number, (provider, model) in enumerate(deployments):
        facts = settled(provider=provider, request_model=model, outcome="broken", error=f"code_{number}")
        facts.usage = Usage(1, 2, 3, 4)
        metrics.settle([facts])
        metrics.reject(f"code_{number}")
    return metrics


def samples(families: Iterable[Metric]) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    found = {}
    for family in families:
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found, f"{key} twice"
            found[key] = sample.value
    return found


async def test_the_text_format_has_every_counter(metrics: Metrics) -> None:
    body, content_type = await render(metrics, None)
    assert content_type == "text/plain; version=0.0.4; charset=utf-8"
    found = samples(text_string_to_metric_families(body.decode()))
    provider, model = DEPLOYMENT
    labels = (("model", model), ("provider", provider))
    expected = {
        ("llm_requests_total", (labels[0], ("outcome", "ok"), labels[1])): 1,
        ("llm_requests_total", (labels[0], ("outcome", "client_gone"), labels[1])): 1,
        ("llm_requests_total", (("model", "none"), ("outcome", "error"), ("provider", "none"))): 1,
        ("llm_requests_errors_total", (("kind", "model_not_found"),)): 1,
        ("llm_requests_errors_total", (("kind", "upstream_stream_truncated"),)): 1,
        ("llm_requests_rejected_total", (("reason", "overloaded"),)): 1,
        ("llm_requests_in_flight", ()): 4,
        ("llm_requests_duration_seconds_count", labels): 3,
        ("llm_requests_duration_seconds_sum", labels): 9,
        ("llm_requests_duration_seconds_bucket", (("le", "2.56"), *labels)): 0,
        ("llm_requests_duration_seconds_bucket", (("le", "5.12"), *labels)): 3,
        ("llm_requests_duration_seconds_bucket", (("le", "+Inf"), *labels)): 3,
        ("llm_time_to_first_token_seconds_count", labels): 3,
        ("llm_time_to_first_token_seconds_bucket", (("le", "0.25"), *labels)): 3,
        ("llm_time_to_first_token_seconds_bucket", (("le", "0.1"), *labels)): 0,
        ("llm_stream_longest_gap_seconds_sum", labels): 0.375,
        ("llm_tokens_total", (("direction", "cached"), *labels)): 60,
        ("llm_upstream_connections", (("provider", "openrouter"),)): 3,
        ("llm_upstream_connections_opened_total", ()): 5,
        ("llm_upstream_connections_reused_total", ()): 6,
        ("llm_client_disconnects_total", ()): 1,
        ("llm_streams_truncated_total", labels): 1,
        ("llm_events_dropped_total", ()): 7,
        ("llm_possible_double_executions_total", ()): 8,
        ("gateway_build_info", (("python", platform.python_version()), ("version", "1.2.3"))): 1,
        ("llm_inter_token_seconds_count", labels): 1,
        ("gateway_overhead_seconds_count", ()): 1,
        ("gateway_overhead_seconds_bucket", (("le", "0.5"),)): 1,
        ("gateway_overhead_seconds_bucket", (("le", "0.2"),)): 0,
        ("rate_limit_requests_total", (("level", "all"), ("outcome", "admitted"))): 1,
        ("gateway_component_up", (("component", "limiter"),)): 0,
        ("circuit_breaker_state", (("deployment", "openrouter/r1"), labels[0], labels[1], ("state", "open"))): 1,
        ("circuit_breaker_state", (("deployment", "openrouter/r1"), labels[0], labels[1], ("state", "closed"))): 0,
        ("gateway_event_loop_lag_seconds", ()): 0.5,
        ("gateway_event_loop_lag_max_seconds", ()): 0.75,
    }
    assert {key: found.get(key) for key in expected} == expected
    assert found["process_resident_memory_bytes", ()] > 0
    assert found["process_open_fds", ()] > 0
    assert 0 < found["gateway_cpu_limit_cores", ()] <= 1


async def test_openmetrics_is_used_if_accepted(metrics: Metrics) -> None:
    body, content_type = await render(metrics, OPENMETRICS)
    assert content_type == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert body.endswith(b"\n# EOF\n")
    assert body.count(b"# EOF") == 1
    parsed = samples(openmetrics_parser.text_string_to_metric_families(body.decode()))
    plain = samples(text_string_to_metric_families((await render(metrics, "text/plain"))[0].decode()))
    ours = {key: value for key, value in plain.items() if key[0].startswith("llm_requests")}
    assert ours
    assert {key: parsed[key] for key in ours} == ours


@pytest.mark.parametrize("accept", [None, OPENMETRICS])
async def test_each_family_has_one_head_before_its_samples(crowded: Metrics, accept: str | None) -> None:
    body, _ = await render(crowded, accept)
    heads = Counter(line.split(" ")[2] for line in body.decode().splitlines() if line.startswith("# TYPE"))
    helps = Counter(line.split(" ")[2] for line in body.decode().splitlines() if line.startswith("# HELP"))
    assert set(heads.values()) == {1}
    assert heads == helps
    before = ""
    for line in body.decode().splitlines():
        if line.startswith("# TYPE"):
            before = line.split(" ")[2]
        elif not line.startswith("#"):
            assert line.startswith(before)


@pytest.mark.parametrize("openmetrics_names", [True, False])
def test_no_slice_formats_more_than_its_bound(crowded: Metrics, openmetrics_names: bool) -> None:
    written = list(slices(crowded, openmetrics_names=openmetrics_names))
    sizes = [piece.count(b"\n") for piece in written]
    assert max(sizes) <= SLICE
    assert sum(sizes) > 500 * 3 * 15  # what the bound is there for
    assert len(sizes) < 2 * sum(sizes) / SLICE  # no unnecessary event loop iterations


async def test_the_event_loop_runs_after_each_slice(crowded: Metrics, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    families = list(crowded.collect())
    turns = 0
    begun: dict[str, int] = {}  # the turn in which each family was begun

    def turn() -> None:
        nonlocal turns
        turns += 1
        loop.call_soon(turn)

    def noted() -> Iterator[Family[Count] | Family[HistogramCell]]:
        for family in families:
            begun[family.name] = turns
            yield family

    monkeypatch.setattr(crowded, "collect", noted)
    loop.call_soon(turn)
    await render(crowded, None)
    # The three histograms stand one after the other; 500 cells have 19, 19 and 16 lines each.
    held = begun["llm_tokens_total"] - begun["llm_requests_duration_seconds"]
    assert held >= 500 * (19 + 19 + 16) / SLICE


async def test_ten_thousand_breakers_are_scanned_in_batches(metrics: Metrics) -> None:
    loop = asyncio.get_running_loop()
    turns = 0
    seen: list[int] = []  # the turn in which each breaker was looked at

    def turn() -> None:
        nonlocal turns
        turns += 1
        loop.call_soon(turn)

    def standing() -> Iterator[BreakerSample]:
        for number in range(10_000):
            seen.append(turns)
            yield BreakerSample(f"p/m{number}", "p", f"m{number}", "open" if number % 100 == 99 else "closed")

    metrics.breakers = standing
    loop.call_soon(turn)
    body, _ = await render(metrics, None)
    assert max(Counter(seen).values()) == PORTION
    assert len(Counter(seen)) == 10_000 / PORTION
    found = {family.name: family for family in text_string_to_metric_families(body.decode())}["circuit_breaker_state"]
    assert len(found.samples) == (500 + 1) * 4
    assert sum(each.value for each in found.samples) == 10_000
    rest = {each.labels["state"]: each.value for each in found.samples if each.labels["model"] == "other"}
    assert rest == {"closed": 9_405, "open": 95, "half_open": 0, "unavailable": 0}


async def test_a_large_scrape_is_complete_and_bounded(crowded: Metrics) -> None:
    body, _ = await render(crowded, None)
    families = {family.name: family for family in text_string_to_metric_families(body.decode())}
    for name in ("llm_requests_duration_seconds", "llm_time_to_first_token_seconds"):
        label_sets = {(sample.labels["provider"], sample.labels["model"]) for sample in families[name].samples}
        assert len(label_sets) == 500
        assert ("other", "other") in label_sets
    totals = [sample.value for sample in families["llm_requests"].samples]
    assert sum(totals) == 600


async def test_counting_during_a_scrape_does_not_corrupt_it() -> None:
    metrics = Metrics()
    deployments = [("p", f"m{number}") for number in range(400)]
    metrics.set_labels(deployments)
    for provider, model in deployments[:200]:
        metrics.settle([settled(provider=provider, request_model=model)])
    pieces = []
    for piece, (provider, model) in zip(slices(metrics, openmetrics_names=False), deployments[200:], strict=False):
        pieces.append(piece)
        metrics.settle([settled(provider=provider, request_model=model)])
    families = text_string_to_metric_families(b"".join(pieces).decode())
    for (name, labels), value in samples(families).items():
        if name.endswith("_count") and labels:
            assert value == 1, labels


@given(value=st.text(min_size=1, max_size=20))
def test_any_label_value_survives_the_round_trip(value: str) -> None:
    metrics = Metrics()
    metrics.set_labels([("p", value)])
    metrics.settle([settled(provider="p", request_model=value)])
    text = b"".join(slices(metrics, openmetrics_names=False)).decode()
    found = samples(text_string_to_metric_families(text))
    assert found["llm_requests_total", (("model", value), ("outcome", "ok"), ("provider", "p"))] == 1


async def test_our_lines_equal_those_of_prometheus_client(crowded: Metrics) -> None:
    ours = b"".join(slices(crowded, openmetrics_names=False)).decode()
    theirs = generate_latest(AsMetrics(crowded)).decode()
    assert samples(text_string_to_metric_families(ours)) == samples(text_string_to_metric_families(theirs))
    assert heads(ours) == heads(theirs)


async def test_a_scrape_has_its_duration(metrics: Metrics) -> None:
    await render(metrics, None)
    await render(metrics, None)
    assert metrics.registry.get_sample_value("sluice_scrape_seconds_count") == 2


def heads(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("#")]


class AsMetrics(Collector):
    """The same families as prometheus_client's own Metric objects."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return map(_metric, self._metrics.collect())


def _metric(family: Family[Count] | Family[HistogramCell]) -> Metric:
    metric = Metric(family.name.removesuffix("_total"), family.documentation, family.kind)
    for values, cell in family.cells.items():
        labels = dict(zip(family.labels, values, strict=True))
        if isinstance(cell, HistogramCell):
            total = 0
            for bound, count in zip((*cell.bounds, math.inf), cell.counts, strict=True):
                total += count
                edge = "+Inf" if bound == math.inf else str(bound)
                metric.add_sample(f"{family.name}_bucket", {**labels, "le": edge}, total)
            metric.add_sample(f"{family.name}_count", labels, total)
            metric.add_sample(f"{family.name}_sum", labels, cell.sum)
        elif isinstance(cell, Count):
            metric.add_sample(family.name, labels, cell.value)
    return metric
