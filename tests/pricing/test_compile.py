"""``scripts/compile-prices`` on made-up data in the form of genai-prices."""

from __future__ import annotations

import zipfile
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from scripts.prices import __main__ as command
from scripts.prices import genai, second
from scripts.prices.names import keys_of
from scripts.prices.rows import rows_of

TODAY = date(2026, 11, 29)
DATA = """
import datetime
from decimal import Decimal
from .types import *

providers: list[Provider] = [
    Provider(id='unreachable', models=[ModelInfo(id='x', match=ClauseEquals(equals='x'), prices=ModelPrice(input_mtok=Decimal('1')))]),
    Provider(
        id='azure', name='Azure', api_pattern='', fallback_model_providers=['openai', 'unreachable'],
        models=[ModelInfo(id='ada', match=ClauseEquals(equals='ada'), prices=ModelPrice(input_mtok=Decimal('0.1')))],
    ),
    Provider(
        id='openai', name='OpenAI', api_pattern='', price_comments='a' 'b',
        models=[
            ModelInfo(id='tts', match=ClauseEquals(equals='tts'), prices=ModelPrice(input_mchars=Decimal('15'))),
            ModelInfo(
                id='a', match=ClauseOr(or_=[ClauseEquals(equals='A'), ClauseRegex(regex='^a-\\\\d{4}-\\\\d{2}-\\\\d{2}$')]),
                prices=[
                    ConditionalPrice(prices=ModelPrice(input_mtok=Decimal('1'), output_mtok=Decimal('2'))),
                    ConditionalPrice(
                        constraint=StartDateConstraint(start_date=datetime.date(2026, 1, 1)),
                        prices=ModelPrice(
                            input_mtok=TieredPrices(base=Decimal('3'), tiers=[Tier(start=1000, price=Decimal('6'))]),
                            output_mtok=Decimal('4'), requests_kcount=Decimal('5'),
                        ),
                    ),
                    ConditionalPrice(
                        constraint=StartDateConstraint(start_date=datetime.date(2027, 1, 1)),
                        prices=ModelPrice(input_mtok=Decimal('7'), output_mtok=Decimal('8')),
                    ),
                ],
                price_variants=[
                    PriceVariant(when={'service_tier': 'default'}, prices=ModelPrice(input_mtok=Decimal('9'))),
                    PriceVariant(when={'service_tier': 'flex'}, prices=ModelPrice(input_mtok=Decimal('1.5'))),
                    PriceVariant(when={'processing': 'batch'}, prices=ModelPrice(output_mtok=Decimal('0.5')),
                                 constraint=StartDateConstraint(start_date=datetime.date(2027, 1, 1))),
                ],
            ),
            ModelInfo(id='b', match=ClauseStartsWith(starts_with='a-b'), prices=ModelPrice(input_mtok=Decimal('1'), output_mtok=Decimal('2'))),
        ],
    ),
]
"""


@pytest.fixture(scope="module")
def providers(tmp_path_factory: pytest.TempPathFactory) -> list[genai.Node]:
    wheel = tmp_path_factory.mktemp("wheel") / "genai_prices-9.8.7-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("genai_prices/data.py", DATA)
        archive.writestr("genai_prices-9.8.7.dist-info/licenses/LICENSE", "MIT")
    assert (genai.version(wheel), genai.license_text(wheel)) == ("genai-prices 9.8.7", "MIT")
    return genai.providers(wheel)


def test_what_is_in_force_and_what_comes_is_compiled(providers: list[genai.Node]) -> None:
    found = command.compiled(providers, TODAY, {})
    assert found["fallbacks"] == {"azure": ["openai"]}
    assert found["providers"] == {"azure": {"ada": 0}, "openai": {"a": 1, "a*": 1, "a-b*": 2}}
    assert found["prices"] == [
        [{"input": 0.1}],
        [
            {"input": 3, "output": 4, "request": 0.005, "tiers": [{"above": 1000, "input": 6}], "serviceTiers": {"flex": {"input": 1.5}}},
            {"validFrom": "2027-01-01", "input": 7, "output": 8, "serviceTiers": {"batch": {"output": 0.5}, "flex": {"input": 1.5}}},
        ],
        [{"input": 1, "output": 2}],
    ]  # fmt: skip


def test_other_syntax_than_constructor_calls_is_refused(tmp_path: Path) -> None:
    wheel = tmp_path / "w.whl"
    for text in ("providers: list[Provider] = [open('/x')]", "providers: list[Provider] = [a.b(c=1)]", "x = 1"):
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr("genai_prices/data.py", text)
        with pytest.raises(ValueError):
            genai.providers(wheel)


def node(kind: str, **members: Any) -> genai.Node:
    return genai.Node(kind, members)


def starts(text: str) -> genai.Node:
    return node("ClauseStartsWith", starts_with=text)


def regex(text: str) -> genai.Node:
    return node("ClauseRegex", regex=text)


