from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from math import inf
from pathlib import Path

import pytest

from proxy.config.provider_schema import ModelSettings
from proxy.pricing.operator import operator_sheet
from proxy.pricing.rates import NANO, Rates
from proxy.pricing.sheet import PriceSheet
from tests.config.files import loaded

MAY, JUNE = (datetime(2026, month, 1, tzinfo=UTC).timestamp() for month in (5, 6))


Read = Callable[[str], ModelSettings]


@pytest.fixture
def model(tmp_path: Path) -> Read:
    def read(settings: str) -> ModelSettings:
        path = tmp_path / "config.yaml"
        path.write_text(f"providers: {{a: {{baseUrl: http://a}}}}\nmodels: [{{name: m, provider: a, {settings}}}]")
        return loaded(path).config.models[0]

    return read


def priced(sheet: PriceSheet | None, at: float = 0.0, tier: str = "", size: int = 0) -> Rates:
    found = None if sheet is None else sheet.rates(at, tier, size)
    assert found is not None
    return found


def usd(rates: Rates, name: str) -> float:
    return getattr(rates, name) / NANO


def test_a_model_without_prices_has_no_sheet(model: Read) -> None:
    assert operator_sheet(model("weight: 2")) is None


def test_the_short_forms_are_the_prices_of_input_and_output(model: Read) -> None:
    short, long = (
        operator_sheet(model("inputPrice: 0.15, outputPrice: 0.6")),
        operator_sheet(model("prices: {input: 0.15, output: 0.6}")),
    )
    assert short is not None
    assert long is not None
    assert priced(short) == priced(long)
    assert (short.source, short.version) == (long.source, long.version)
    free = operator_sheet(model("inputPrice: 0"))
    assert free is not None
    assert priced(free) == Rates(0, None, 0, 0, 0, None, 0, None, 0)
    assert free.version != short.version


def test_rows_apply_from_their_date_in_any_order(model: Read) -> None:
    sheet = operator_sheet(
        model("prices: [{input: 3, validFrom: 2026-06-01}, {input: 1}, {input: 2, validFrom: '2026-05-01T00:00:00Z'}]")
    )
    found = [usd(priced(sheet, at), "input") for at in (0.0, MAY - 1, MAY, JUNE - 1, JUNE)]
    assert found == [1, 1, 2, 2, 3]
    assert sheet is not None
    assert sheet.rows[0].valid_from == -inf


def test_a_larger_input_has_the_prices_of_its_tier_and_the_others_of_the_row(model: Read) -> None:
    sheet = operator_sheet(
        model(
            "prices: {input: 1, output: 8, cacheRead: 0.5, tiers: [{above: 400000, output: 9}, {above: 200000, input: 2}]}"
        )
    )
    for size, input_, output in ((200_000, 1, 8), (200_001, 2, 8), (400_001, 2, 9)):
        rates = priced(sheet, 0.0, "", size)
        assert (usd(rates, "input"), usd(rates, "output"), usd(rates, "cache_read")) == (input_, output, 0.5)
        assert usd(rates, "cache_write") == input_


def test_a_service_tier_replaces_prices_of_the_row(model: Read) -> None:
    sheet = operator_sheet(
        model(
            "prices: {input: 4, output: 8, cacheRead: 1, tiers: [{above: 1000, input: 6, output: 12}],"
            " serviceTiers: {flex: {input: 2}, priority: {input: 7, tiers: [{above: 1000, input: 9}]}}}"
        )
    )
    found = {
        tier: [
            (usd(rates, "input"), usd(rates, "output"), usd(rates, "cache_read"))
            for size in (1000, 1001)
            for rates in [priced(sheet, 0.0, tier, size)]
        ]
        for tier in ("", "flex", "priority")
    }
    assert found == {"": [(4, 8, 1), (6, 12, 1)], "flex": [(2, 8, 1), (2, 12, 1)], "priority": [(7, 8, 1), (9, 12, 1)]}
