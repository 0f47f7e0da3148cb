from __future__ import annotations

from typing import get_args

import pytest
from openai.types.shared.chat_model import ChatModel

from proxy.providers.models.gpt import GPT, UNKNOWN_AT_OPENAI, WITH_BREAKPOINTS
from proxy.providers.models.names import looked_up

# Shut down, or not for text: they get no setting that another model refuses.
LEFT_OUT = (
    "audio",
    "search",
    "vision",
    "codex-mini",
    "0125",
    "0301",
    "0314",
    "0613",
    "1106",
    "-16k",
    "-32k",
    "-turbo-pr",
)


def test_each_model_for_chat_in_the_sdk_is_known() -> None:
    missing = [name for name in get_args(ChatModel) if looked_up(name, GPT) is None]
    assert [name for name in missing if not any(part in name for part in LEFT_OUT)] == ["gpt-5.1-mini"]  # none: see SDK


@pytest.mark.parametrize(
    ("name", "efforts"),
    [
        ("gpt-4o", ()),
        ("gpt-5-chat", ()),
        ("o3", ("low", "medium", "high")),
        ("gpt-5", ("minimal", "low", "medium", "high")),
        ("gpt-5.1", ("none", "low", "medium", "high")),
        ("gpt-5.2-pro", ("medium", "high", "xhigh")),
        ("gpt-5.4", ("none", "low", "medium", "high", "xhigh")),
        ("gpt-5.6-luna", ("none", "low", "medium", "high", "xhigh", "max")),
        ("gpt-6-astra", ("low", "medium", "high", "xhigh", "max")),
    ],
)
def test_efforts_are_those_of_the_models_page(name: str, efforts: tuple[str, ...]) -> None:
    assert GPT[name].efforts == efforts


@pytest.mark.parametrize(
    ("name", "unsaid", "none", "high"),
    [
        ("gpt-4o", True, True, True),
        ("o3", False, False, False),
        ("gpt-5", False, False, False),
        ("gpt-5.1", True, True, False),
        ("gpt-5.5", False, True, False),
        ("gpt-6-sol", False, True, False),
        ("gpt-6-astra", False, False, False),
    ],
)
def test_models_that_reason_refuse_sampling(name: str, unsaid: bool, none: bool, high: bool) -> None:
    facts = GPT[name]
    assert [facts.takes_sampling(effort) for effort in ("", "none", "high")] == [unsaid, none, high]


def test_tools_and_an_effort_exclude_each_other_from_gpt_5_4_on() -> None:
    found = {name: facts.effort_with_tools for name, facts in GPT.items()}
    assert (found["gpt-5.2"], found["gpt-5.4"], found["gpt-6-sol"]) == ("any", "none", "none")
    assert {name for name, effort in found.items() if effort == "no"} >= {"gpt-6-astra", "gpt-6.1-sol"}


def test_cache_breakpoints_came_with_gpt_5_6() -> None:
    assert {"gpt-5.6", "gpt-6.1-terra"} < WITH_BREAKPOINTS
    assert WITH_BREAKPOINTS.isdisjoint({"gpt-5.5", "gpt-4o"})


def test_an_unknown_model_gets_nothing_that_a_known_one_refuses() -> None:
    assert (UNKNOWN_AT_OPENAI.efforts, UNKNOWN_AT_OPENAI.sampling, UNKNOWN_AT_OPENAI.prefill) == ((), False, False)