@pytest.mark.parametrize(
    ("match", "keys"),
    [
        (node("ClauseEquals", equals="GPT-4o"), ["gpt-4o"]),
        (starts("claude-opus-4-1"), ["claude-opus-4-1*"]),
        (starts("claude-sonnet-4-2025"), ["claude-sonnet-4*"]),
        (starts("ft:gpt-4o-2024-"), ["ft:gpt-4o*"]),
        (starts("claude-sonnet-4@"), ["claude-sonnet-4*"]),
        (node("ClauseContains", contains="amazon.nova-pro"), ["*amazon.nova-pro*"]),
        (node("ClauseEndsWith", ends_with="/us.zai.glm-5.3"), ["*us.zai.glm-5.3"]),
        (regex(r"^claude-opus-5[-@]\d{8}$"), ["claude-opus-5*"]),
        (regex(r"^gpt-5\.6-luna-\d{4}-\d{2}-\d{2}$"), ["gpt-5.6-luna*"]),
        (regex(r"^gemini-3\.5-flash-\d"), ["gemini-3.5-flash*"]),
        (regex(r"^(?!.*-[tT][tT][sS](?:$|-))"), []),
        (regex(r"^gpt-.*$"), []),
        (node("ClauseAnd", and_=[starts("gemini-2.5-pro"), regex(r"^(?!x)")]), ["gemini-2.5-pro*"]),
        (node("ClauseOr", or_=[node("ClauseEndsWith", ends_with="gemini-2.0-flash"), node("ClauseContains", contains="gemini-2.0-flash-0")]),
         ["*gemini-2.0-flash", "*gemini-2.0-flash-0*", "*gemini-2.0-flash*"]),
    ],
)  # fmt: skip
def test_conditions_become_names(match: genai.Node, keys: list[str]) -> None:
    assert keys_of(match) == keys


def test_a_key_that_reaches_another_model_is_refused() -> None:
    price = node("ModelPrice", input_mtok=Decimal(1), output_mtok=Decimal(1))
    models = [
        node("ModelInfo", id="dated", match=regex(r"-20260102$"), prices=price),
        node("ModelInfo", id="m", match=starts("m"), prices=price),
    ]
    with pytest.raises(ValueError, match="m-20260102 is dated"):
        command.compiled([node("Provider", id="openai", models=models)], TODAY, {})


def test_what_runs_in_the_us_costs_more_at_anthropic() -> None:
    price = node("ModelPrice", input_mtok=node("TieredPrices", base=Decimal("0.1"), tiers=[node("Tier", start=1000, price=Decimal("0.5"))]),
                 cache_read_mtok=Decimal("0.03"), web_searches_kcount=Decimal(10))  # fmt: skip
    model = node("ModelInfo", id="m", match=node("ClauseEquals", equals="m"), prices=price)
    table = {"m": {"provider_specific_entry": {"us": Decimal("1.1"), "fast": 2}}}
    found = command.compiled([node("Provider", id="anthropic", models=[model])], TODAY, table)
    assert found["prices"][0][0]["serviceTiers"] == {
        "us": {"input": 0.11, "cacheRead": 0.033, "tiers": [{"above": 1000, "input": 0.55}]}
    }


def test_hours_of_the_day_are_rows_and_endless_fractions_are_rounded() -> None:
    from datetime import time

    hours = node("TimeOfDateConstraint", start_time=time(1, 0), end_time=time(4, 30))
    conditions = [
        node("ConditionalPrice", prices=node("ModelPrice", input_mtok=Decimal("0.08333333333333"))),
        node("ConditionalPrice", constraint=hours, prices=node("ModelPrice", input_mtok=Decimal(2))),
    ]
    found = rows_of(node("ModelInfo", id="m", prices=conditions), TODAY)
    assert found == [{"input": 0.083333333}, {"hours": "01:00-04:30", "input": 2}]


def test_differences_need_a_reason_and_may_drop_the_model() -> None:
    table = {
        "m": {"litellm_provider": "openai", "input_cost_per_token": Decimal("1e-6"), "output_cost_per_token": Decimal("3e-6"),
              "input_cost_per_token_above_200k_tokens": Decimal("2e-6"), "input_cost_per_token_flex": Decimal("5e-7")},
        "other": {"litellm_provider": "elsewhere", "input_cost_per_token": Decimal(5)},
    }  # fmt: skip
    row = {"input": 1, "output": 2, "tiers": [{"above": 200000, "input": 4}], "serviceTiers": {"flex": {"input": 0.5}}}
    document = {
        "date": "2026-11-29",
        "prices": [[row]],
        "providers": {"openai": {"m*": 0, "other": 0}, "novita": {"m": 0}},
    }
    assert list(command.differences(document, table)) == [("openai", "m*", "output 2 / 3, input above 200000 4 / 2")]
    entry = {"provider": "openai", "models": ["m*"], "reason": "", "drop": True}
    assert command.explains(entry, "openai", "m*")
    assert not command.explains(entry, "openai", "m")
    command.drop(document, [entry])
    assert document["providers"] == {"openai": {"other": 0}, "novita": {"m": 0}}
    assert second.prices_of(table, "openai", "absent") == {}


def test_each_known_difference_has_a_reason() -> None:
    for entry in command.reasons():
        assert entry["reason"]
        assert entry["models"]
