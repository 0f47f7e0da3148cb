from __future__ import annotations

import pytest

from proxy.config.price_schema import nano
from tests.config.files import Files, loaded, mistakes


@pytest.mark.parametrize(
    ("prices", "expected"),
    [
        ("prices: {}", ["prices: has no price"]),
        ("prices: []", ["prices: has no price"]),
        ("prices: free", ["prices[0]: expected a mapping, got text"]),
        ("prices: 5", ["prices: expected a list, got a number"]),
        ("prices: {input: -1}", ["prices.input: must be at least 0, got -1"]),
        ("prices: {input: .nan, output: 1}", ["prices.input: expected a number, got nan"]),
        ("prices: {inputs: 1, output: 1}", ['prices: unknown key "inputs"; did you mean "input"?']),
        ("prices: {cacheWrite1h: 0.0000000001}", ["prices.cacheWrite1h: has more than nine decimals"]),
        ("prices: [{input: 1}, {input: 2}]", ["prices: 2 rows have no validFrom"]),
        ("prices: [{input: 1, validFrom: 2026-01-01}, {input: 2, validFrom: '2026-01-01T01:00:00+01:00'}]", ["prices: 2 rows have the validFrom 2026-01-01T00:00:00+00:00"]),
        ("prices: [{input: 1, validFrom: May}]", ["prices[0].validFrom: expected a date, or a time such as 2030-12-31T18:00:00Z"]),
        ("prices: {input: 1, tiers: [{input: 2}]}", ["prices.tiers[0].above: is missing"]),
        ("prices: {input: 1, tiers: [{above: 5}, {above: 5, input: 1}]}", ["prices.tiers[0]: has no price", "prices.tiers: 2 tiers are above 5"]),
        ("prices: {input: 1, serviceTiers: {flex: {input: 0.12345678912}}}", ["prices.serviceTiers.flex.input: has more than nine decimals"]),
        ("prices: {input: 1}, inputPrice: 2", ["inputPrice: cannot be used together with prices: remove one of them"]),
        ("inputPrice: 0.12345678912", ["inputPrice: has more than nine decimals"]),
        ("outputPrice: 1.0e+30", ["outputPrice: must be at most 1000000, got 1e+30"]),
        ("prices: [{input: 1}, {output: 2, validFrom: 2026-01-01}]", []),
        ("prices: {input: 1, hours: 1-2}", ["prices.hours: expected two different times of the day in UTC, such as 22:30-04:00"]),
        ("prices: {input: 1, hours: 02:00-02:00}", ["prices.hours: expected two different times of the day in UTC, such as 22:30-04:00"]),
        ("prices: [{input: 1}, {input: 2, hours: 02:00-04:00}, {input: 3, hours: 02:00-04:00}]", ["prices: 2 rows have no validFrom and the hours 02:00-04:00"]),
        ("prices: [{input: 1}, {input: 2, hours: 02:00-04:00}, {input: 3, hours: 22:00-04:00}]", []),
        ("prices: {request: 0.005, image: 0.04, audioHour: 0.36, webSearch: 0.01}", []),
    ],
)  # fmt: skip
def test_mistakes_name_the_key(files: Files, prices: str, expected: list[str]) -> None:
    path = files(f"providers: {{a: {{baseUrl: http://a}}}}\nmodels: [{{name: m, provider: a, {prices}}}]")
    if expected:
        assert mistakes(path) == [f"config.yaml: models[0].{line}" for line in expected]
    else:
        loaded(path)


@pytest.mark.parametrize(("price", "expected"), [(0.15, 150_000_000), (0.1, 100_000_000), (1e-9, 1), (999_999.0, 999_999 * 10**9), (0, 0), (3.0, 3 * 10**9), (0.003625, 3_625_000)])  # fmt: skip
def test_usd_is_exact_in_nano_usd(price: float, expected: int) -> None:
    assert nano(price) == expected
