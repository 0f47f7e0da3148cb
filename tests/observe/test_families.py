from __future__ import annotations

import re

import pytest

from proxy.observe.families import (
    COST_SOURCES,
    DIRECTIONS,
    LEVELS,
    OTHERS,
    OUTCOMES,
    UNKNOWN_COSTS,
    Families,
    Series,
)
from proxy.observe.family import OTHER, Family


def every(families: Families) -> list[Family[object]]:
    return [each for each in vars(families).values() if isinstance(each, Family)]


def test_names_and_labels_are_those_that_dashboards_know() -> None:
    assert {each.name: each.labels for each in every(Families(500))} == {
        "llm_requests_total": ("provider", "model", "outcome"),
        "llm_requests_errors_total": ("kind",),
        "llm_requests_rejected_total": ("reason",),
        "gateway_other_requests_total": ("kind", "outcome"),
        "llm_requests_duration_seconds": ("provider", "model"),
        "llm_time_to_first_token_seconds": ("provider", "model"),
        "llm_inter_token_seconds": ("provider", "model"),
        "llm_stream_longest_gap_seconds": ("provider", "model"),
        "llm_tokens_total": ("provider", "model", "direction"),
        "llm_cost_usd_total": ("provider", "model", "source"),
        "llm_unknown_cost_attempts_total": ("provider", "model", "reason"),
        "llm_streams_truncated_total": ("provider", "model"),
        "llm_upstream_attempts_total": ("provider", "reason"),
        "rate_limit_requests_total": ("level", "outcome"),
        "budget_thresholds_total": ("budget", "threshold"),
        "budget_refusals_total": ("budget",),
        "gateway_overhead_seconds": (),
    }


def test_names_end_in_their_unit_and_each_has_a_description() -> None:
    # https://prometheus.io/docs/practices/naming/
    for each in every(Families(500)):
        assert re.fullmatch(r"[a-z_]+_total" if each.kind == "counter" else r"[a-z_]+_seconds", each.name)
        assert each.documentation.endswith(".")


def test_histograms_are_all_of_their_kind() -> None:
    families = Families(500)
    assert {*families.histograms()} == {each for each in every(families) if each.kind == "histogram"}


@pytest.mark.parametrize("bound", [10, 500])
def test_no_family_has_more_label_sets_than_its_bound(bound: int) -> None:
    families = Families(bound)
    closed = {"outcome": OUTCOMES, "direction": DIRECTIONS, "source": COST_SOURCES}
    for each in every(families):
        for number in range(2 * bound if each.labels else 0):
            known = UNKNOWN_COSTS if each is families.unknown_cost else closed.get(each.labels[-1])
            for last in known or (f"x{number}",):
                each.cell(*[f"x{number}"] * (len(each.labels) - 1), last)
        assert len(each.cells) <= max(bound, len(OTHERS) * len(OUTCOMES) + 1)


def test_every_outcome_and_level_has_room_for_its_own_cell() -> None:
    families = Families(10)
    for kind in OTHERS:
        for outcome in OUTCOMES:
            families.others.cell(kind, outcome)
    for level in LEVELS:
        families.limits.cell(level, "refused")
    families.limits.cell("all", "admitted")
    labels = [*families.others.cells, *families.limits.cells]
    assert len(labels) == len(OTHERS) * len(OUTCOMES) + len(LEVELS) + 1
    assert not any(OTHER in each for each in labels)


def test_a_series_makes_its_cells_at_their_first_use() -> None:
    families = Families(500)
    series = Series(families, ("openai", "gpt"))
    assert not any(each.cells for each in every(families))
    series.requests("ok").value += 1
    series.tokens("input").value += 7
    series.truncated.value += 1
    for observe in (series.duration, series.first_token, series.inter_token, series.longest_gap):
        observe(0.5)
    assert families.requests.cells["openai", "gpt", "ok"].value == 1
    assert families.tokens.cells["openai", "gpt", "input"].value == 7
    assert families.truncated.cells["openai", "gpt"].value == 1
    for family in families.histograms()[:-1]:
        assert sum(family.cells["openai", "gpt"].counts) == 1
