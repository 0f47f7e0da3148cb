"""Settings of requests in neutral terms."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.dialects.translation.conversation import JsonFormat, SamplingSettings, ThinkingSettings
from proxy.errors import Untranslatable, WrongMember
from tests.support.messages import conversation

CLOSED = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}


def test_sampling_is_carried() -> None:
    assert conversation(temperature=0.5, top_p=1, top_k=40).sampling == SamplingSettings(0.5, 1, 40)


@pytest.mark.parametrize(
    ("thinking", "expected"),
    [
        ({"type": "enabled", "budget_tokens": 2048}, ThinkingSettings("on", 2048)),
        ({"type": "disabled"}, ThinkingSettings("off")),
        ({"type": "adaptive", "display": "summarized"}, ThinkingSettings("adaptive", shown="summary")),
        ({"type": "adaptive", "display": "omitted"}, ThinkingSettings("adaptive", shown="omitted")),
        (None, ThinkingSettings()),
    ],
)
def test_thinking_is_carried(thinking: Any, expected: ThinkingSettings) -> None:
    found = conversation(thinking=thinking)
    assert (found.thinking, found.dropped) == (expected, [])


@pytest.mark.parametrize(
    ("thinking", "mode", "dropped"),
    [
        ({"type": "between_tools"}, "off", ["thinking.type"]),
        ({"type": "of_next_month"}, "", ["thinking.type"]),
        ({"type": "adaptive", "display": "updates"}, "adaptive", ["thinking.display"]),
        ({"type": "adaptive", "block_binding": {}}, "adaptive", ["thinking.block_binding"]),
    ],
)
def test_what_only_claude_can_think_is_told(thinking: Any, mode: str, dropped: list[str]) -> None:
    found = conversation(thinking=thinking)
    assert (found.thinking.mode, found.dropped) == (mode, dropped)


def test_the_effort_is_carried_and_the_budget_of_a_task_told() -> None:
    found = conversation(output_config={"effort": "xhigh", "task_budget": {"type": "tokens", "total": 9}})
    assert (found.thinking.effort, found.dropped) == ("xhigh", ["output_config.task_budget"])


@pytest.mark.parametrize("place", ["output_config", "output_format"])
def test_the_schema_of_the_output_is_carried_from_both_of_its_places(place: str) -> None:
    settings = {"type": "json_schema", "schema": CLOSED}
    found = conversation(**{place: settings if place == "output_format" else {"format": settings}})
    assert found.output_format == JsonFormat(CLOSED, strict=True)


@pytest.mark.parametrize(
    "schema",
    [
        CLOSED | {"additionalProperties": True},
        CLOSED | {"required": []},
        {"type": "object"},
        {"type": "array", "items": {"type": "object", "properties": {}, "required": []}},
        CLOSED | {"properties": {"a": {"allOf": [{"type": "string"}]}}},
        {"anyOf": [CLOSED, {"type": "object"}]},
        None,
    ],
)
def test_a_schema_that_openai_refuses_as_strict_is_not_said_to_be(schema: Any) -> None:
    found = conversation(output_config={"format": {"type": "json_schema", "schema": schema}}).output_format
    assert found == JsonFormat(schema, strict=True if schema is None else None)


@pytest.mark.parametrize(
    ("members", "tier", "dropped"),
    [
        ({"service_tier": "auto"}, "auto", []),
        ({"service_tier": "standard_only"}, "default", []),
        ({"speed": "fast"}, "fast", []),
        ({"speed": "standard", "service_tier": "auto"}, "auto", []),
        ({"speed": "fast", "service_tier": "standard_only"}, "fast", ["service_tier"]),
        ({"speed": "of_next_month"}, "", ["speed"]),
    ],
)
def test_tier_and_speed_are_one_tier(members: dict[str, Any], tier: str, dropped: list[str]) -> None:
    found = conversation(**members)
    assert (found.service_tier, found.dropped) == (tier, dropped)


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"temperature": "hot"}, "temperature"),
        ({"thinking": "yes"}, "thinking"),
        ({"thinking": {"type": []}}, "thinking.type"),
        ({"thinking": {"type": "adaptive", "display": {}}}, "thinking.display"),
        ({"thinking": {"type": "enabled", "budget_tokens": "many"}}, "thinking.budget_tokens"),
        ({"output_config": []}, "output_config"),
        ({"output_config": {"effort": 1}}, "output_config.effort"),
        ({"output_config": {"format": 1}}, "output_config.format"),
        ({"output_config": {"format": {"type": "json_schema", "schema": 1}}}, "output_config.format.schema"),
        ({"service_tier": 1}, "service_tier"),
    ],
)
def test_a_setting_of_the_wrong_type_is_named(members: dict[str, Any], param: str) -> None:
    with pytest.raises(WrongMember) as caught:
        conversation(**members)
    assert caught.value.param == param


def test_an_unknown_form_of_the_output_is_refused() -> None:
    with pytest.raises(Untranslatable, match=r"output_config\.format\.type"):
        conversation(output_config={"format": {"type": "grammar"}})
