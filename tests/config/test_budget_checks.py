"""The texts of a budget."""

from __future__ import annotations

import pytest

from proxy.config.budget_checks import budget_level, budget_name, time_zone


@pytest.mark.parametrize("text", ["a", "7", "team-red-2", "a" * 40])
def test_names(text: str) -> None:
    assert budget_name(text) == text


@pytest.mark.parametrize("text", ["", "-a", "A", "a b", "a/b", "a" * 41, "ä", "run", "balance"])
def test_no_names(text: str) -> None:
    with pytest.raises(ValueError, match="name"):
        budget_name(text)


@pytest.mark.parametrize("text", ["everyone", "run", "label:cost-center", "label:run"])
def test_levels(text: str) -> None:
    assert budget_level(text) == text


@pytest.mark.parametrize("text", ["", "label", "label:", "label:a,b", "Owner", "user"])
def test_no_levels(text: str) -> None:
    with pytest.raises(ValueError, match="label"):
        budget_level(text)


@pytest.mark.parametrize("text", ["", "/etc", "../UTC", "Europe", "Europe/Berlin\0"])
def test_no_time_zones(text: str) -> None:
    with pytest.raises(ValueError, match="IANA"):
        time_zone(text)
